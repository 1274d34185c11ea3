//! The settings of a journal in NATS, and whether they fit together.

use std::fmt;
use std::path::PathBuf;

use super::journal::JournalMode;
use super::resolve::ENVELOPE_BYTES_MAX;
use super::settings::Config;
use super::value::{Allowed, Value};

/// Addresses of NATS servers. User and password may stand in them, so no message repeats one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsServers(pub Vec<String>);

/// A name that is a part of the names of streams and subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalName(pub String);

/// A journal in NATS, besides what every journal has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsJournal {
    /// The servers.
    pub servers: NatsServers,
    /// Files with credentials, with authorities, and with this broker's certificate and key.
    pub credentials: Option<PathBuf>,
    /// See [`NatsJournal::credentials`].
    pub ca: Option<PathBuf>,
    /// See [`NatsJournal::credentials`].
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name of the log.
    pub name: String,
    /// This broker's name.
    pub node: String,
    /// Replicas of a stream that has to be made.
    pub replicas: u32,
    /// The most that the log may take.
    pub bytes_max: u64,
    /// What a record may have at most: it is closed at a size, and takes at least one update.
    pub record_bytes_max: u64,
    /// Records that may be on their way.
    pub in_flight: u32,
    /// How long an acknowledgement is waited for, in milliseconds.
    pub ack_ms: u32,
    /// How long the log may be silent until clients are told, in milliseconds.
    pub stale_ms: u32,
    /// How long it may be silent until the broker is not ready, in milliseconds.
    pub unready_ms: u32,
    /// Begin anew where the log is gone.
    pub recreate: bool,
    /// Programs may publish to the log themselves.
    pub inbound: bool,
}

/// Maximum bytes of the names of a log and of a broker.
const NAME_BYTES_MAX: usize = 64;

impl Value for NatsServers {
    const SECRET: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        let servers: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect();
        let is_address = |server: &String| {
            let rest = server.strip_prefix("nats://").or_else(|| server.strip_prefix("tls://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.ends_with('@') && !rest.contains(char::is_whitespace))
        };
        servers.iter().all(is_address).then_some(Self(servers))
    }

    fn expected(_: Allowed) -> String {
        "addresses of NATS servers with commas between them, as in nats://127.0.0.1:4222 or tls://a.example.com:4222"
            .into()
    }

    fn toml(&self) -> String {
        toml::Value::String(self.0.join(",")).to_string()
    }
}

impl fmt::Debug for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} NATS servers", self.0.len())
    }
}

impl Value for JournalName {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = text.len() <= NAME_BYTES_MAX && text.bytes().all(is_allowed);
        is_name.then(|| Self(text.into()))
    }

    fn expected(_: Allowed) -> String {
        format!("at most {NAME_BYTES_MAX} letters, digits, dashes and underscores")
    }

    fn toml(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl Config {
    /// The journal in NATS, if there is one.
    pub fn nats_journal(&self) -> Option<NatsJournal> {
        (self.journal == JournalMode::Nats).then(|| NatsJournal {
            servers: self.journal_nats.clone(),
            credentials: self.journal_nats_credentials.clone(),
            ca: self.journal_nats_ca.clone(),
            certificate: self.journal_nats_cert.clone().zip(self.journal_nats_key.clone()),
            name: self.journal_name.0.clone(),
            node: self.journal_node(),
            replicas: self.journal_replicas,
            bytes_max: self.journal_bytes_max,
            record_bytes_max: self.record_bytes_max(),
            in_flight: self.journal_in_flight,
            ack_ms: self.journal_ack_ms,
            stale_ms: self.journal_stale_ms,
            unready_ms: self.journal_unready_ms,
            recreate: self.journal_recreate,
            inbound: self.journal_in,
        })
    }

    /// This broker's name: the host's, if none is set.
    fn journal_node(&self) -> String {
        match self.journal_node.0.as_str() {
            "" => {
                let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
                host.chars().take(NAME_BYTES_MAX).map(allowed).collect()
            }
            name => name.into(),
        }
    }

    /// What a record of the log may have at most: it is closed at a size that its last command may exceed.
    fn record_bytes_max(&self) -> u64 {
        u64::from(self.journal_record_bytes) + self.message_bytes + ENVELOPE_BYTES_MAX
    }

    /// Returns a sentence for each contradiction between the settings of a journal in NATS.
    pub(super) fn nats_contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.journal_nats.0.is_empty() {
            found.push(
                "journal = \"nats\" needs journal_nats, the addresses of the NATS servers, such as nats://127.0.0.1:4222: \
                 set it (--journal-nats)"
                    .into(),
            );
        }
        if self.journal_nats_cert.is_some() != self.journal_nats_key.is_some() {
            found.push(
                "journal_nats_cert and journal_nats_key are the two halves of one thing: set both, or none".into(),
            );
        }
        if self.journal_name.0.is_empty() {
            found.push("journal_name is empty: the stream is named after it".into());
        }
        if self.journal_unready_ms < self.journal_stale_ms {
            let (unready, stale) = (self.journal_unready_ms, self.journal_stale_ms);
            found.push(format!(
                "journal_unready_ms = {unready} is below journal_stale_ms = {stale}: clients are told before the broker is \
                 taken out of service"
            ));
        }
        found
    }
}

#[cfg(all(test, feature = "nats"))]
mod tests {
    use std::path::Path;

    use super::super::{Loaded, resolve, show};

    fn load(file: &str) -> Loaded {
        resolve(&[], [], Some((Path::new("broker.toml"), file))).unwrap_or_else(|error| panic!("{error}"))
    }

    const SERVERS: &str = "journal = \"nats\"\njournal_nats = \"nats://a:1, tls://user:swordfish@b:2\"\n";

    fn refusal(file: &str) -> String {
        match resolve(&[], [], Some((Path::new("broker.toml"), file))) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn it_has_servers_and_a_name() {
        let loaded = load(&format!("{SERVERS}journal_node = \"md-1\""));
        let found = loaded.config.nats_journal().unwrap();
        assert_eq!((found.servers.0.len(), &*found.name, &*found.node), (2, "tickcast", "md-1"));
        assert_eq!((found.certificate, loaded.config.local_journal(), &*loaded.warnings), (None, None, &[][..]));
        assert_eq!(found.record_bytes_max, (256 << 10) + (64 << 10) + 1024);
        assert_eq!(load(&show(&loaded)).config, loaded.config);
        assert!(!format!("{:?}", loaded.config).contains("swordfish"));
    }

    #[test]
    fn without_a_name_it_has_the_hosts() {
        let found = load(SERVERS).config.nats_journal().unwrap();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(!found.node.is_empty() && found.node.chars().all(is_allowed), "{:?}", found.node);
    }

    #[test]
    fn contradictions_are_refused() {
        for (file, part) in [
            ("journal = \"nats\"".to_owned(), "journal = \"nats\" needs journal_nats"),
            (format!("{SERVERS}journal_nats_cert = \"a\""), "are the two halves of one thing: set both, or none"),
            (format!("{SERVERS}journal_nats_key = \"a\""), "are the two halves of one thing: set both, or none"),
            (format!("{SERVERS}journal_name = \"\""), "journal_name is empty"),
            (
                format!("{SERVERS}journal_unready_ms = 2000"),
                "journal_unready_ms = 2000 is below journal_stale_ms = 3000",
            ),
            (format!("{SERVERS}journal_queue_bytes = \"16KiB\""), "journal_queue_bytes = 16384 is too small"),
        ] {
            let refusal = refusal(&file);
            assert!(refusal.contains(part), "{file:?}\n  gave {refusal:?}\n  not  {part:?}");
        }
        // A journal that is somewhere else has none of these.
        assert_eq!(refusal("journal_nats_cert = \"a\"\njournal_name = \"\"\njournal_unready_ms = 2000"), "");
    }

    #[test]
    fn what_is_set_for_another_place_is_a_warning() {
        let warnings = |file: &str| load(file).warnings;
        let found = warnings(&format!("{SERVERS}journal_dir = \"a\""));
        assert!(
            found.len() == 1 && found[0].starts_with("journal_dir is set and has no effect, because journal is nats")
        );
        let found = warnings("journal = \"local\"\njournal_dir = \"a\"\njournal_nats = \"nats://a\"");
        assert!(
            found.len() == 1 && found[0].starts_with("journal_nats is set and has no effect, because journal is local")
        );
    }
}

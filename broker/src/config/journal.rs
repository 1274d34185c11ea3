//! The journal's settings: what keeps the log of commands on disk, and whether they fit together.

use std::path::PathBuf;

use super::resolve::ENVELOPE_BYTES_MAX;
use super::settings::Config;
use super::value::{Allowed, Value};

/// Where the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalMode {
    /// Nowhere: topics are in memory only.
    None,
    /// In a directory of this machine.
    Local,
    /// In NATS JetStream, for several brokers.
    Nats,
}

/// A journal in a directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalJournal {
    /// The directory. Nobody has looked yet whether it exists.
    pub dir: PathBuf,
    /// How often what was written is synced, in milliseconds; 0 is before an update is delivered.
    pub sync_ms: u32,
    /// The most that the log may take on disk.
    pub bytes_max: u64,
    /// The size at which a record is closed. A record takes at least one command, however large that is.
    pub record_bytes: u32,
    /// The most that may wait for the log, in bytes of publishes.
    pub queue_bytes: u64,
    /// How long a publish waits for the log before it is answered with `unavailable`, in milliseconds.
    pub unavailable_ms: u32,
}

impl Value for JournalMode {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "none" => Some(JournalMode::None),
            "local" => Some(JournalMode::Local),
            "nats" if cfg!(feature = "nats") => Some(JournalMode::Nats),
            _ => None,
        }
    }

    fn expected(_: Allowed) -> String {
        if cfg!(feature = "nats") { "none, local or nats".into() } else { "none or local".into() }
    }

    fn hint(text: &str) -> Option<String> {
        (text == "nats").then(|| "this program was built without the feature nats".into())
    }

    fn toml(&self) -> String {
        match self {
            JournalMode::None => "\"none\"".into(),
            JournalMode::Local => "\"local\"".into(),
            JournalMode::Nats => "\"nats\"".into(),
        }
    }
}

/// Records that the queue, and the log on disk, have room for at least, so that one is gathered while others are
/// written.
const RECORDS_MIN: u64 = 4;

impl Config {
    /// The journal on this machine, if there is one.
    pub fn local_journal(&self) -> Option<LocalJournal> {
        // A configuration that says local and names no directory is refused.
        let dir = self.journal_dir.clone().filter(|_| self.journal == JournalMode::Local)?;
        Some(LocalJournal {
            dir,
            sync_ms: self.journal_sync_ms,
            bytes_max: self.journal_bytes_max,
            record_bytes: self.journal_record_bytes,
            queue_bytes: self.journal_queue_bytes,
            unavailable_ms: self.journal_unavailable_ms,
        })
    }

    /// Returns a sentence for each contradiction between the journal's settings. Without a journal none of them counts.
    pub(super) fn journal_contradictions(&self) -> Vec<String> {
        if self.journal == JournalMode::None {
            return Vec::new();
        }
        let mut found = Vec::new();
        if self.journal == JournalMode::Nats {
            found.extend(self.nats_contradictions());
        }
        if self.journal == JournalMode::Local && self.journal_dir.is_none() {
            found.push(
                "journal = \"local\" needs journal_dir, the directory that the journal is in, such as \
                 /var/lib/tickcast/journal: set it (--journal-dir)"
                    .into(),
            );
        }
        let (record_bytes, message_bytes) = (u64::from(self.journal_record_bytes), self.message_bytes);
        let bytes_min = RECORDS_MIN * record_bytes.max(message_bytes + ENVELOPE_BYTES_MAX);
        for (name, bytes) in
            [("journal_queue_bytes", self.journal_queue_bytes), ("journal_bytes_max", self.journal_bytes_max)]
        {
            if bytes < bytes_min {
                found.push(format!(
                    "{name} = {bytes} is too small for journal_record_bytes = {record_bytes} and message_bytes = \
                     {message_bytes}: expected at least {bytes_min}"
                ));
            }
        }
        found
    }

    /// A sentence if a place for a journal is named and there is no journal in it.
    pub(super) fn journal_warning(&self) -> Option<String> {
        let mode = match self.journal {
            JournalMode::None => "none",
            JournalMode::Local => "local",
            JournalMode::Nats => "nats",
        };
        let idle = [
            ("journal_dir", self.journal_dir.is_some(), JournalMode::Local, "local"),
            ("journal_nats", !self.journal_nats.0.is_empty(), JournalMode::Nats, "nats"),
        ];
        let (setting, _, _, needed) = idle.into_iter().find(|(_, is_set, of, _)| *is_set && self.journal != *of)?;
        let memory = if self.journal == JournalMode::None { " Topics are in memory only." } else { "" };
        Some(format!(
            "{setting} is set and has no effect, because journal is {mode}.{memory} Set journal = \"{needed}\" (--journal \
             {needed}) if it is meant"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Applies, Loaded, SETTINGS, resolve, show};
    use super::*;

    fn load(file: &str) -> Loaded {
        resolve(&[], [], Some((Path::new("broker.toml"), file))).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_local_journal_has_a_directory() {
        assert_eq!(load("").config.local_journal(), None);
        let loaded = load(
            "journal = \"local\"\njournal_dir = \"data/journal\"\njournal_sync_ms = 0\njournal_bytes_max = \"64MiB\"\n\
             journal_queue_bytes = \"1MiB\"",
        );
        let expected = LocalJournal {
            dir: "data/journal".into(),
            sync_ms: 0,
            bytes_max: 64 << 20,
            record_bytes: 256 << 10,
            queue_bytes: 1 << 20,
            unavailable_ms: 5000,
        };
        assert_eq!((loaded.config.local_journal(), &*loaded.warnings), (Some(expected), &[][..]));
        assert_eq!(load(&show(&loaded)).config, loaded.config);
    }

    #[test]
    fn without_a_journal_nothing_of_it_is_refused() {
        let loaded = load("journal_dir = \"/var/lib/tickcast/journal\"");
        assert_eq!(loaded.config.local_journal(), None);
        assert!(loaded.warnings.len() == 1 && loaded.warnings[0].starts_with("journal_dir is set and has no effect"));
        // Values that would not fit each other.
        let file = "journal_queue_bytes = \"16KiB\"\nmessage_bytes = \"32MiB\"\nimage_bytes = \"32MiB\"\n\
                    ndjson_bytes_max = \"32MiB\"\nring_bytes = \"1GiB\"";
        assert_eq!(load(file).warnings, [""; 0]);
    }

    #[test]
    fn nothing_of_it_changes_without_a_restart() {
        let all: Vec<_> = SETTINGS.iter().filter(|setting| setting.name.starts_with("journal")).collect();
        assert_eq!(all.len(), 21);
        assert!(all.iter().all(|setting| setting.group == "Journal" && setting.applies == Applies::Restart));
    }
}

//! Resolves the operator's input into a [`Config`]: the precedence of sources, and the checks that concern several
//! settings.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use broker_engine::feed::SHARDS_MAX;

use super::problem::{ConfigError, Problem};
use super::raw::Raw;
use super::settings::Config;
use crate::address::ProxyProtocol;

/// A valid configuration, and its sources.
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// The values as they were typed.
    pub raw: Raw,
    /// Oddities that do not stop the start, to be logged once the log has started.
    pub warnings: Vec<String>,
}

/// Reads and resolves the operator's input once more, for a reload.
pub type Reread = Box<dyn Fn() -> Result<Loaded, ConfigError> + Send + Sync>;

/// Reads the file (`--config`, otherwise `TICKCAST_CONFIG`), the process's environment and the flags.
///
/// # Errors
/// The file cannot be read, or a value is wrong.
pub fn load(flags: &[(&'static str, OsString)], config_file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
    let variable = std::env::var_os("TICKCAST_CONFIG").filter(|path| !path.is_empty());
    let file = match config_file.or(variable.map(PathBuf::from)) {
        None => None,
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                let sentence = format!("config = {:?}: the file cannot be read: {error}", path.display());
                return Err(ConfigError { problems: vec![Problem::Sentence(sentence)] });
            }
        },
    };
    resolve(flags, std::env::vars_os(), file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())))
}

/// Does the same without reading from the process: flags and environment are lists, the file is its path and text.
///
/// # Errors
/// A value is wrong.
pub fn resolve(
    flags: &[(&'static str, OsString)],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    file: Option<(&Path, &str)>,
) -> Result<Loaded, ConfigError> {
    let mut raw = Raw::default();
    let mut problems = Vec::new();
    if let Some((path, text)) = file {
        raw.add_file(path, text, &mut problems);
    }
    let unknown = raw.add_environment(environment, &mut problems);
    for (name, value) in flags {
        raw.add_flag(name, value, &mut problems);
    }

    let config = Config::read(&raw, &mut problems);
    if let Some(config) = &config {
        problems.extend(config.contradictions().into_iter().map(Problem::Sentence));
    }
    match config {
        Some(config) if problems.is_empty() => {
            let mut warnings = config.warnings();
            warnings.extend(unknown.iter().map(|name| format!("{name} is set, but there is no such setting")));
            Ok(Loaded { config, raw, warnings })
        }
        _ => Err(ConfigError { problems }),
    }
}

/// The bytes around `data` in a message: names, numbers, keys. `docs/protocol.md` promises clients that they are no
/// more.
pub(super) const ENVELOPE_BYTES_MAX: u64 = 1024;

impl Config {
    /// The number of shard threads: as configured, or one per core that the process may run on, at most as many as the
    /// engine supports.
    pub fn shards_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX),
            shards => shards,
        }
    }

    /// Returns a sentence for each contradiction between values that are valid alone.
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |good: bool, sentence: String| {
            if !good {
                found.push(sentence);
            }
        };
        for broker in &self.brokers {
            check(
                broker.of_sockets().is_some(),
                format!("brokers: {broker} is no address of a broker; it begins with http:// or https://"),
            );
        }
        for (name, address) in self.client_listeners() {
            check(
                address.ip().is_loopback() || self.open_publish || self.asks_for_tokens(),
                format!(
                    "{name} = {address} is reachable from beyond loopback, and every client that reaches it could publish: \
                     set open_publish = true (--open-publish) if you want that, listen on 127.0.0.1, or configure tokens"
                ),
            );
        }
        check(
            self.listen != self.admin_listen || self.listen.port() == 0,
            format!("listen and admin_listen are both {}: they need different ports", self.listen),
        );
        check(
            self.proxy_protocol == ProxyProtocol::Off || !self.trusted_proxies.is_empty(),
            "proxy_protocol = \"required\" needs trusted_proxies, the addresses of the proxies: connections from all other \
             addresses are closed"
                .into(),
        );
        for (small, small_bytes, large, large_bytes) in self.wrong_orders() {
            check(
                false,
                format!(
                    "{small} = {small_bytes} is above {large} = {large_bytes}: expected {large} to be at least {small}"
                ),
            );
        }
        let ring_bytes_min = 4 * (self.message_bytes + ENVELOPE_BYTES_MAX);
        check(
            self.ring_bytes >= ring_bytes_min,
            format!(
                "ring_bytes = {} is too small for message_bytes = {}: expected at least {ring_bytes_min}",
                self.ring_bytes, self.message_bytes
            ),
        );
        found.extend(self.tls_contradictions());
        found.extend(self.token_contradictions());
        found.extend(self.journal_contradictions());
        found
    }

    /// The listeners for clients, by their settings.
    fn client_listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        [("listen", self.listen)].into_iter().chain(self.tls_listen.map(|address| ("tls_listen", address)))
    }

    /// The pairs of settings of which the first must not be above the second, and is: names and values.
    pub(super) fn wrong_orders(&self) -> impl Iterator<Item = (&'static str, u64, &'static str, u64)> {
        let orders = [
            ("message_bytes", self.message_bytes, "image_bytes", self.image_bytes),
            ("message_bytes", self.message_bytes, "ndjson_bytes_max", self.ndjson_bytes_max),
            ("ndjson_bytes_max", self.ndjson_bytes_max, "bodies_bytes_max", self.bodies_bytes_max),
            ("image_bytes", self.image_bytes, "images_bytes_max", self.images_bytes_max),
            ("image_bytes", self.image_bytes, "bodies_bytes_max", self.bodies_bytes_max),
            ("retain_bytes", self.retain_bytes, "retain_bytes_max", self.retain_bytes_max),
            ("behind_bytes", self.behind_bytes, "ring_bytes", self.ring_bytes),
            ("token_bytes_max", self.token_bytes_max.into(), "header_bytes_max", self.header_bytes_max.into()),
        ];
        orders.into_iter().filter(|(_, small, _, large)| small > large)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.admin_listen.ip().is_loopback() {
            let admin = self.admin_listen;
            warnings.push(format!(
                "admin_listen = {admin} is reachable from beyond loopback: it shows metrics and clients' addresses"
            ));
        }
        let mut beyond = self.client_listeners().filter(|(_, address)| !address.ip().is_loopback());
        if let Some((name, _)) = beyond.next().filter(|_| self.allow_host.is_empty()) {
            warnings.push(format!(
                "{name} is reachable from beyond loopback, but allow_host is empty: clients must use the IP address"
            ));
        }
        warnings.extend(self.token_warnings());
        warnings.extend(self.journal_warning());
        warnings
    }
}

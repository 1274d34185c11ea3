//! From what was typed to what we run on: one precedence, and the checks that take more than one setting.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use broker_engine::feed::SHARDS_MAX;

use super::problem::{ConfigError, Problem};
use super::raw::Raw;
use super::settings::Config;

/// A configuration that can be run, and how it came about.
pub struct Loaded {
    /// What we run on.
    pub config: Config,
    /// What was typed.
    pub raw: Raw,
    /// What is odd and no reason to stop: for the log, once there is one.
    pub warnings: Vec<String>,
}

/// Reads the file (`--config`, else `TICKCAST_CONFIG`), the process's environment and the flags.
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

/// The same without looking at the process: flags and environment as lists, the file as its path and text.
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
    let strange = raw.add_environment(environment, &mut problems);
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
            warnings.extend(strange.iter().map(|name| format!("{name} is set, and there is no such setting")));
            Ok(Loaded { config, raw, warnings })
        }
        _ => Err(ConfigError { problems }),
    }
}

/// What stands around `data` in a message: names, numbers, keys. PROTOCOL §4 promises clients that it is no more.
const ENVELOPE_BYTES_MAX: u64 = 1024;

impl Config {
    /// How many shard threads there will be: as configured, or one per core that the process may run on, as far as the
    /// engine can tell them apart.
    pub fn shards_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX),
            shards => shards,
        }
    }

    /// Values that are right alone and wrong together, as sentences.
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |good: bool, sentence: String| {
            if !good {
                found.push(sentence);
            }
        };
        check(
            self.listen.ip().is_loopback() || self.open_publish,
            format!(
                "listen = {} reaches beyond loopback, and anyone who reaches it could publish: set open_publish = true \
                 (--open-publish) if that is what you want, or listen on 127.0.0.1",
                self.listen
            ),
        );
        check(
            self.listen != self.admin_listen || self.listen.port() == 0,
            format!("listen and admin_listen are both {}: they need two ports", self.listen),
        );
        let orders = [
            ("message_bytes", self.message_bytes, "image_bytes", self.image_bytes),
            ("message_bytes", self.message_bytes, "ndjson_bytes_max", self.ndjson_bytes_max),
            ("ndjson_bytes_max", self.ndjson_bytes_max, "bodies_bytes_max", self.bodies_bytes_max),
            ("image_bytes", self.image_bytes, "images_bytes_max", self.images_bytes_max),
            ("image_bytes", self.image_bytes, "bodies_bytes_max", self.bodies_bytes_max),
            ("retain_bytes", self.retain_bytes, "retain_bytes_max", self.retain_bytes_max),
            ("behind_bytes", self.behind_bytes, "ring_bytes", self.ring_bytes),
        ];
        for (small, small_bytes, large, large_bytes) in orders {
            check(
                small_bytes <= large_bytes,
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
        found
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.admin_listen.ip().is_loopback() {
            let admin = self.admin_listen;
            warnings.push(format!(
                "admin_listen = {admin} reaches beyond loopback: metrics and clients' addresses show there"
            ));
        }
        if !self.listen.ip().is_loopback() && self.allow_host.is_empty() {
            warnings
                .push("listen reaches beyond loopback and allow_host is empty: clients must use the IP address".into());
        }
        warnings
    }
}

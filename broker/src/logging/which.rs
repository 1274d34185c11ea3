//! Which lines are written, and how.

use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A crate that says at the level of information what only its makers need.
const QUIET: &str = "async_nats";

/// Which log lines are written, in the syntax of `tracing`'s `EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Parses a filter; `None` if the text is not one.
    pub fn parse(text: &str) -> Option<LogFilter> {
        // `EnvFilter` reads an unknown bare word as a target, which would silently disable all other logs.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let bare = |part: &str| part.contains(['=', '[']) || levels.contains(&part.to_ascii_lowercase().as_str());
        let good = EnvFilter::try_new(text).is_ok() && text.split(',').all(|part| bare(part.trim()));
        good.then(|| LogFilter(text.to_owned()))
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The filter itself.
    pub(super) fn to_filter(&self) -> EnvFilter {
        // What the client of NATS says at its ends and beginnings, the broker says itself. Who names it hears it.
        let is_talkative = ["info", "debug", "trace"].iter().any(|level| self.0.to_ascii_lowercase().contains(level));
        match is_talkative && !self.0.contains(QUIET) {
            true => EnvFilter::new(format!("{},{QUIET}=warn", self.0)),
            false => EnvFilter::new(&self.0),
        }
    }
}

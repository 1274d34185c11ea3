//! Logs: lines on standard error, for people or for machines.

use std::io;

use tracing_subscriber::fmt;

use crate::config::{LogFilter, LogFormat};

/// Starts logging for the whole process. A second call (two brokers in one test) changes nothing.
pub fn start(format: LogFormat, filter: &LogFilter) {
    let lines = fmt().with_env_filter(filter.to_filter()).with_writer(io::stderr);
    // Fails only where someone else has started logging already: then theirs counts.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

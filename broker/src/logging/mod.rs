//! Logs: lines on standard error, for people or for machines.
//!
//! Whoever logs never waits for whoever reads the log, and never fails because of it: lines go through a bounded queue to
//! a thread of their own. One that cannot be written (the reader is gone, the disk is full), or for which there is no
//! room, is lost and counted. And no line is repeated at the pace of what it tells of: see [`Repeats`].

mod repeats;
mod writer;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use self::repeats::{Once, Repeats};
use self::writer::Writer;
use crate::config::{LogFilter, LogFormat};

/// Where lines of which each counts come from, however many there are at once: they are as many as the operator's
/// settings, or the broker ends right after them.
pub const EACH: &str = "broker::each";

/// How long the end of the process waits for lines that are still to be written.
const FLUSH_TIME: Duration = Duration::from_millis(250);

static WRITER: OnceLock<Writer> = OnceLock::new();

/// Starts logging for the whole process. A second call (two brokers in one test) changes nothing.
///
/// # Errors
/// The thread that writes cannot be started.
pub fn start(format: LogFormat, filter: &LogFilter) -> io::Result<()> {
    if WRITER.get().is_some() {
        return Ok(());
    }
    let repeats = Repeats::default();
    let writer = WRITER.get_or_init(|| Writer::new(io::stderr(), repeats.clone()));
    writer.start()?;
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let filter = filter.to_filter();
    // Fails only where someone else has started logging already: then theirs counts.
    let _ = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
            let lines = lines.map_event_format(|form| Once::new(form, repeats));
            tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            let lines = lines.map_event_format(|form| Once::new(form, repeats));
            tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
        }
    };
    // The usual hook writes by itself, and would wait for a reader that does not read.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (thread, backtrace) = (thread.name().unwrap_or("?"), std::backtrace::Backtrace::capture());
        tracing::error!(target: EACH, thread, %backtrace, "{panic}");
        // It may be the last thing that the process does.
        flush();
    }));
    Ok(())
}

/// Lines that were lost since the start.
pub fn lost() -> u64 {
    WRITER.get().map_or(0, Writer::lost)
}

/// Waits until everything that was logged is written, though not for ever.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_TIME);
    }
}

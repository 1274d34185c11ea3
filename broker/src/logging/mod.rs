//! The log: lines on standard error, for people or for machines.
//!
//! Logging never waits for the reader of the log, and never fails because of it: lines go through a bounded queue to a
//! thread of their own. A line that cannot be written (the reader is gone, the disk is full), or for which there is no
//! room, is dropped and counted. Lines about events that repeat are not written each time: see [`Repeats`].

mod repeats;
mod which;
mod writer;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use self::repeats::{Once, Repeats};
pub use self::which::{LogFilter, LogFormat};
use self::writer::Writer;

/// The target of lines that are all written, however many there are at once. There are at most as many as the
/// operator's settings, or the broker ends right after them.
pub const EACH: &str = "broker::each";

/// How long the end of the process waits for lines that are still to be written.
const FLUSH_TIME: Duration = Duration::from_millis(250);

static WRITER: OnceLock<Writer> = OnceLock::new();
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

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
    let (filter, handle) = reload::Layer::new(filter.to_filter());
    let _ = FILTER.set(handle);
    // Fails only if logging was started elsewhere already, which then counts.
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
    // The default hook writes to standard error itself, and would wait for a reader that does not read.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (thread, backtrace) = (thread.name().unwrap_or("?"), std::backtrace::Backtrace::capture());
        tracing::error!(target: EACH, thread, %backtrace, "{panic}");
        // It may be the last thing that the process does.
        flush();
    }));
    Ok(())
}

/// Replaces the filter that decides which lines are written.
pub(crate) fn change_filter(filter: &LogFilter) {
    if let Some(handle) = FILTER.get() {
        // Fails only if something else in this process replaced the whole log, which then counts.
        let _ = handle.reload(filter.to_filter());
    }
}

/// Lines that were lost since the start.
pub fn lost() -> u64 {
    WRITER.get().map_or(0, Writer::lost)
}

/// Waits until everything that was logged is written, for a bounded time.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_TIME);
    }
}

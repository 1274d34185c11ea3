//! Warnings and errors that repeat: one line, and every ten seconds the number of further ones. What goes wrong often
//! goes wrong for every client and a thousand times a second, and the log has to stay readable and small.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, callsite};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::EACH;

use crate::sync::lock;

/// Within this time, one line from each site in the code is written.
const PERIOD: Duration = Duration::from_secs(10);

/// The lines that were written lately, by their sites in the code.
#[derive(Clone, Default)]
pub(super) struct Repeats {
    sites: Arc<Mutex<HashMap<callsite::Identifier, Site>>>,
}

struct Site {
    since: Instant,
    message: String,
    left_out: u64,
}

impl Repeats {
    fn lock(&self) -> MutexGuard<'_, HashMap<callsite::Identifier, Site>> {
        lock(&self.sites)
    }

    /// Returns whether a line is written, or only counted.
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == EACH {
            return true;
        }
        let mut sites = self.lock();
        if let Some(site) = sites.get_mut(&metadata.callsite()) {
            // The lines that were left out are reported before the site is forgotten.
            if site.left_out > 0 || now < site.since + PERIOD {
                site.left_out += 1;
                return false;
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        sites.insert(metadata.callsite(), Site { since: now, message: message.0, left_out: 0 });
        true
    }

    /// Takes out what was left out in periods that are over: the number of lines, and their message.
    fn over(&self, now: Instant) -> Vec<(u64, String)> {
        let mut over = Vec::new();
        self.lock().retain(|_, site| {
            if now < site.since + PERIOD {
                return true;
            }
            if site.left_out == 0 {
                return false;
            }
            over.push((std::mem::take(&mut site.left_out), site.message.clone()));
            // If more come, the end of the next period reports them as well.
            site.since = now;
            true
        });
        over
    }

    /// Logs how many lines were left out.
    pub(super) fn report(&self) {
        for (more, of) in self.over(Instant::now()) {
            tracing::warn!(target: EACH, more, of, "more lines like one before, in the last {} s", PERIOD.as_secs());
        }
    }
}

/// An event's message, without its other fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// A format of lines that leaves out repeated ones.
pub(super) struct Once<F> {
    form: F,
    repeats: Repeats,
}

impl<F> Once<F> {
    pub(super) fn new(form: F, repeats: Repeats) -> Self {
        Self { form, repeats }
    }
}

impl<S, N, F> FormatEvent<S, N> for Once<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, line: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        match self.repeats.admits(event, Instant::now()) {
            true => self.form.format_event(cx, line, event),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps the lines that are written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn fail(what: u32) {
        tracing::warn!(what, "it failed");
    }

    #[test]
    fn a_line_is_written_once_and_then_counted() {
        let (repeats, written) = (Repeats::default(), Written::default());
        let writer = written.clone();
        let lines = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let lines = lines.map_event_format(|form| Once::new(form, repeats.clone()));
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            for what in 0..1000 {
                fail(what);
                tracing::warn!("so did this");
                tracing::warn!(target: EACH, "each counts");
                tracing::info!("an event like any other");
            }
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!((count("it failed"), count("so did this")), (1, 1));
        assert_eq!((count("each counts"), count("an event like any other")), (1000, 1000));
        assert_eq!(text.lines().count(), 2002);
        // Nothing is reported before the period is over, then all of it, then nothing more.
        let begun = Instant::now();
        assert_eq!(repeats.over(begun), []);
        let mut over = repeats.over(begun + PERIOD);
        over.sort();
        assert_eq!(over, [(999, "it failed".to_owned()), (999, "so did this".to_owned())]);
        assert_eq!(repeats.over(begun + 3 * PERIOD), []);
        assert!(repeats.lock().is_empty());
    }
}

//! The progress of a run on standard error: on a terminal one line that is redrawn, elsewhere a line every ten seconds.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use feed_player::progress::{Progress, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, interval};

const REDRAWN_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The rate is taken over this many redraws, so that it is steady enough to read.
const RATE_OVER_REDRAWS: u32 = 4;

/// The line that shows the progress. Clones are the same line.
#[derive(Clone)]
pub(crate) struct Shown {
    bar: ProgressBar,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Shown { bar: ProgressBar::hidden() }
    }

    /// Shows the progress until the future is dropped: cancel it when the run is over. A run shorter than the first
    /// interval shows nothing.
    pub(crate) async fn follow(self, progress: Arc<Progress>) {
        let started = Instant::now();
        if io::stderr().is_terminal() {
            self.bar.set_style(ProgressStyle::default_spinner().template("{msg}").expect("the template is valid"));
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            let mut shown = [(Duration::ZERO, Snapshot::default()); RATE_OVER_REDRAWS as usize];
            let mut ticks = interval(REDRAWN_EVERY);
            ticks.tick().await;
            for turn in (0..shown.len()).cycle() {
                ticks.tick().await;
                let (now, snapshot) = (started.elapsed(), progress.snapshot());
                let (before_now, before) = std::mem::replace(&mut shown[turn], (now, snapshot));
                self.bar.set_message(snapshot.line(now, &before, before_now));
                self.bar.tick();
            }
        } else {
            let (mut before_now, mut before) = (Duration::ZERO, Snapshot::default());
            let mut ticks = interval(LINE_EVERY);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let (now, snapshot) = (started.elapsed(), progress.snapshot());
                tracing::info!("{}", snapshot.line(now, &before, before_now));
                (before_now, before) = (now, snapshot);
            }
        }
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Standard error for the log: what is written appears above the line that is redrawn.
pub(crate) struct AboveLine(pub(crate) Shown);

impl Write for AboveLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line that cannot be written is dropped silently: its reader is gone, or the disk is full.
        let _ = self.0.bar.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

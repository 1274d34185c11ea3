//! How far a run is, on standard error: on a terminal one line that is redrawn, elsewhere a line now and then.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use feed_player::progress::{Progress, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, interval};

const REDRAWN_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The rate is that of so many redraws, so that it can be read.
const RATE_OVER_REDRAWS: u32 = 4;

/// Where it is shown. Clones are the same line.
#[derive(Clone)]
pub(crate) struct Shown {
    bar: ProgressBar,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Shown { bar: ProgressBar::hidden() }
    }

    /// Shows it until it is dropped: cancel it where the run is over. A run that is over within the first interval shows
    /// nothing.
    pub(crate) async fn follow(self, progress: Arc<Progress>) {
        let started = Instant::now();
        if io::stderr().is_terminal() {
            self.bar.set_style(ProgressStyle::default_spinner().template("{msg}").expect("a template that was tried"));
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            let mut told = [(Duration::ZERO, Snapshot::default()); RATE_OVER_REDRAWS as usize];
            let mut ticks = interval(REDRAWN_EVERY);
            ticks.tick().await;
            for turn in (0..told.len()).cycle() {
                ticks.tick().await;
                let (now, snapshot) = (started.elapsed(), progress.snapshot());
                let (before_now, before) = std::mem::replace(&mut told[turn], (now, snapshot));
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

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Standard error for the log: what is written appears above the line that is redrawn.
pub(crate) struct AboveLine(pub(crate) Shown);

impl Write for AboveLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line that cannot be written is lost, and nothing else happens: its reader is gone, or the disk is full.
        let _ = self.0.bar.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

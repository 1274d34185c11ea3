//! The progress of a run on a terminal: one line that is redrawn. Without a terminal nothing is shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::mono_ns;
use crate::measure::tally::Interval;
use crate::run::Times;

/// The progress line of a run.
pub(crate) struct Watch {
    bar: ProgressBar,
    label: String,
    running: bool,
}

impl Watch {
    /// Makes a line on standard error, if that is a terminal.
    pub(crate) fn new(label: &str, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(1) };
        Self { bar, label: label.to_owned(), running: false }
    }

    /// Shows how many of all connections have been tried.
    pub(crate) fn connecting(&mut self, tried: u32, of: u32) {
        if self.bar.length() != Some(of.into()) {
            self.bar.set_length(of.into());
            self.bar.set_style(style("{prefix:.bold} connecting  [{bar:30}] {pos} of {len}"));
            self.bar.set_prefix(self.label.clone());
        }
        self.bar.set_position(tried.into());
    }

    /// Shows a second that is over.
    pub(crate) fn running(&mut self, second: &Interval, times: &Times) {
        let whole = times.window_ns.1 - times.publish_ns;
        if !self.running {
            self.running = true;
            self.bar.reset();
            self.bar.set_length(whole);
            self.bar.set_style(style("{prefix:.bold} {elapsed:>4} [{bar:30}] {msg}"));
            self.bar.enable_steady_tick(Duration::from_millis(250));
        }
        self.bar.set_position(mono_ns().saturating_sub(times.publish_ns).min(whole));
        let p99 = second.corrected.value_at_quantile(0.99) as f64 / 1e6;
        let (rate, open) = (second.deliveries, second.open);
        self.bar.set_message(format!("{rate} deliveries/s  p99 {p99:.2} ms  {open} subscribers"));
    }

    /// Removes the line, because the run is over.
    pub(crate) fn done(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}

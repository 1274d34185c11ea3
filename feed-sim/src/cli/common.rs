//! What a simulated and a recorded feed have in common: where it goes, how long, and what is told of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::faults::FaultArgs;
use feed_formats::{FILE_ENDINGS, is_file_name};
use feed_player::publish::{Broker, Lines, Publishing, Target};
use feed_player::run::Play;
use feed_player::schedule::{BATCH_UPDATES_MAX, BatchBounds, Pace, Until};

/// More connections than that gain nothing, and a broker admits a bounded number.
const PRODUCERS_MAX: u16 = 256;

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// A broker's WebSocket URL, `stdout` (NDJSON as `POST /v1/publish` takes it), a new file FILE.ndjson,
    /// FILE.ndjson.gz or FILE.ndjson.zst (the same with the feed's own times, to be replayed), or `null`
    #[arg(long, value_name = "WHERE", env = "FEED_SIM_TO", default_value = "ws://127.0.0.1:9000/v1/ws")]
    to: String,
    /// Replace the file of `--to` if it exists
    #[arg(long)]
    force: bool,
    /// Stop after so many seconds: real ones, or with `max` those of the feed's own clock
    #[arg(long, value_name = "S", value_parser = seconds)]
    duration: Option<Duration>,
    /// Stop after so many updates
    #[arg(long, value_name = "N")]
    updates: Option<u64>,
    /// Connections to the broker; each has its share of the instruments
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(PRODUCERS_MAX)))]
    producers: u16,
    /// Publish without a source and its numbers: less to send, and what is on its way when a connection is lost may be
    /// lost with it (it is counted as unanswered)
    #[arg(long)]
    unacknowledged: bool,
    /// Updates that go into one message at most
    #[arg(long, value_name = "N", default_value_t = BATCH_UPDATES_MAX as u16, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// What became of it, at the end: `text` on standard error, or `json` on standard output (on standard error where
    /// the updates themselves go there)
    #[arg(long, value_name = "FORM", default_value = "text")]
    summary: SummaryForm,
    /// No progress on standard error
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

/// How the summary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryForm {
    Text,
    Json,
}

impl Common {
    pub(crate) fn play(&self, pace: Pace, strict: bool) -> Play {
        let until = Until { duration: self.duration, updates: self.updates };
        let batch = BatchBounds { updates_max: self.batch.into(), ..BatchBounds::default() };
        Play { pace, until, strict, batch }
    }

    /// Where `--to` leads.
    pub(crate) async fn target(&self) -> anyhow::Result<Target> {
        match self.to.as_str() {
            "stdout" => Ok(Target::Lines(Lines::new(Box::new(std::io::stdout())))),
            "null" => Ok(Target::Nowhere),
            url if url.starts_with("ws://") || url.starts_with("wss://") => {
                let publishing = Publishing { producers: self.producers.into(), unacknowledged: self.unacknowledged };
                let broker =
                    Broker::connect_with(url, publishing).await.with_context(|| format!("cannot publish to {url}"))?;
                Ok(Target::Broker(Box::new(broker)))
            }
            file if is_file_name(file) => {
                let out = feed_formats::create(Path::new(file), self.force);
                let out = out.with_context(|| format!("cannot write {file}"))?;
                Ok(Target::Lines(Lines::recording(file.to_owned(), out)))
            }
            other => bail!(
                "--to {other:?} is neither a WebSocket URL nor `stdout` nor `null` nor a file whose name ends in {}",
                FILE_ENDINGS.join(", ")
            ),
        }
    }

    /// Whether nothing is to be told while it runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How the summary is written, and whether standard output is free for it.
    pub(crate) fn summary(&self) -> (SummaryForm, bool) {
        (self.summary, self.to != "stdout")
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

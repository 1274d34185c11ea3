//! The options that simulated and recorded feeds share: the target, the length, and what is reported.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::access::AccessArgs;
use super::faults::FaultArgs;
use feed_formats::{FILE_ENDINGS, is_file_name};
use feed_player::publish::{Broker, Lines, Publishing, Target};
use feed_player::run::Play;
use feed_player::schedule::{BATCH_UPDATES_MAX, BatchBounds, Pace, Until};

/// More connections gain nothing, and a broker admits a bounded number.
const PRODUCERS_MAX: u16 = 256;

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// A broker's WebSocket URL (ws:// or wss://), `stdout` (NDJSON as `POST /v1/publish` takes it), a new file FILE.ndjson,
    /// FILE.ndjson.gz or FILE.ndjson.zst (the same with the feed's own times, for replay), or `null`
    #[arg(long, value_name = "WHERE", env = "FEED_SIM_TO", default_value = "ws://127.0.0.1:9000/v1/ws")]
    to: String,
    /// Replace the file of `--to` if it exists
    #[arg(long)]
    force: bool,
    /// Stop after this many seconds: real ones, or with `max` seconds of the feed's own clock
    #[arg(long, value_name = "S", value_parser = seconds)]
    duration: Option<Duration>,
    /// Stop after this many updates
    #[arg(long, value_name = "N")]
    updates: Option<u64>,
    /// Connections to the broker; each has its share of the instruments
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(PRODUCERS_MAX)))]
    producers: u16,
    /// Publish without a source and its numbers: there is less to send, but updates in flight when a connection is lost
    /// may be lost with it (they are counted as unanswered)
    #[arg(long)]
    unacknowledged: bool,
    /// The most updates in one message
    #[arg(long, value_name = "N", default_value_t = BATCH_UPDATES_MAX as u16, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// The form of the summary at the end: `text` on standard error, or `json` on standard output (on standard error if
    /// the updates themselves go to standard output)
    #[arg(long, value_name = "FORM", default_value = "text")]
    summary: SummaryForm,
    /// Show no progress on standard error
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    access: AccessArgs,
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

    /// Opens the target that `--to` names.
    pub(crate) async fn target(&self) -> anyhow::Result<Target> {
        match self.to.as_str() {
            "stdout" => Ok(Target::Lines(Lines::new(Box::new(std::io::stdout())))),
            "null" => Ok(Target::Nowhere),
            url if url.starts_with("ws://") || url.starts_with("wss://") => {
                let publishing = Publishing {
                    producers: self.producers.into(),
                    unacknowledged: self.unacknowledged,
                    token: self.access.token(),
                    tls: self.access.tls(),
                };
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
                "--to {other:?} is neither a WebSocket URL, `stdout` or `null`, nor a file whose name ends in {}",
                FILE_ENDINGS.join(", ")
            ),
        }
    }

    /// Whether no progress is shown during the run.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How the summary is written, and whether standard output is free for it.
    pub(crate) fn summary(&self) -> (SummaryForm, bool) {
        (self.summary, self.to != "stdout")
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

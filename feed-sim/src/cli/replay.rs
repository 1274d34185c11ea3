//! The options of `replay`.

use std::path::PathBuf;

use clap::Args;
use feed_formats::{Moment, Playback, Rounds};

use super::{Common, Rate};

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A format from `feed-sim list`
    pub(crate) format: String,
    /// The recording, plain, gzip, bzip2 or zstd; `-` is standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
    /// N times the recorded speed, or `max`
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) speed: Rate,
    /// Stop at the first record that cannot be used, with exit code 1
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

/// The part of a recording that is played, and how often.
#[derive(Args, Debug)]
#[command(next_help_heading = "Recording")]
pub(crate) struct PartArgs {
    /// The meaning of the columns of `csv` or the fields of `ndjson` (`feed-sim describe csv`)
    #[arg(long, value_name = "FILE.toml")]
    mapping: Option<PathBuf>,
    /// Begin at this time: one after the beginning (90s, 5m), a time of day (09:30), or a date and time
    /// (2024-08-08T12:30:00Z). States from before it go out first
    #[arg(long, value_name = "TIME")]
    start: Option<Moment>,
    /// End at this time, written like --start
    #[arg(long, value_name = "TIME")]
    stop: Option<Moment>,
    /// Play only topics that have this segment, repeatable
    #[arg(long = "symbol", value_name = "SYM")]
    symbols: Vec<String>,
    /// Begin again at the end, N times in all or forever
    #[arg(long = "loop", value_name = "N", num_args = 0..=1, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<Option<u64>>,
}

impl PartArgs {
    pub(crate) fn playback(&self) -> Playback {
        Playback {
            mapping: self.mapping.clone(),
            start: self.start,
            stop: self.stop,
            symbols: self.symbols.clone(),
            rounds: match self.rounds {
                None => Rounds::One,
                Some(None) => Rounds::Endless,
                Some(Some(rounds)) => Rounds::Some(rounds),
            },
        }
    }
}

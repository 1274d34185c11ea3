//! The command line.

mod access;
mod common;
mod faults;
mod replay;
mod stats;

use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use feed_player::schedule::Pace;

use common::seconds;
pub(crate) use common::{Common, SummaryForm};

pub(crate) use faults::faults_help;
pub(crate) use replay::ReplayArgs;
pub(crate) use stats::StatsArgs;

/// Simulated and recorded feeds, published to a Tickcast broker.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List the scenarios and the recording formats
    List,
    /// Describe what a scenario or a format publishes: topics, fields, and what agrees with what
    Describe {
        /// A name from `feed-sim list`
        name: String,
    },
    /// Publish a simulated feed; the same seed gives the same updates
    Run(RunArgs),
    /// Publish a recorded feed
    Replay(ReplayArgs),
    /// List the faults that `--fault` injects, and their syntax
    Faults,
    /// Compare feeds by their figures: rates, spreads, burstiness, sizes, returns
    Stats(StatsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// A scenario from `feed-sim list`
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// The seed of all randomness
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Updates per second on average, or `max`; by default the scenario's own rate
    #[arg(long, value_name = "UPDATES_PER_S")]
    pub(crate) rate: Option<Rate>,
    /// How many stocks, or matches at once; by default the scenario's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) instruments: Option<u32>,
}

/// A number above 0, or `max`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rate {
    Of(f64),
    Max,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Rate::Max),
            Ok(number) if number.is_finite() && number > 0.0 => Ok(Rate::Of(number)),
            _ => Err("it is neither a number above 0 nor `max`".to_owned()),
        }
    }
}

impl Rate {
    /// Returns the pace that gives this rate to a feed of `each_s` updates a second.
    pub(crate) fn pace(self, each_s: f64) -> Pace {
        match self {
            Rate::Of(number) => Pace::Speed(number / each_s),
            Rate::Max => Pace::Max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rates() {
        for (text, good) in [("200", true), ("0.5", true), ("max", true), ("0", false), ("-1", false), ("inf", false)] {
            assert_eq!(text.parse::<Rate>().is_ok(), good, "{text}");
        }
    }
}

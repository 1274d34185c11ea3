//! `feed-sim stats`: its options, and what they measure.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use feed_player::publication::Feed;
use feed_scenarios::Simulated;
use feed_sim::stats::{Collector, Figures, json, table};

use super::seconds;
use crate::say;

/// How much of a scenario is measured unless `--duration` is given.
const SCENARIO_DURATION: Duration = Duration::from_secs(600);

#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    /// What to measure, each a column of the table: a scenario (`stocks`) or a recording (`binance:capture.gz`)
    #[arg(required = true, value_name = "SCENARIO|FORMAT:FILE")]
    sources: Vec<Source>,
    /// The seed of all randomness of the scenarios
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds to measure of each feed, on its own clock; by default 600 s of a scenario and the whole of a recording
    #[arg(long, value_name = "S", value_parser = seconds)]
    duration: Option<Duration>,
    /// How many stocks, or matches at once, a scenario has; by default its own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    instruments: Option<u32>,
    /// Measure only this instrument: its symbol (`AAPL`) or its topics without their last segment (`stocks.AAPL`)
    #[arg(long, value_name = "SYM")]
    instrument: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A feed to be measured.
#[derive(Debug, Clone)]
enum Source {
    Scenario(String),
    Recording { format: String, file: PathBuf },
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        match text.split_once(':') {
            Some((format, file)) if feed_formats::find(format).is_some() && !file.is_empty() => {
                Ok(Source::Recording { format: format.to_owned(), file: file.into() })
            }
            None if feed_scenarios::find(text).is_some() => Ok(Source::Scenario(text.to_owned())),
            _ => Err("it is neither a scenario nor FORMAT:FILE with a format from `feed-sim list`".to_owned()),
        }
    }
}

impl Source {
    /// The heading of its column. Of several recordings of one format, it includes the file's name without its path.
    fn name(&self, all: &[Source]) -> String {
        match self {
            Source::Scenario(name) => name.clone(),
            Source::Recording { format, file } => {
                let same =
                    |other: &&Source| matches!(other, Source::Recording { format: of_other, .. } if of_other == format);
                match file.file_name() {
                    Some(name) if all.iter().filter(same).count() > 1 => format!("{format}:{}", name.display()),
                    _ => format.clone(),
                }
            }
        }
    }

    fn open(&self, args: &StatsArgs) -> anyhow::Result<Box<dyn Feed>> {
        match self {
            Source::Scenario(name) => {
                let entry = feed_scenarios::find(name).context("the scenario is gone")?;
                Ok(Box::new(Simulated(entry.build(args.seed, args.instruments))))
            }
            Source::Recording { format, file } => {
                let format = feed_formats::find(format).context("the format is gone")?;
                format.open(file).with_context(|| format!("cannot read {}", file.display()))
            }
        }
    }

    fn measure(&self, args: &StatsArgs) -> anyhow::Result<Figures> {
        let mut feed = self.open(args)?;
        let own = match self {
            Source::Scenario(_) => SCENARIO_DURATION,
            Source::Recording { .. } => Duration::MAX,
        };
        let until_us = u64::try_from(args.duration.unwrap_or(own).as_micros()).unwrap_or(u64::MAX);
        let name = self.name(&args.sources);
        let mut collector = Collector::new(args.instrument.as_deref());
        if let Err(bad) = collector.take_feed(&mut feed, until_us) {
            tracing::warn!("{name}: {bad}; the figures cover the feed up to there");
        }
        Ok(Figures::new(&name, &collector))
    }
}

impl StatsArgs {
    /// Measures one source after the other and prints the table, or the JSON.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let figures = self.sources.iter().map(|source| source.measure(self)).collect::<anyhow::Result<Vec<_>>>()?;
        let text = if self.json { format!("{:#}\n", json(&figures)) } else { format!("{}\n", table(&figures)) };
        Ok(say::output(&text)?)
    }
}

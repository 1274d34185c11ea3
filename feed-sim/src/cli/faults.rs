//! The options for faults.

use anyhow::{anyhow, bail};
use broker_protocol::Pattern;
use clap::Args;
use feed_player::faults::{Fault, Faulty, KINDS, Plan};
use feed_player::publication::Feed;

/// `--fault` and what belongs to it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Faults")]
pub(crate) struct FaultArgs {
    /// Inject a fault, repeatable: gap=0.1%, duplicate=1%, reorder=1%:3, burst=100ppm:2s, silence=100ppm:10s,
    /// clock-skew=1%:200ms, correction=1%, malformed=0.1%, … (`feed-sim faults` lists them all)
    #[arg(long = "fault", value_name = "KIND=RATE[:PARAMETER]", value_parser = fault)]
    faults: Vec<Fault>,
    /// Inject faults into these topics only; bursts, silences of the feed and clock faults affect all topics, but only
    /// updates of these topics trigger them
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    fault_topic: Option<Pattern>,
    /// The seed of the faults; by default the scenario's seed
    #[arg(long, value_name = "SEED")]
    fault_seed: Option<u64>,
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse()
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.to_string())
}

impl FaultArgs {
    /// Returns `feed` with the requested faults, drawn from `seed` unless `--fault-seed` is given.
    pub(crate) fn inject<F: Feed>(&self, feed: F, seed: u64) -> anyhow::Result<Faulty<F>> {
        if self.faults.is_empty() && self.fault_seed.is_some() {
            bail!("--fault-seed has no effect without --fault: add a fault (`feed-sim faults` lists them)");
        }
        let seed = self.fault_seed.unwrap_or(seed);
        let plan =
            Plan::new(self.faults.clone(), self.fault_topic.clone(), seed).map_err(|why| anyhow!("--fault: {why}"))?;
        Ok(Faulty::new(feed, &plan))
    }
}

/// What `feed-sim faults` prints.
pub(crate) fn faults_help() -> String {
    let mut text =
        "faults for `--fault` of `run` and `replay` (RATE: 0.1%, 100ppm or 0.001 of the updates, up to 50%;\n\
        DURATION: 1500us, 20ms, 5s or 2m of the feed's own clock, up to ten minutes):"
            .to_owned();
    for kind in KINDS {
        text.push_str(&format!("\n  {}\n      {}", kind.syntax, kind.what));
    }
    text.push_str("\nThe same --fault-seed injects the same faults. The summary counts them all.");
    text
}

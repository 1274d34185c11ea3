//! Stocks, football, a chat room and a few servers for `tickcast demo`: a modest rate, and lively to watch.

use std::future::Future;

use anyhow::Context;

use crate::{Simulated, find};
use feed_player::publish::{Broker, Publishing, Target, Token};
use feed_player::run::{Play, run};
use feed_player::schedule::Pace;
use feed_player::summary::Summary;

/// Updates per second in all.
const DEMO_UPDATES_PER_S: f64 = 200.0;

/// Publishes the scenario `demo` from `seed` to the broker at `url` (`ws://127.0.0.1:9000/v1/ws`), in real time, until
/// `stop` completes, as the client that the token names. A lost connection is replaced; an error means that the first one could not be made, or that the
/// broker forbade reconnecting.
pub async fn demo(url: &str, token: Token, seed: u64, stop: impl Future<Output = ()>) -> anyhow::Result<Summary> {
    let entry = find("demo").context("the catalogue has no scenario \"demo\"")?;
    let scenario = entry.build(seed, None);
    let pace = Pace::Speed(DEMO_UPDATES_PER_S / scenario.updates_per_s());
    let target =
        Target::Broker(Box::new(Broker::connect_with(url, Publishing { token, ..Publishing::default() }).await?));
    let (summary, result) = run(Simulated(scenario), Play::at(pace), target, stop).await;
    result?;
    Ok(summary)
}

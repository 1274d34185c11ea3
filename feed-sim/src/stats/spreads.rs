//! Spreads between the best bid and the best ask, in ticks of the instrument.

use std::collections::BTreeMap;

use super::decimal::Price;

/// The most distinct spreads kept per instrument; a further one counts as the next smaller.
const SPREADS_MAX: usize = 1_000;

/// The spreads of an instrument. Its tick is found from its prices: the largest step that all of them are multiples of.
#[derive(Debug, Clone, Default)]
pub(super) struct Spreads {
    tick: Price,
    counts: BTreeMap<Price, u64>,
}

impl Spreads {
    /// Takes in the best prices, the ask above the bid.
    pub(super) fn push(&mut self, bid: Price, ask: Price) {
        self.tick = greatest_common_divisor(greatest_common_divisor(self.tick, bid), ask);
        let spread = ask - bid;
        if self.counts.len() >= SPREADS_MAX
            && !self.counts.contains_key(&spread)
            && let Some((_, count)) = self.counts.range_mut(..spread).next_back()
        {
            *count += 1;
        } else {
            *self.counts.entry(spread).or_default() += 1;
        }
    }

    /// Adds how often each spread occurred, by its number of ticks.
    pub(super) fn add_to(&self, ticks: &mut BTreeMap<u64, u64>) {
        for (spread, count) in &self.counts {
            *ticks.entry(spread / self.tick.max(1)).or_default() += count;
        }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The value that the fraction `quantile` of all counted values does not exceed.
pub(super) fn quantile(counts: &BTreeMap<u64, u64>, quantile: f64) -> Option<f64> {
    let all: u64 = counts.values().sum();
    let mut left = ((all as f64 * quantile).ceil() as u64).max(1);
    counts.iter().find_map(|(value, count)| {
        let found = left <= *count;
        left = left.saturating_sub(*count);
        found.then_some(*value as f64)
    })
}

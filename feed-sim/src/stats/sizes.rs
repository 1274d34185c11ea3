//! Sizes of trades.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::moments::Moments;
use super::quantiles::Quantiles;

/// A round lot of stocks.
const ROUND_LOT: f64 = 100.0;
/// How many of the largest sizes are kept for the estimate of the tail.
const TAIL_MAX: usize = 10_000;
/// The tail is one part in this many of all sizes: 5 %.
const TAIL_PARTS: usize = 20;
/// Fewer sizes say nothing about a tail.
const TAIL_MIN: usize = 20;

/// Sizes of trades, in units of the instrument.
pub struct Sizes {
    moments: Moments,
    quantiles: Quantiles,
    round: u64,
    /// The largest sizes, the least of them on top, as bits: those of positive floating point numbers have their order.
    largest: BinaryHeap<Reverse<u64>>,
}

impl Default for Sizes {
    fn default() -> Self {
        // Millionths: crypto trades go down to a hundredth of that, but their median does not.
        Sizes { moments: Moments::default(), quantiles: Quantiles::of_units(1e6), round: 0, largest: BinaryHeap::new() }
    }
}

impl Sizes {
    /// Takes in a size above 0.
    pub fn push(&mut self, size: f64) {
        if !(size > 0.0 && size.is_finite()) {
            return;
        }
        self.moments.push(size);
        self.quantiles.push(size);
        self.round += u64::from(size % ROUND_LOT == 0.0);
        self.largest.push(Reverse(size.to_bits()));
        if self.largest.len() > TAIL_MAX {
            self.largest.pop();
        }
    }

    /// The moments of the sizes: their number and mean among others.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The size that the fraction `quantile` of all sizes does not exceed.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        self.quantiles.at(quantile)
    }

    /// The share of sizes that are multiples of a round lot (100), in percent.
    pub fn round_lots_percent(&self) -> Option<f64> {
        let count = self.moments.count();
        (count > 0).then(|| self.round as f64 * 100.0 / count as f64)
    }

    /// The tail index α of P(size > x) ~ x^−α, estimated from the largest 5 % (at most 10,000): B. M. Hill, "A simple
    /// general approach to inference about the tail of a distribution", Annals of Statistics 3, 1163 (1975).
    pub fn tail_index(&self) -> Option<f64> {
        let tail = (self.moments.count() as usize / TAIL_PARTS).min(self.largest.len().saturating_sub(1));
        if tail < TAIL_MIN {
            return None;
        }
        let mut largest: Vec<f64> = self.largest.iter().map(|Reverse(bits)| f64::from_bits(*bits)).collect();
        largest.sort_unstable_by(|a, b| b.total_cmp(a));
        let threshold = largest[tail].ln();
        let sum: f64 = largest[..tail].iter().map(|size| size.ln() - threshold).sum();
        (sum > 0.0).then(|| tail as f64 / sum)
    }
}

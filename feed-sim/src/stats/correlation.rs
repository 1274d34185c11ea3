//! Autocorrelation of a series in one pass, keeping as many of the last values as the largest lag.

use std::collections::VecDeque;

/// Pearson's correlation of pairs, by updating co-moments (see [`Moments`](super::Moments) for the source).
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    count: f64,
    mean: [f64; 2],
    m2: [f64; 2],
    product: f64,
}

impl Pairs {
    fn push(&mut self, earlier: f64, later: f64) {
        self.count += 1.0;
        let delta = [earlier - self.mean[0], later - self.mean[1]];
        self.mean[0] += delta[0] / self.count;
        self.mean[1] += delta[1] / self.count;
        self.m2[0] += delta[0] * (earlier - self.mean[0]);
        self.m2[1] += delta[1] * (later - self.mean[1]);
        self.product += delta[0] * (later - self.mean[1]);
    }

    fn correlation(&self) -> Option<f64> {
        let [first, second] = self.m2;
        (self.count >= PAIRS_MIN && first > 0.0 && second > 0.0).then(|| self.product / (first.sqrt() * second.sqrt()))
    }
}

/// A correlation of fewer pairs says nothing: its standard error is about one over the square root of their number.
const PAIRS_MIN: f64 = 10.0;

/// The autocorrelation of a series at some lags: the correlation of all pairs of values so far apart.
#[derive(Debug, Clone)]
pub struct Autocorrelation<const LAGS: usize> {
    lags: [usize; LAGS],
    pairs: [Pairs; LAGS],
    last: VecDeque<f64>,
}

impl<const LAGS: usize> Autocorrelation<LAGS> {
    /// An autocorrelation at these lags, each at least 1.
    pub fn new(lags: [usize; LAGS]) -> Self {
        Autocorrelation { lags, pairs: [Pairs::default(); LAGS], last: VecDeque::new() }
    }

    /// Takes in the next value of the series.
    pub fn push(&mut self, value: f64) {
        for (lag, pairs) in self.lags.iter().zip(&mut self.pairs) {
            if let Some(earlier) = self.last.len().checked_sub(*lag) {
                pairs.push(self.last[earlier], value);
            }
        }
        if Some(&self.last.len()) == self.lags.iter().max() {
            self.last.pop_front();
        }
        self.last.push_back(value);
    }

    /// Interrupts the series: later values form no pairs with earlier ones.
    pub fn interrupt(&mut self) {
        self.last.clear();
    }

    /// The correlations, in the order of the lags; `None` for a constant series or for fewer than ten pairs.
    pub fn correlations(&self) -> [Option<f64>; LAGS] {
        self.pairs.map(|pairs| pairs.correlation())
    }
}

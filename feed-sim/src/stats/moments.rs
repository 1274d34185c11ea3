//! Mean, variance and kurtosis in one pass and constant memory.
//!
//! The updating formulas of P. Pébay, "Formulas for robust, one-pass parallel computation of covariances and
//! arbitrary-order statistical moments", Sandia report SAND2008-6212 (2008), which avoid the cancellation of sums of
//! squares.

/// The moments of the values that were pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    /// Takes in a value.
    pub fn push(&mut self, value: f64) {
        self.push_times(value, 1);
    }

    /// Takes in the same value `times` times, merged as a set that has no variance of its own.
    pub fn push_times(&mut self, value: f64, times: u64) {
        if times == 0 {
            return;
        }
        let (before, added) = (self.count as f64, times as f64);
        let count = before + added;
        let delta = value - self.mean;
        let step = delta / count;
        let product = before * added * delta * step;
        self.m4 += product * step * step * (before * before - before * added + added * added)
            + 6.0 * step * step * added * added * self.m2
            - 4.0 * step * added * self.m3;
        self.m3 += product * step * (before - added) - 3.0 * step * added * self.m2;
        self.m2 += product;
        self.mean += step * added;
        self.count += times;
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// The variance of the values as a population (divided by their number).
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2 / self.count as f64)
    }

    /// The square root of the variance.
    pub fn deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The fourth moment over the square of the variance: 3 for a normal distribution.
    pub fn kurtosis(&self) -> Option<f64> {
        (self.count > 3 && self.m2 > 0.0).then(|| self.count as f64 * self.m4 / (self.m2 * self.m2))
    }

    /// Deviation over mean: 1 for the gaps of a Poisson process.
    pub fn variation(&self) -> Option<f64> {
        Some(self.deviation()? / self.mean().filter(|mean| *mean > 0.0)?)
    }

    /// Variance over mean: 1 for the counts of a Poisson process.
    pub fn dispersion(&self) -> Option<f64> {
        Some(self.variance()? / self.mean().filter(|mean| *mean > 0.0)?)
    }
}

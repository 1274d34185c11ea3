//! Quantiles in constant memory, to three significant digits.

use hdrhistogram::Histogram;

/// Quantiles of non-negative numbers, kept as whole multiples of a fraction of one.
pub struct Quantiles {
    units: f64,
    /// `None` only if it could not be created, which its bounds exclude.
    histogram: Option<Histogram<u64>>,
}

/// The largest number, in units: with three significant digits, about half a megabyte when all of it is used.
const UNITS_MAX: u64 = 1 << 60;

impl Quantiles {
    /// Quantiles of numbers to a precision of one part in `units`, or of three significant digits if that is less
    /// precise.
    pub fn of_units(units: f64) -> Self {
        Quantiles { units, histogram: Histogram::new_with_bounds(1, UNITS_MAX, 3).ok() }
    }

    /// Takes in a number; a number that is too large counts as the largest.
    pub fn push(&mut self, value: f64) {
        if let Some(histogram) = &mut self.histogram {
            // A float beyond the bounds becomes the nearest integer.
            histogram.saturating_record((value * self.units).round() as u64);
        }
    }

    /// The number that the fraction `quantile` of all numbers does not exceed.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(three_digits(histogram.value_at_quantile(quantile) as f64 / self.units))
    }
}

/// Rounds to three significant digits, the precision of the histogram, so that a hundred does not look like 100.02.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

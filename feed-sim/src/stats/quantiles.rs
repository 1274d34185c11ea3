//! Quantiles in constant memory, to three significant digits.

use hdrhistogram::Histogram;

/// Quantiles of numbers that are not negative, kept in whole units of a fraction of one.
pub struct Quantiles {
    units: f64,
    /// `None` only if it could not be made, which its bounds exclude.
    histogram: Option<Histogram<u64>>,
}

/// Of three significant digits, up to this many units: about half a megabyte when all of it is used.
const UNITS_MAX: u64 = 1 << 60;

impl Quantiles {
    /// Numbers to the precision of one part in `units`, or of three significant digits where that is less.
    pub fn of_units(units: f64) -> Self {
        Quantiles { units, histogram: Histogram::new_with_bounds(1, UNITS_MAX, 3).ok() }
    }

    /// Takes in a number; one that is too large counts as the largest.
    pub fn push(&mut self, value: f64) {
        if let Some(histogram) = &mut self.histogram {
            // A float beyond the bounds becomes the nearest integer.
            histogram.saturating_record((value * self.units).round() as u64);
        }
    }

    /// The number that the part `quantile` of all does not exceed.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(three_digits(histogram.value_at_quantile(quantile) as f64 / self.units))
    }
}

/// Rounded to three significant digits, which is what there is: a hundred is not to look like 100.02.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

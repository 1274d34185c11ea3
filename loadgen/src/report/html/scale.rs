//! Maps values to positions on a plot, and chooses the values that an axis names.

/// The range of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    /// Equal factors are equally far apart; `from` is above 0.
    Log {
        from: f64,
        to: f64,
    },
}

/// Values with their labels; a value without a label has only a fine line.
pub(super) type Ticks = Vec<(f64, Option<String>)>;

/// Above this factor from the median to the highest value, a linear scale would show a flat line with a peak.
const LINEAR_FACTOR: f64 = 12.0;
/// Above this many powers of ten, only the powers themselves are named.
const DECADES_NAMED_FINELY: i32 = 2;
/// The approximate number of named values on a linear axis.
const TICKS: f64 = 6.0;

impl Scale {
    /// The position of a value, from 0 to 1; a value beyond an end is at that end.
    pub(super) fn position(self, value: f64) -> f64 {
        let position = match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value.max(f64::MIN_POSITIVE) / from).ln() / (to / from).ln(),
        };
        if position.is_finite() { position.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// A scale from 0 to a little above the highest value.
    pub(super) fn from_zero(highest: f64) -> (Self, Ticks) {
        let highest = if highest > 0.0 && highest.is_finite() { highest } else { 1.0 };
        let step = step(highest);
        let steps = (highest / step - 1e-9).ceil().max(1.0) as usize;
        let unit = unit(highest);
        let ticks = (0..=steps).map(|index| (index as f64 * step, Some(words(index as f64 * step, step, unit))));
        (Self::Linear { from: 0.0, to: steps as f64 * step }, ticks.collect())
    }

    /// A scale for latencies: from 0 if that is readable, logarithmic if the highest is far above the rest.
    pub(super) fn latency(lowest: f64, median: f64, highest: f64) -> (Self, Ticks) {
        if lowest.is_nan() || lowest <= 0.0 || highest <= median * LINEAR_FACTOR {
            return Self::from_zero(highest);
        }
        let mut steps = Vec::new();
        let (low, high) = (lowest.log10().floor() as i32, highest.log10().ceil() as i32);
        for power in low..=high {
            steps.extend([1, 2, 5].map(|digit| (digit, power)));
        }
        let value = |(digit, power): (i32, i32)| f64::from(digit) * 10.0_f64.powi(power);
        // With a small tolerance, so that 0.1 counts as reaching 0.1.
        let from = steps.iter().rposition(|step| value(*step) <= lowest * (1.0 + 1e-9)).unwrap_or(0);
        let to = steps.iter().position(|step| value(*step) >= highest * (1.0 - 1e-9)).unwrap_or(steps.len() - 1);
        let steps = &steps[from..=to.max(from + 1).min(steps.len() - 1)];
        let fine = high - low <= DECADES_NAMED_FINELY;
        let ticks = steps.iter().map(|&(digit, power)| {
            let decimals = usize::try_from(-power).unwrap_or(0);
            let value = value((digit, power));
            (value, (fine || digit == 1).then(|| format!("{value:.decimals$}")))
        });
        (Self::Log { from: value(steps[0]), to: value(steps[steps.len() - 1]) }, ticks.collect())
    }
}

/// The step between named values up to `highest`: 1, 2 or 5 times a power of ten.
pub(super) fn step(highest: f64) -> f64 {
    let rough = highest / TICKS;
    let power = 10.0_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999);
    factor.unwrap_or(10.0) * power
}

/// The unit of an axis up to `highest`.
fn unit(highest: f64) -> (f64, &'static str) {
    match highest {
        high if high >= 1e9 => (1e9, " G"),
        high if high >= 1e6 => (1e6, " M"),
        high if high >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    }
}

/// Formats a value with no more decimals than its step needs.
fn words(value: f64, step: f64, (unit, name): (f64, &str)) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (-(step / unit).log10().floor()).max(0.0) as usize;
    format!("{:.decimals$}{name}", value / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ticks: &Ticks) -> Vec<&str> {
        ticks.iter().filter_map(|(_, words)| words.as_deref()).collect()
    }

    #[test]
    fn axes_name_round_values_and_include_the_highest() {
        let cases: &[(f64, &[&str])] = &[
            (0.0, &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.93, &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (17.0, &["0", "5", "10", "15", "20"]),
            (98_765.0, &["0", "20 k", "40 k", "60 k", "80 k", "100 k"]),
            (100_500.0, &["0", "20 k", "40 k", "60 k", "80 k", "100 k", "120 k"]),
            (1_600_000.0, &["0", "0.5 M", "1.0 M", "1.5 M", "2.0 M"]),
        ];
        for (highest, expected) in cases {
            let (scale, ticks) = Scale::from_zero(*highest);
            assert_eq!(named(&ticks), *expected, "{highest}");
            assert!(matches!(scale, Scale::Linear { to, .. } if to >= *highest), "{highest}");
        }
    }

    #[test]
    fn a_latency_far_above_the_rest_makes_the_axis_logarithmic() {
        let (linear, _) = Scale::latency(0.2, 0.5, 3.0);
        assert_eq!(linear, Scale::Linear { from: 0.0, to: 3.0 });
        let (log, ticks) = Scale::latency(0.1, 0.5, 45.0);
        assert_eq!(log, Scale::Log { from: 0.1, to: 50.0 });
        assert_eq!(named(&ticks), ["0.1", "1", "10"]);
        assert!((log.position(5.0_f64.sqrt()) - 0.5).abs() < 1e-9, "half of the factors");
        let (_, fine) = Scale::latency(0.3, 0.5, 9.0);
        assert_eq!(named(&fine), ["0.2", "0.5", "1", "2", "5", "10"]);
        for strange in [f64::NAN, 0.0, f64::INFINITY] {
            let (scale, _) = Scale::latency(strange, strange, strange);
            assert!((0.0..=1.0).contains(&scale.position(strange)), "{strange}");
        }
    }
}

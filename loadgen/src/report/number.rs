//! Numbers for people: about three significant digits.

/// Formats a count or a measure.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 => format!("{:.2} G", value / 1e9),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e5 => format!("{:.0} k", value / 1e3),
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Formats a number of bytes.
pub(crate) fn bytes(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 => format!("{:.2} GB", value / 1e9),
        size if size >= 1e6 => format!("{:.1} MB", value / 1e6),
        size if size >= 1e4 => format!("{:.1} kB", value / 1e3),
        _ => format!("{value:.0} B"),
    }
}

/// The median: the middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Formats values as `median (min..max)`, or a single value by itself.
pub(crate) fn spread(values: &[f64]) -> String {
    let (min, max) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(*value), max.max(*value)));
    match values.len() {
        0 => "–".to_owned(),
        1 => short(values[0]),
        _ => format!("{} ({}..{})", short(median(values)), short(min), short(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        let said: Vec<String> = [0.0, 0.0123, 0.5, 12.34, 123.4, 99_999.0, 123_456.0, 4_950_000.0].map(short).into();
        assert_eq!(said, ["0", "0.012", "0.50", "12.3", "123", "99999", "123 k", "4.95 M"]);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), "2.00 (1.00..3.00)");
        assert_eq!(spread(&[]), "–");
    }
}

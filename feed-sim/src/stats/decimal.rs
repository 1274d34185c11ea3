//! Prices as whole numbers, so that ticks and spreads are exact.

use feed_formats::decimal::units;

/// A price in thousand-millionths.
pub(super) type Price = u64;

const DECIMALS: usize = 9;

/// Reads a decimal string. A negative price, which some futures have, is none here.
pub(super) fn price(text: &str) -> Option<Price> {
    units(text, DECIMALS)
}

/// The price in the unit that it is written in.
pub(super) fn as_number(price: Price) -> f64 {
    price as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices() {
        for (text, expected) in [
            ("189.10", Some(189_100_000_000)),
            ("7", Some(7_000_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("", None),
            (".5", None),
            ("-1.5", None),
            ("1e5", None),
            ("99999999999999", None),
        ] {
            assert_eq!(price(text), expected, "{text}");
        }
    }
}

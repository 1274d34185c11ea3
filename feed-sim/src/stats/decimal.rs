//! Prices as whole numbers, so that ticks and spreads are exact.

/// A price in thousand-millionths.
pub(super) type Price = u64;

const DECIMALS: usize = 9;

/// Reads a decimal string: digits, and a point with up to nine decimals behind it. A negative price, which some futures
/// have, is none here.
pub(super) fn price(text: &str) -> Option<Price> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > DECIMALS || !digits(whole) || !digits(decimals) {
        return None;
    }
    let fraction = decimals.bytes().chain(std::iter::repeat(b'0')).take(DECIMALS);
    let fraction = fraction.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
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

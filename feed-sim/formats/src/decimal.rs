//! Decimal numbers: reading them from text, and writing the prices of binary recordings as text. Neither goes through
//! floating point, which has too few digits for nanoseconds since 1970 and for some quantities.
//!
//! A number that is read consists of digits and, if it has a point, digits on both sides of it: `1.50`, but neither
//! `.5` nor `5.`, and no sign or exponent. Venues write prices and quantities as text in this way, and recorders write
//! times.

use rust_decimal::Decimal;

/// The longest number that [`read`] takes, in bytes, with leading zeros: no venue has more than 18 digits on either
/// side of the point. Both sides together may not have more digits than a [`Decimal`] holds, which is 28.
const NUMBER_BYTES_MAX: usize = 40;

/// Returns the value of a decimal number, exactly.
pub(crate) fn read(text: &str) -> Result<Decimal, String> {
    match Decimal::from_str_exact(text) {
        Ok(number) if text.len() <= NUMBER_BYTES_MAX && split(text).is_some() => Ok(number),
        _ => Err(format!("{text:?} is not a decimal number")),
    }
}

/// Returns a decimal number in units of 10^-`decimals`: 1,500 for `1.5` and 3. `None` if the text is not a decimal
/// number, if the number has a fraction of a unit, or if it does not fit into 64 bits.
pub fn units(text: &str, decimals: usize) -> Option<u64> {
    let (_, fraction) = split(text)?;
    let below = fraction.get(decimals..).unwrap_or_default();
    if below.bytes().any(|digit| digit != b'0') { None } else { whole_units(text, decimals) }
}

/// Returns a decimal number in units of 10^-`decimals`, like [`units`], but cuts off what is less than a unit.
pub(crate) fn whole_units(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = split(text)?;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(decimals);
    whole.bytes().chain(digits).try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// The digits before and after the point.
fn split(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => (digits(whole) && digits(fraction)).then_some((whole, fraction)),
        None => digits(text).then_some((text, "")),
    }
}

/// The format of a venue's prices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// How many decimals an integer has: 4 if 15,000 means 1.5.
    pub(super) decimals: u32,
    /// How many decimals are always written; zeros at the end beyond them are left out. The same price always gives the
    /// same text.
    pub(super) decimals_min: u32,
}

impl Scale {
    /// Appends a price.
    pub(super) fn push(self, text: &mut String, price: i64) {
        if price < 0 {
            text.push('-');
        }
        let (mut digits, mut decimals) = (price.unsigned_abs(), self.decimals);
        while decimals > self.decimals_min && digits.is_multiple_of(10) {
            digits /= 10;
            decimals -= 1;
        }
        // Room for the twenty digits of the largest number.
        let mut bytes = [b'0'; 20];
        let mut from = bytes.len();
        while digits > 0 {
            from -= 1;
            bytes[from] = b'0' + (digits % 10) as u8;
            digits /= 10;
        }
        let point = bytes.len() - decimals as usize;
        from = from.min(point - 1);
        text.extend(bytes[from..point].iter().map(|&byte| char::from(byte)));
        if decimals > 0 {
            text.push('.');
            text.extend(bytes[point..].iter().map(|&byte| char::from(byte)));
        }
    }
}

/// Appends an id as JSON: as a string if it is not below 2^53, so that a reader whose numbers are doubles does not
/// round it.
pub(super) fn push_id(text: &mut String, id: u64) {
    let digits = id.to_string();
    if id < 1 << 53 {
        text.push_str(&digits);
    } else {
        text.push('"');
        text.push_str(&digits);
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_DECIMALS: [&str; 14] =
        ["", ".", "1.", ".5", "-1", "+1", "+1.5", "1e5", "1,5", "1_000", "1.2.3", "NaN", " 1", "\u{661}"];

    #[test]
    fn numbers_are_read_exactly() {
        for (text, number) in [
            ("0", (0, 0)),
            ("1.50", (150, 2)),
            ("0.00000001", (1, 8)),
            ("13003.77", (1_300_377, 2)),
            ("00.10", (10, 2)),
        ] {
            assert_eq!(read(text), Ok(Decimal::new(number.0, number.1)), "{text}");
        }
        let digits = "123456789012345678";
        assert!(read(&format!("{}.{}", &digits[..10], digits)).is_ok(), "28 digits");
        for text in NO_DECIMALS {
            assert_eq!(read(text), Err(format!("{text:?} is not a decimal number")));
        }
        assert!(read(&"1".repeat(41)).is_err() && read(&format!("{digits}.{digits}")).is_err());
    }

    #[test]
    fn units_are_whole_or_cut_off() {
        for (text, decimals, exact, cut_off) in [
            ("189.10", 9, Some(189_100_000_000), Some(189_100_000_000)),
            ("7", 0, Some(7), Some(7)),
            ("0.000000001", 9, Some(1), Some(1)),
            ("0.1000000000", 9, Some(100_000_000), Some(100_000_000)),
            ("0.0000000019", 9, None, Some(1)),
            ("1.5", 0, None, Some(1)),
            ("18446744073709551615", 0, Some(u64::MAX), Some(u64::MAX)),
            ("18446744073709551616", 0, None, None),
            ("99999999999.5", 9, None, None),
            ("1.00000000000000000000000000000000000000000000000005", 1, None, Some(10)),
        ] {
            assert_eq!((units(text, decimals), whole_units(text, decimals)), (exact, cut_off), "{text}");
        }
        for text in NO_DECIMALS {
            assert_eq!((units(text, 9), whole_units(text, 9)), (None, None), "{text}");
        }
    }

    #[test]
    fn every_digit_of_a_price() {
        let cents = Scale { decimals: 4, decimals_min: 4 };
        let trimmed = Scale { decimals: 9, decimals_min: 2 };
        let whole = Scale { decimals: 0, decimals_min: 0 };
        for (scale, price, text) in [
            (cents, 5_853_300, "585.3300"),
            (cents, 1, "0.0001"),
            (cents, 0, "0.0000"),
            (cents, -12_345, "-1.2345"),
            (trimmed, 5_155_500_000_000, "5155.50"),
            (trimmed, 110_515_625_000, "110.515625"),
            (trimmed, 100_000_000_000, "100.00"),
            (trimmed, 1, "0.000000001"),
            (trimmed, i64::MAX, "9223372036.854775807"),
            (trimmed, i64::MIN, "-9223372036.854775808"),
            (whole, i64::MIN, "-9223372036854775808"),
            (whole, 0, "0"),
        ] {
            let mut written = String::new();
            scale.push(&mut written, price);
            assert_eq!(written, text);
        }
    }

    #[test]
    fn numbers_that_a_reader_would_round_are_strings() {
        for (id, json) in [(0, "0"), ((1 << 53) - 1, "9007199254740991"), (1 << 53, "\"9007199254740992\"")] {
            let mut written = String::new();
            push_id(&mut written, id);
            assert_eq!(written, json);
        }
    }
}

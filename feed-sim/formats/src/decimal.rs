//! Prices of recordings: integers with a fixed number of decimals, written as text without a detour over floating point.

/// How a venue writes its prices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// So many decimals are in an integer: 4 where 15,000 means 1.5.
    pub(super) decimals: u32,
    /// Zeros at the end are left out as long as so many decimals remain. The same price always gives the same text.
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

/// Appends a number as JSON: as a string where it is not below 2^53, so that no reader of numbers rounds it.
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

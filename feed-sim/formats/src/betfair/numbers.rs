//! The venue's numbers: doubles in JSON, in any spelling: `1.5`, `2`, `2.0` or `1.0E7`.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::decimal;

/// The longest spelling of a double with an exponent.
const NUMBER_BYTES_MAX: usize = 40;

/// Reads a number that is not below zero.
pub(super) fn number(raw: &RawValue) -> Result<Decimal, String> {
    let text = raw.get();
    let read = if text.contains(['e', 'E']) { scientific(text) } else { decimal::read(text).ok() };
    read.map(|number| number.normalize()).ok_or_else(|| format!("{text} is not a price or size"))
}

fn scientific(text: &str) -> Option<Decimal> {
    let number = (text.len() <= NUMBER_BYTES_MAX).then(|| Decimal::from_scientific(text).ok());
    number.flatten().filter(|number| !number.is_sign_negative())
}

/// Writes a number with at least two decimals, as many as every price and size of the venue has, so that each has one
/// spelling.
pub(super) fn spelled(number: Decimal) -> String {
    let mut number = number;
    if number.scale() < 2 {
        number.rescale(2);
    }
    number.to_string()
}

/// Reads a number that may be unknown, which the strings `"NaN"` and `"Infinity"` stand for.
pub(super) fn known(raw: &RawValue) -> Result<Option<String>, String> {
    if raw.get().starts_with('"') { Ok(None) } else { number(raw).map(spelled).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_number() {
        for (text, spelling) in [
            ("2", "2.00"),
            ("2.0", "2.00"),
            ("1.5", "1.50"),
            ("0", "0.00"),
            ("1.0E7", "10000000.00"),
            ("0.125", "0.125"),
        ] {
            let raw: &RawValue = serde_json::from_str(text).expect("JSON");
            assert_eq!(number(raw).map(spelled).as_deref(), Ok(spelling));
        }
        for text in ["-1", "-1e1", "\"1\"", "\"1e1\"", "null", "[1]", "1e99", "1e-99999999999"] {
            let raw: &RawValue = serde_json::from_str(text).expect("JSON");
            assert!(number(raw).is_err(), "{text}");
        }
        let raw: &RawValue = serde_json::from_str("\"NaN\"").expect("JSON");
        assert_eq!(known(raw), Ok(None));
    }
}

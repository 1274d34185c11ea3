//! Lines of a WebSocket capture: a receive time and a message.
//!
//! Two forms are read, also in one file: `<time> <json>`, and that of the recorder of the Python library `cryptofeed`
//! (`cryptofeed/raw_data_collection.py`):
//!
//! ```text
//! configuration: …                 its own settings
//! wss://host <-> <time>            connected
//! wss://host <- <time>: <json>     sent to the venue
//! https://host -> <time>: <json>   an answer over HTTP
//! <time>: <json>                   received
//! ```
//!
//! A time counts from the UNIX epoch, in seconds with or without decimals, or in whole milli-, micro- or nanoseconds.
//! Its size tells the unit.

use crate::decimal::whole_units;

/// A line of a capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Captured<'a> {
    /// A message from the venue.
    Received {
        /// The receive time, in nanoseconds since the UNIX epoch.
        at_ns: u64,
        /// The message.
        json: &'a str,
    },
    /// Anything else about the connection.
    Other,
}

/// Reads a line.
pub(crate) fn captured(line: &[u8]) -> Result<Captured<'_>, String> {
    let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    if ["wss://", "ws://", "https://", "http://", "configuration:"].iter().any(|start| line.starts_with(start)) {
        return Ok(Captured::Other);
    }
    let (time, json) = line.split_once(' ').ok_or("no blank after the receive time")?;
    let time = time.strip_suffix(':').unwrap_or(time);
    let at_ns = epoch_ns(time).ok_or("it does not begin with a receive time")?;
    Ok(Captured::Received { at_ns, json })
}

/// Reads a time in any of the units, in nanoseconds since the UNIX epoch.
fn epoch_ns(text: &str) -> Option<u64> {
    if text.contains('.') {
        return whole_units(text, 9);
    }
    let number = whole_units(text, 0)?;
    // The first limit is in the year 5138 as seconds, and was in 1973 as milliseconds.
    let unit_ns = match number {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_unit() {
        for (text, ns) in [
            ("1618677817.0616", Some(1_618_677_817_061_600_000)),
            ("1618677817.0208309", Some(1_618_677_817_020_830_900)),
            ("1618677817", Some(1_618_677_817_000_000_000)),
            ("1618677817061", Some(1_618_677_817_061_000_000)),
            ("1618677817061845", Some(1_618_677_817_061_845_000)),
            ("1618677817061845123", Some(1_618_677_817_061_845_123)),
            ("1.0000000019", Some(1_000_000_001)),
            ("99999999999999999999", None),
            ("99999999999.5", None),
            ("1.", None),
            (".5", None),
            ("-1.5", None),
            ("1.5e3", None),
            ("", None),
        ] {
            assert_eq!(epoch_ns(text), ns, "{text}");
        }
    }

    #[test]
    fn lines_of_every_form() {
        let received = Captured::Received { at_ns: 2_500_000_000, json: r#"{"a": 1}"# };
        assert_eq!(captured(br#"2.5: {"a": 1}"#).as_ref(), Ok(&received));
        assert_eq!(captured(br#"2.5 {"a": 1}"#).as_ref(), Ok(&received));
        for other in ["wss://h <-> 2.5", r#"wss://h <- 2.5: {"a":1}"#, "https://h/x -> 2.5: []", "configuration: {}"] {
            assert_eq!(captured(other.as_bytes()), Ok(Captured::Other), "{other}");
        }
        for wrong in [b"{}".as_slice(), b"soon {}", b"2.5", b"2.5: \xff"] {
            assert!(captured(wrong).is_err(), "{wrong:?}");
        }
    }
}

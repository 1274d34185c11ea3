//! A line of a message file.

use crate::decimal::whole_units;
use crate::levels::Side;

/// What happened, LOBSTER's types 1 to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    New,
    /// A part of an order is cancelled.
    Cancellation,
    Deletion,
    Execution,
    /// The execution of an order that was not displayed.
    HiddenExecution,
    /// The trade of an auction.
    Cross,
    /// A halt, or its end.
    Status(&'static str),
}

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Nanoseconds since midnight.
    pub(super) time_ns: u64,
    pub(super) event: Event,
    pub(super) order: u64,
    pub(super) size: u64,
    /// In ten-thousandths of a dollar.
    pub(super) price: i64,
    /// The side of the order that it is about.
    pub(super) side: Side,
}

impl Message {
    /// Reads a line. Newer files have a seventh column, which is ignored.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [time, event, order, size, price, direction] = match fields[..] {
            [a, b, c, d, e, f] | [a, b, c, d, e, f, _] => [a, b, c, d, e, f],
            _ => return Err(format!("a message has 6 columns, but this one has {}", fields.len())),
        };
        let time_ns = time_ns(time).ok_or_else(|| format!("{time:?} is not a time in seconds after midnight"))?;
        let price = price.parse().map_err(|_| format!("the price {price:?} is not a number"))?;
        let event = event_of(event, price)?;
        if matches!(event, Event::Status(_)) {
            return Ok(Message { time_ns, event, order: 0, size: 0, price: 0, side: Side::Bid });
        }
        let size = size.parse().map_err(|_| format!("the size {size:?} is not a number"))?;
        // Crosses and hidden orders have no id; some files write -1.
        let order = match event {
            Event::Cross | Event::HiddenExecution => 0,
            _ => order.parse().map_err(|_| format!("the order id {order:?} is not a number"))?,
        };
        let side = match direction {
            "1" => Side::Bid,
            "-1" => Side::Ask,
            _ => return Err(format!("the direction {direction:?} is neither 1 nor -1")),
        };
        Ok(Message { time_ns, event, order, size, price, side })
    }
}

fn event_of(code: &str, price: i64) -> Result<Event, String> {
    Ok(match (code, price) {
        ("1", _) => Event::New,
        ("2", _) => Event::Cancellation,
        ("3", _) => Event::Deletion,
        ("4", _) => Event::Execution,
        ("5", _) => Event::HiddenExecution,
        ("6", _) => Event::Cross,
        ("7", -1) => Event::Status("halted"),
        ("7", 0) => Event::Status("auction"),
        ("7", 1) => Event::Status("open"),
        ("7", price) => return Err(format!("a halt has the price -1, 0 or 1, but this one has {price}")),
        _ => return Err(format!("there is no type {code:?}")),
    })
}

/// Returns a time in nanoseconds, from seconds after midnight with any number of decimals. Fractions of a nanosecond
/// are cut off.
fn time_ns(text: &str) -> Option<u64> {
    const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;
    whole_units(text, 9).filter(|&time_ns| time_ns < DAY_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_the_nanosecond() {
        for (text, expected) in [
            ("34200.004241176", Some(34_200_004_241_176)),
            ("34200.0426064", Some(34_200_042_606_400)),
            ("34200", Some(34_200_000_000_000)),
            ("0.1234567899", Some(123_456_789)),
            ("86400.0", None),
            ("-1.0", None),
            ("1e3", None),
            ("1.", None),
            ("", None),
        ] {
            assert_eq!(time_ns(text), expected, "{text}");
        }
    }
}

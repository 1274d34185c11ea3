//! The time of a record.

use jiff::{Timestamp, civil, tz};

use super::FieldId;
use crate::decimal::whole_units;

/// The source of a record's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeOf {
    /// None: the records are this far apart.
    Every { every_us: u64 },
    /// A field.
    Field { field: FieldId, unit: Unit, since: Since },
}

/// The notation of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// RFC 3339, also with a blank instead of the T; in UTC if it has no offset.
    Rfc3339,
    /// A time of day such as `9:30:00.125`; it begins again at 0 after midnight.
    TimeOfDay,
}

/// The moment from which a numeric time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Epoch,
    Midnight,
}

impl Since {
    pub(super) const ALL: &[(&str, Since)] = &[("epoch", Since::Epoch), ("midnight", Since::Midnight)];
}

impl Unit {
    pub(super) const ALL: &[(&str, Unit)] = &[
        ("s", Unit::Seconds),
        ("ms", Unit::Milliseconds),
        ("us", Unit::Microseconds),
        ("ns", Unit::Nanoseconds),
        ("rfc3339", Unit::Rfc3339),
        ("hh:mm:ss", Unit::TimeOfDay),
    ];

    /// Reads a time, in nanoseconds since the UNIX epoch or since midnight. Fractions of a nanosecond are cut off.
    pub(crate) fn parse_ns(self, text: &str) -> Result<u64, String> {
        let text = text.trim_ascii();
        let (ns, what) = match self {
            Unit::Seconds => (whole_units(text, 9), "a number of seconds"),
            Unit::Milliseconds => (whole_units(text, 6), "a number of milliseconds"),
            Unit::Microseconds => (whole_units(text, 3), "a number of microseconds"),
            Unit::Nanoseconds => (whole_units(text, 0), "a number of nanoseconds"),
            Unit::Rfc3339 => (utc_ns(text), "an RFC 3339 time after 1970 (2024-08-08T12:30:00.125Z)"),
            Unit::TimeOfDay => (time_of_day_ns(text), "a time of day (09:30:00.125)"),
        };
        ns.ok_or_else(|| format!("the time {text:?} is not {what}"))
    }
}

/// Reads a date and time, in nanoseconds since the UNIX epoch.
pub(crate) fn utc_ns(text: &str) -> Option<u64> {
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: civil::DateTime = text.parse().ok()?;
        civil.to_zoned(tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    u64::try_from(timestamp.as_nanosecond()).ok()
}

/// Reads a time of day such as `9:30`, `09:30:00` or `09:30:00.125`, in nanoseconds since midnight.
pub(crate) fn time_of_day_ns(text: &str) -> Option<u64> {
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    if padded.find(':') != Some(2) {
        return None;
    }
    let time: civil::Time = padded.parse().ok()?;
    let since = time.duration_since(civil::Time::midnight());
    u64::try_from(since.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        const NOON_NS: u64 = 1_723_118_400_000_000_000;
        for (unit, text, ns) in [
            (Unit::Seconds, "1723118400.123456789123", Some(NOON_NS + 123_456_789)),
            (Unit::Seconds, "0.5", Some(500_000_000)),
            (Unit::Seconds, "34200", Some(34_200_000_000_000)),
            (Unit::Milliseconds, "1723118400000.25", Some(NOON_NS + 250_000)),
            (Unit::Microseconds, "1723118400000001", Some(NOON_NS + 1_000)),
            (Unit::Nanoseconds, "1723118400000000001", Some(NOON_NS + 1)),
            (Unit::Rfc3339, "2024-08-08T12:00:00Z", Some(NOON_NS)),
            (Unit::Rfc3339, "2024-08-08T14:00:00.5+02:00", Some(NOON_NS + 500_000_000)),
            (Unit::Rfc3339, " 2024-08-08 12:00:00.000001", Some(NOON_NS + 1_000)),
            (Unit::TimeOfDay, "9:30:00.125", Some(34_200_125_000_000)),
            (Unit::TimeOfDay, "09:30", Some(34_200_000_000_000)),
            (Unit::Seconds, "-1", None),
            (Unit::Seconds, "1e9", None),
            (Unit::Seconds, ".5", None),
            (Unit::Seconds, "5.", None),
            (Unit::Seconds, "", None),
            (Unit::Seconds, "99999999999999", None),
            (Unit::Nanoseconds, "soon", None),
            (Unit::Rfc3339, "1969-12-31T23:59:59Z", None),
            (Unit::Rfc3339, "yesterday", None),
            (Unit::TimeOfDay, "25:00:00", None),
            (Unit::TimeOfDay, "0930", None),
        ] {
            assert_eq!(unit.parse_ns(text).ok(), ns, "{unit:?} {text}");
        }
    }
}

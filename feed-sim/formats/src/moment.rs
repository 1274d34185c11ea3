//! Moments of a recording as a user writes them: `90s` after its beginning, `09:30`, or `2024-08-08T12:00:00Z`.

use std::str::FromStr;

use jiff::SignedDuration;

use super::mapping::{time_of_day_ns, utc_ns};
use feed_player::publication::Origin;

const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// A moment of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Microseconds after the beginning, on the feed's own clock.
    After(u64),
    /// A time of day, in nanoseconds after midnight: the first such time after the beginning.
    TimeOfDay(u64),
    /// Nanoseconds since the UNIX epoch.
    At(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // First, because the duration parser reads 09:30:00 as nine and a half hours.
        let time_of_day = time_of_day_ns(text).map(Moment::TimeOfDay);
        let after = || duration_us(text).ok().map(Moment::After);
        let at = || utc_ns(text).map(Moment::At);
        time_of_day.or_else(after).or_else(at).ok_or_else(|| {
            "it is neither a time after the beginning (90s, 5m, 1h30m) nor a time of day (09:30, 09:30:15.5) nor a date \
             and time (2024-08-08T12:30:00Z)"
                .to_owned()
        })
    }
}

/// The recording has no times of day, or no dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoDate;

impl Moment {
    /// Returns the moment in microseconds of the feed's own clock, for a recording that began at `origin`. A time of
    /// day is the first one from `from_us` on.
    pub(super) fn offset_us(self, origin: Option<Origin>, from_us: u64) -> Result<u64, NoDate> {
        match (self, origin) {
            (Moment::After(us), _) => Ok(us),
            (Moment::At(ns), Some(Origin::Epoch { ns: origin_ns })) => Ok(ns.saturating_sub(origin_ns) / 1_000),
            (Moment::TimeOfDay(ns), Some(Origin::Epoch { ns: origin_ns } | Origin::Midnight { ns: origin_ns })) => {
                let from_ns = origin_ns.saturating_add(from_us.saturating_mul(1_000));
                let on_that_day_ns = (from_ns - from_ns % DAY_NS).saturating_add(ns);
                let at_ns =
                    if on_that_day_ns < from_ns { on_that_day_ns.saturating_add(DAY_NS) } else { on_that_day_ns };
                Ok((at_ns - origin_ns) / 1_000)
            }
            (Moment::At(_) | Moment::TimeOfDay(_), _) => Err(NoDate),
        }
    }
}

/// Reads a duration such as `90s`, `1h30m` or `250ms`, in microseconds.
pub(super) fn duration_us(text: &str) -> Result<u64, String> {
    let duration: Option<SignedDuration> = text.parse().ok();
    duration
        .and_then(|duration| u64::try_from(duration.as_micros()).ok())
        .ok_or_else(|| format!("{text:?} is not a duration such as 90s, 1h30m or 250ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        const NOON_NS: u64 = 1_723_118_400_000_000_000;
        let noon = Some(Origin::Epoch { ns: NOON_NS });
        let half_past_nine = Some(Origin::Midnight { ns: 34_200_000_000_000 });
        let second_us = 1_000_000;
        for (text, origin, from_us, offset_us) in [
            ("90s", None, 0, Ok(90 * second_us)),
            ("1h30m", noon, 7, Ok(5_400 * second_us)),
            ("250ms", None, 0, Ok(250_000)),
            ("2024-08-08T12:00:01Z", noon, 0, Ok(second_us)),
            ("2024-08-08T11:00:01Z", noon, 0, Ok(0)),
            ("2024-08-08T12:00:01Z", half_past_nine, 0, Err(NoDate)),
            ("12:00:01.5", noon, 0, Ok(1_500_000)),
            ("12:00", noon, 0, Ok(0)),
            ("12:00", noon, 1, Ok(86_400 * second_us)),
            ("11:00", noon, 0, Ok(23 * 3_600 * second_us)),
            ("9:31", half_past_nine, 0, Ok(60 * second_us)),
            ("9:31", None, 0, Err(NoDate)),
        ] {
            let moment: Moment = text.parse().expect(text);
            assert_eq!(moment.offset_us(origin, from_us), offset_us, "{text}");
        }
        for text in ["", "90", "-5s", "soon", "24:00", "2024-13-01"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}

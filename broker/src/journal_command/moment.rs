//! Moments as text: RFC 3339, in UTC, as in the program's log.

const DAY_S: u64 = 24 * 3_600;

/// The text of a moment in µs since the UNIX epoch.
pub(super) fn text(us: u64) -> String {
    let (seconds, us) = (us / 1_000_000, us % 1_000_000);
    let (days, second) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Years are counted from March, so
/// that the day that only some of them have is the last: 400 of them have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    // Since 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    // The year within the 400: each has 365 days, each fourth one more, each hundredth not, the last one again.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March have 31, 30, 31, 30, 31 days, and again, which this line through them counts.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(is_next_year), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (us, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_827_696_000_001, "2000-02-29T12:34:56.000001Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_732_270_000_123_456, "2024-11-22T10:06:40.123456Z"),
            (1_767_225_599_999_999, "2025-12-31T23:59:59.999999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(text(us), expected);
        }
        // Whatever a file says.
        assert!(text(u64::MAX).ends_with('Z'));
    }
}

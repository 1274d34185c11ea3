//! Turns the times in a recording into a clock that starts at 0 and never goes back.

use feed_player::publication::Origin;

/// The longest step. A longer one is not a quiet market but a wrong time, or the next of two recordings.
const STEP_NS_MAX: u64 = DAY_NS;
const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// How far back a time may go and still count as disorder: records that several threads stamped are slightly out of
/// order.
const DISORDER_NS_MAX: u64 = 1_000_000_000;

/// The feed's clock while it is read from a recording.
#[derive(Default)]
pub(super) struct Clock {
    first_ns: Option<u64>,
    last_ns: Option<u64>,
    now_ns: u64,
}

impl Clock {
    /// Advances to a record's time, and returns the feed's time in microseconds. When the recording's clock leaps,
    /// forwards by more than a day or backwards by more than a second, the feed's clock stands still and continues from
    /// there: a single wrong time must not delay everything after it.
    pub(super) fn advance_us(&mut self, recorded_ns: u64) -> u64 {
        match self.last_ns {
            Some(last_ns) if recorded_ns < last_ns && last_ns - recorded_ns <= DISORDER_NS_MAX => {}
            Some(last_ns) => {
                match recorded_ns.checked_sub(last_ns) {
                    Some(step_ns) if step_ns <= STEP_NS_MAX => self.now_ns += step_ns,
                    _ => tracing::warn!(from_ns = last_ns, to_ns = recorded_ns, "the clock of the recording leaps"),
                }
                self.last_ns = Some(recorded_ns);
            }
            None => (self.first_ns, self.last_ns) = (Some(recorded_ns), Some(recorded_ns)),
        }
        self.now_ns / 1_000
    }

    /// Returns the time of the first record, which is the recording's time when the feed's clock was 0.
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.first_ns
    }

    /// Returns the same as an [`Origin`]. Venues count from midnight or from the UNIX epoch, and no recording is from
    /// the first day of 1970.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.first_ns.map(|ns| if ns < DAY_NS { Origin::Midnight { ns } } else { Origin::Epoch { ns } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back_and_never_leaps() {
        let mut clock = Clock::default();
        let second_ns = 1_000_000_000;
        for (recorded_ns, now_us) in [
            (50 * second_ns, 0),
            (52 * second_ns, 2_000_000),
            // A little out of order.
            (51 * second_ns, 2_000_000),
            (53 * second_ns, 3_000_000),
            // A wrong time, and back.
            (u64::MAX, 3_000_000),
            (54 * second_ns, 3_000_000),
            (55 * second_ns, 4_000_000),
        ] {
            assert_eq!(clock.advance_us(recorded_ns), now_us, "{recorded_ns}");
        }
    }
}

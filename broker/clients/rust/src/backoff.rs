//! How long to wait before the next attempt to connect. Randomness is a parameter, so that the bounds can be tested.

/// Exponential backoff with jitter: the first wait is about `first_ms`, each later one twice as long, and none exceeds
/// `max_ms`.
///
/// Jitter matters more than the curve: ten thousand clients of one broker lose it in the same millisecond, and must not
/// come back in the same millisecond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The longest first wait.
    pub first_ms: u64,
    /// The longest wait of all.
    pub max_ms: u64,
    /// The share of a wait that is random, from 0 (none) to 1 (anything between no wait and the whole wait).
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first_ms: 100, max_ms: 10_000, jitter: 0.5 }
    }
}

impl Backoff {
    /// The wait before attempt number `attempt` (0 is the first after a connection was lost). `chance` is a random
    /// number in `0.0..1.0`. The result is never above `max_ms`.
    pub fn delay_ms(&self, attempt: u32, chance: f64) -> u64 {
        let doubled = self.first_ms.saturating_mul(1_u64.checked_shl(attempt).unwrap_or(u64::MAX));
        let whole = doubled.min(self.max_ms);
        let random_share = self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        // f64 is exact far beyond any reasonable wait, and the cast saturates.
        (whole as f64 * (1.0 - random_share)).round() as u64
    }

    /// The wait after the broker asked for one (`goaway`). It is never shorter than `after_ms` (up to a minute). Beyond
    /// that it is spread over the share of `after_ms` that jitter allows, and over at least `first_ms`, because all
    /// clients of a broker get the same `after_ms`.
    pub fn delay_after_ms(&self, after_ms: u64, chance: f64) -> u64 {
        let asked = after_ms.min(ASKED_MS_MAX);
        let spread = (asked as f64 * self.jitter.clamp(0.0, 1.0)).max(self.first_ms as f64);
        asked + (spread * chance.clamp(0.0, 1.0)).round() as u64
    }
}

/// The longest `after_ms` that is respected. With a longer wait, the client would look dead to its program.
const ASKED_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let backoff = Backoff { first_ms: 100, max_ms: 1_000, jitter: 0.0 };
        let waits: Vec<u64> = (0..6).map(|attempt| backoff.delay_ms(attempt, 0.9)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn no_attempt_overflows_or_leaves_its_bounds() {
        let backoff = Backoff { first_ms: 250, max_ms: 8_000, jitter: 0.5 };
        for attempt in [0, 1, 5, 31, 63, 64, 65, u32::MAX] {
            let longest = backoff.delay_ms(attempt, 0.0);
            let shortest = backoff.delay_ms(attempt, 1.0);
            assert!(longest <= backoff.max_ms, "attempt {attempt}: {longest}");
            assert!(shortest * 2 == longest, "attempt {attempt}: {shortest} {longest}");
        }
    }

    #[test]
    fn jitter_out_of_range_is_clamped() {
        let backoff = Backoff { first_ms: 100, max_ms: 100, jitter: 7.0 };
        assert_eq!(backoff.delay_ms(0, 1.0), 0);
        assert_eq!(Backoff { jitter: -3.0, ..backoff }.delay_ms(0, 1.0), 100);
        assert_eq!(Backoff { jitter: f64::NAN, ..backoff }.delay_ms(0, 0.5), 0);
    }

    #[test]
    fn the_wait_that_the_broker_asks_for_is_a_minimum() {
        let backoff = Backoff { first_ms: 100, max_ms: 10_000, jitter: 0.5 };
        assert_eq!(backoff.delay_after_ms(5_000, 0.0), 5_000);
        assert_eq!(backoff.delay_after_ms(5_000, 1.0), 7_500);
        assert_eq!(backoff.delay_after_ms(0, 1.0), 100);
        assert!(backoff.delay_after_ms(u64::MAX, 1.0) <= 90_000);
    }
}

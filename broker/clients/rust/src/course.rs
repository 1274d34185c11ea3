//! Where and when the next attempt to connect is made. Nothing here does I/O, and randomness is a parameter.

use std::time::Duration;

use crate::addresses::Addresses;
use crate::backoff::Backoff;
use crate::reconnect::Attempts;

/// What the broker asked for before a connection, or an attempt at one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Asked {
    #[default]
    Nothing,
    /// The broker stops, and may be back after this time. That concerns no other broker.
    Stops { after_ms: u64 },
    /// The client is to wait this long, wherever it goes.
    Wait { after_ms: u64 },
    /// The client is to wait as long as it ever does.
    WaitLong,
}

/// The addresses, and the waits between attempts. An address that fails is followed by the next at once; only when all
/// have failed in a row, or when a broker asked for it, there is a wait.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) addresses: Addresses,
    attempts: Attempts,
    backoff: Backoff,
    /// The wait that a broker asked for when it stopped: it counts once all addresses have failed.
    stops_ms: Option<u64>,
}

impl Course {
    pub(crate) fn new(addresses: Addresses, backoff: Backoff) -> Course {
        Course { addresses, attempts: Attempts::default(), backoff, stops_ms: None }
    }

    /// Records that there is a connection.
    pub(crate) fn opened(&mut self) {
        self.stops_ms = None;
    }

    /// Records that a connection ended: whether everything was restored on it, and how long it existed.
    pub(crate) fn ended(&mut self, restored: bool, lifetime: Duration) {
        if self.attempts.ended(restored, lifetime, &self.backoff) {
            self.addresses.count_anew();
        }
    }

    /// Records that the connection, or an attempt, failed at the present address, and goes on to the next. Returns the
    /// wait before the attempt there, in milliseconds. `chance` is a random number in `0.0..1.0`.
    pub(crate) fn failed(&mut self, asked: Asked, chance: f64) -> u64 {
        let all_failed = self.addresses.failed();
        if let Asked::Stops { after_ms } = asked {
            self.stops_ms = Some(after_ms);
        }
        let after_ms = match asked {
            Asked::Wait { after_ms } if all_failed || after_ms > 0 => Some(after_ms),
            Asked::WaitLong => None,
            _ if !all_failed => return 0,
            _ => self.stops_ms,
        };
        self.stops_ms = None;
        self.addresses.count_anew();
        let wait_ms = match (asked, after_ms) {
            (Asked::WaitLong, _) => self.backoff.delay_ms(u32::MAX, chance),
            (_, Some(after_ms)) => self.backoff.delay_after_ms(after_ms, chance),
            (_, None) => self.backoff.delay_ms(self.attempts.next(), chance),
        };
        self.attempts.begun();
        wait_ms
    }

    /// Records that an attempt failed in a way that does not concern its address. Returns the wait before the next one
    /// at the same address, in milliseconds.
    pub(crate) fn failed_anywhere(&mut self, asked: Asked, chance: f64) -> u64 {
        let wait_ms = match asked {
            Asked::Nothing | Asked::WaitLong => self.backoff.delay_ms(self.attempts.next(), chance),
            Asked::Stops { after_ms } | Asked::Wait { after_ms } => self.backoff.delay_after_ms(after_ms, chance),
        };
        self.attempts.begun();
        wait_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn course(urls: &[&str]) -> Course {
        let options = Options { shuffle: false, ..Options::any_of(urls.iter().copied()) };
        let backoff = Backoff { first_ms: 4, max_ms: 16, jitter: 0.0 };
        Course::new(Addresses::new(&options, &mut rand::rng()).unwrap(), backoff)
    }

    #[test]
    fn there_is_a_wait_only_when_all_have_failed_and_it_doubles() {
        let mut three = course(&["ws://a", "ws://b", "ws://c"]);
        let waits: Vec<_> = (0..12)
            .map(|_| (three.failed(Asked::Nothing, 0.0), three.addresses.present().address.clone()))
            .map(|(wait_ms, next)| format!("{wait_ms} {next}"))
            .collect();
        let expected = |wait_ms: u64| ["0 b:80".to_owned(), "0 c:80".to_owned(), format!("{wait_ms} a:80")];
        assert_eq!(waits, [expected(4), expected(8), expected(16), expected(16)].concat());
        let mut one = course(&["ws://a"]);
        assert_eq!([0; 4].map(|_| one.failed(Asked::Nothing, 0.0)), [4, 8, 16, 16]);
    }

    #[test]
    fn a_connection_that_did_not_last_counts_as_failed() {
        let mut two = course(&["ws://a", "ws://b"]);
        two.opened();
        two.ended(true, Duration::from_millis(3));
        assert_eq!(two.failed(Asked::Nothing, 0.0), 0);
        two.opened();
        two.ended(true, Duration::from_millis(3));
        assert_ne!(two.failed(Asked::Nothing, 0.0), 0);
        two.opened();
        two.ended(true, Duration::from_millis(16));
        assert_eq!(two.failed(Asked::Nothing, 0.0), 0);
    }

    #[test]
    fn a_wait_that_a_broker_asks_for_counts_everywhere_unless_it_stops() {
        let mut two = course(&["ws://a", "ws://b"]);
        assert_eq!(two.failed(Asked::Wait { after_ms: 60 }, 0.0), 60);
        assert_eq!(two.failed(Asked::WaitLong, 0.0), 16);
        assert_eq!(two.failed(Asked::Stops { after_ms: 5_000 }, 0.0), 0);
        // The other one fails too.
        assert_eq!(two.failed(Asked::Nothing, 0.0), 5_000);
        assert_eq!(two.failed(Asked::Stops { after_ms: 5_000 }, 0.0), 0);
        two.opened();
        assert!(two.failed(Asked::Nothing, 0.0) <= 16);
        assert_eq!(course(&["ws://a"]).failed(Asked::Stops { after_ms: 200 }, 0.0), 200);
    }

    #[test]
    fn what_concerns_no_address_leaves_none() {
        let mut two = course(&["ws://a", "ws://b"]);
        assert_eq!([0; 3].map(|_| two.failed_anywhere(Asked::Nothing, 0.0)), [4, 8, 16]);
        assert_eq!(two.addresses.present().address, "a:80");
    }
}

//! A trading day: the phase of an instrument, and how busy the day is.
//!
//! All times are on the scenario's clock. A day is half an hour, so that a viewer sees all of it:
//!
//! ```text
//! 0:00.0  pre_open   begins at a random moment of the first half second
//! 0:01.5  auction    opening call, ends at a random moment of 0.8 s after 0:04
//! 0:04.0  open       continuous trading, with volatility halts: 10 s halted, 5 s reopening call
//! 29:30   auction    closing call, ends at a random moment of 0.8 s after 29:40
//! 29:40   closed
//! 30:00   the next day
//! ```

use super::hawkes::Activity;
use super::parameters::{ACTIVITY_ENDS, ACTIVITY_MIDDAY};
use feed_player::random::Random;

/// A phase of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    PreOpen,
    OpeningAuction,
    Open,
    Halted,
    ReopeningAuction,
    ClosingAuction,
    Closed,
}

impl Phase {
    /// Its name in `.status`.
    pub(super) fn status(self) -> &'static str {
        match self {
            Phase::PreOpen => "pre_open",
            Phase::OpeningAuction | Phase::ReopeningAuction | Phase::ClosingAuction => "auction",
            Phase::Open => "open",
            Phase::Halted => "halted",
            Phase::Closed => "closed",
        }
    }

    /// The name of the auction that the phase is the call of, if it is one.
    pub(super) fn auction(self) -> Option<&'static str> {
        match self {
            Phase::OpeningAuction => Some("opening"),
            Phase::ReopeningAuction => Some("reopening"),
            Phase::ClosingAuction => Some("closing"),
            Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Closed => None,
        }
    }
}

const SECOND_US: u64 = 1_000_000;
const DAY_US: u64 = 1_800 * SECOND_US;
/// This and the following are counted from the day's beginning.
const AUCTION_FROM_US: u64 = 1_500_000;
const OPEN_FROM_US: u64 = 4 * SECOND_US;
const OPEN_UNTIL_US: u64 = 1_770 * SECOND_US;
const CLOSED_FROM_US: u64 = 1_780 * SECOND_US;
const HALTED_US: u64 = 10 * SECOND_US;
const REOPENING_US: u64 = 5 * SECOND_US;
/// Shortly before the close trading is no longer halted: the closing auction serves as well.
const NO_HALT_FROM_US: u64 = OPEN_UNTIL_US - 30 * SECOND_US;
/// Each instrument's day begins, and each call ends, at a random moment within these, so that nobody can time an order
/// to it, and so that not all instruments publish at once.
const BEGIN_SPREAD_US: u32 = 500_000;
const CALL_END_SPREAD_US: u32 = 800_000;

/// An instrument's position in its day.
pub(super) struct Session {
    phase: Phase,
    ends_us: u64,
    day_us: u64,
    begin_us: u64,
}

impl Session {
    /// Makes a session before its first day.
    pub(super) fn new(random: &mut Random) -> Self {
        let begin_us = u64::from(random.below(BEGIN_SPREAD_US));
        Session { phase: Phase::Closed, ends_us: begin_us, day_us: 0, begin_us }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When [`Session::advance`] is due.
    pub(super) fn ends_us(&self) -> u64 {
        self.ends_us
    }

    /// Advances to the next phase.
    pub(super) fn advance(&mut self, random: &mut Random) -> Phase {
        let now_us = self.ends_us;
        let mut call_end = |after_us: u64| after_us + u64::from(random.below(CALL_END_SPREAD_US));
        (self.phase, self.ends_us) = match self.phase {
            Phase::Closed => {
                self.day_us = now_us - self.begin_us;
                (Phase::PreOpen, self.day_us + AUCTION_FROM_US)
            }
            Phase::PreOpen => (Phase::OpeningAuction, call_end(self.day_us + OPEN_FROM_US)),
            Phase::OpeningAuction | Phase::ReopeningAuction => (Phase::Open, self.day_us + OPEN_UNTIL_US),
            Phase::Halted => (Phase::ReopeningAuction, call_end(now_us + REOPENING_US)),
            Phase::Open => (Phase::ClosingAuction, call_end(self.day_us + CLOSED_FROM_US)),
            Phase::ClosingAuction => (Phase::Closed, self.day_us + DAY_US + self.begin_us),
        };
        self.phase
    }

    /// Whether trading may be halted at this moment.
    pub(super) fn may_halt(&self, now_us: u64) -> bool {
        self.phase == Phase::Open && now_us < self.day_us + NO_HALT_FROM_US
    }

    /// Interrupts continuous trading.
    pub(super) fn halt(&mut self, now_us: u64) {
        self.phase = Phase::Halted;
        self.ends_us = now_us + HALTED_US;
    }
}

/// How busy the day is: the same for all instruments, 1 on average over a session.
pub(super) const ACTIVITY: Activity = Activity { at: activity, max: ACTIVITY_MIDDAY + ACTIVITY_ENDS };

fn activity(now_us: u64) -> f64 {
    let length_us = OPEN_UNTIL_US - OPEN_FROM_US;
    let through = (now_us % DAY_US).saturating_sub(OPEN_FROM_US).min(length_us) as f64 / length_us as f64;
    let from_midday = 2.0 * through - 1.0;
    ACTIVITY_MIDDAY + ACTIVITY_ENDS * from_midday * from_midday
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_u_shaped_and_one_on_average() {
        let middles: Vec<f64> = (4..1_770).map(|second| activity(second * SECOND_US)).collect();
        let mean = middles.iter().sum::<f64>() / middles.len() as f64;
        assert!((0.99..1.01).contains(&mean), "{mean}");
        assert!(middles[0] > 1.7 && middles[883] < 0.61 && middles[1_765] > 1.7);
        assert!(middles.iter().all(|&at| at <= ACTIVITY.max));
    }

    #[test]
    fn days_follow_each_other_on_time() {
        let mut random = Random::new(5, 1);
        let mut session = Session::new(&mut random);
        let mut phases = Vec::new();
        for _ in 0..10 {
            let before_us = session.ends_us();
            phases.push(session.advance(&mut random));
            assert!(session.ends_us() > before_us);
        }
        assert_eq!(phases[..5], phases[5..]);
        assert_eq!(session.day_us, DAY_US);
    }
}

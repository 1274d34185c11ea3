//! How often things happen in a match.
//!
//! The published figures:
//! - goals 2.7 (1.5 of them by the home side), shots 25.8 (home 14.4), on target 8.4, yellow cards 3.2, red cards 0.1
//!   per match: Premier League 2015/16, 380 matches (Press Association, 18 May 2016, "Here's what the average Premier
//!   League game looked like this season");
//! - fouls 22.1 per match: 2,649 in the first 120 matches of the Premier League 2018/19 (its website, counted by Untold
//!   Arsenal);
//! - disallowed goals 0.16 per match: 39 in 250 matches of the Premier League 2019/20 (Opta, by Sky Sports, 4 February
//!   2020).
//!
//! Corners (about ten a match in the same league) and offsides (about four) are rounded. There are no published figures
//! for how often a scout makes a correction, a match is interrupted or its coverage is lost; here it is often enough to
//! be seen.

use feed_player::random::Random;

/// An event that can happen in a tick of play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Goal,
    ShotOnTarget,
    ShotOffTarget,
    Corner,
    Offside,
    Foul,
    Substitution,
    Interruption,
    CoverageLost,
}

/// Events per match, both sides together, in hundredths. Goals include those that will be disallowed.
const PER_100_MATCHES: [(Act, u32); 9] = [
    (Act::Goal, 286),
    (Act::ShotOnTarget, 570),
    (Act::ShotOffTarget, 1_740),
    (Act::Corner, 1_030),
    (Act::Offside, 400),
    (Act::Foul, 2_210),
    // Only those of the second half happen: half of them.
    (Act::Substitution, 1_700),
    (Act::Interruption, 15),
    (Act::CoverageLost, 40),
];

/// Ticks in which something can happen in a match: 90 minutes and some six of stoppage time, without reviews.
const TICKS_PER_MATCH: u32 = 1_165;

/// How many of 1,024 goals are reviewed and disallowed: 0.16 of 2.86.
pub(super) const DISALLOWED_OF_1024: u32 = 57;
/// How many of 1,024 fouls bring a yellow card: 3.2 of 22.1, and a bit more because booked players are spared most of
/// theirs.
pub(super) const YELLOW_OF_1024: u32 = 160;
/// How many of 1,024 second yellow cards are shown: booked players take care.
pub(super) const SECOND_YELLOW_OF_1024: u32 = 200;
/// How many of 1,024 fouls bring a red card at once. With second yellow cards that is some 0.1 a match.
pub(super) const RED_OF_1024: u32 = 4;
/// How many of 1,024 straight red cards are rescinded after a review.
pub(super) const RESCINDED_OF_1024: u32 = 256;
/// How many of 1,024 events by a player are corrected later, half of them in their player and half in their clock.
pub(super) const CORRECTED_OF_1024: u32 = 36;

/// Draws what happens in this tick, if anything.
pub(super) fn act(random: &mut Random) -> Option<Act> {
    let mut left = random.below(TICKS_PER_MATCH * 100);
    for (act, share) in PER_100_MATCHES {
        match left.checked_sub(share) {
            None => return Some(act),
            Some(rest) => left = rest,
        }
    }
    None
}

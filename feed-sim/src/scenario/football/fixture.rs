//! A pitch, and the match being played on it.

use std::collections::VecDeque;

use super::clubs::{Club, pairing};
use super::messages::{self, Detail};
use crate::publication::Publication;
use crate::random::Random;

/// Seconds of play per tick: at four ticks a second twenty times as fast as in life.
const TICK_PLAY_S: u32 = 5;
const HALF_S: u32 = 45 * 60;
/// The breaks, in ticks: ten and fifteen seconds for who watches.
const HALF_TIME_TICKS: u32 = 40;
const FULL_TIME_TICKS: u32 = 60;
const SUBSTITUTIONS_MAX: u32 = 5;
/// When a goal of the first match falls that will be disallowed.
const STAGED_GOAL_CLOCK_S: u32 = 150;

/// Numbers that run through all matches of a feed.
#[derive(Default)]
pub(super) struct Counters {
    event_id: u64,
    match_number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Playing,
    HalfTime,
    FullTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Team {
    Home,
    Away,
}

/// A goal that is being looked at again, and for how long still.
struct Review {
    goal_id: u64,
    team: Team,
    ticks: u32,
}

/// The match on one pitch; after it the next one.
pub(super) struct Fixture {
    pitch: u32,
    round: u32,
    pub(super) number: u64,
    pub(super) home: Club,
    pub(super) away: Club,
    pub(super) goals: [u32; 2],
    substitutions: [u32; 2],
    pub(super) phase: Phase,
    pub(super) period: u32,
    /// Seconds of play; the second half starts at 45:00 again.
    pub(super) clock_s: u32,
    /// When the running half ends.
    half_ends_s: u32,
    /// Ticks left of a break.
    break_ticks: u32,
    review: Option<Review>,
    kicked_off: bool,
}

impl Fixture {
    pub(super) fn new(pitch: u32, counters: &mut Counters) -> Self {
        Self::of_round(pitch, 0, counters)
    }

    fn of_round(pitch: u32, round: u32, counters: &mut Counters) -> Self {
        let (home, away) = pairing(pitch, round);
        counters.match_number += 1;
        Fixture {
            pitch,
            round,
            number: counters.match_number,
            home,
            away,
            goals: [0, 0],
            substitutions: [0, 0],
            phase: Phase::Playing,
            period: 1,
            clock_s: 0,
            half_ends_s: HALF_S,
            break_ticks: 0,
            review: None,
            kicked_off: false,
        }
    }

    /// Lets a tick pass: the events of it, then the scoreboard.
    pub(super) fn tick(&mut self, random: &mut Random, counters: &mut Counters, out: &mut VecDeque<Publication>) {
        if self.phase != Phase::Playing {
            self.break_ticks -= 1;
            match (self.break_ticks, self.phase) {
                (1.., _) => return,
                (0, Phase::FullTime) => *self = Self::of_round(self.pitch, self.round + 1, counters),
                (0, _) => (self.phase, self.period, self.clock_s) = (Phase::Playing, 2, HALF_S),
            }
            self.kicked_off = false;
        }
        let mut tell = |fixture: &Fixture, detail: Detail| {
            counters.event_id += 1;
            out.push_back(messages::event(fixture, counters.event_id, detail));
            counters.event_id
        };
        if !self.kicked_off {
            self.kicked_off = true;
            // One to six minutes for what was lost, in the second half rather more.
            self.half_ends_s = self.period * HALF_S + 60 * (self.period + random.below(4));
            tell(self, Detail::Plain("kick_off"));
        } else {
            self.clock_s += TICK_PLAY_S;
            self.play(random, &mut tell);
            // No whistle while a goal is under review.
            if self.clock_s >= self.half_ends_s && self.review.is_none() {
                let (whistle, phase, ticks) = match self.period {
                    1 => ("half_time", Phase::HalfTime, HALF_TIME_TICKS),
                    _ => ("full_time", Phase::FullTime, FULL_TIME_TICKS),
                };
                tell(self, Detail::Plain(whistle));
                (self.phase, self.break_ticks) = (phase, ticks);
            }
        }
        out.push_back(messages::score(self));
    }

    fn play(&mut self, random: &mut Random, tell: &mut impl FnMut(&Fixture, Detail) -> u64) {
        if let Some(review) = &mut self.review {
            review.ticks -= 1;
            if review.ticks == 0 {
                let Review { goal_id, team, .. } = self.review.take().expect("it was just looked at");
                self.goals[team as usize] -= 1;
                let reason = ["offside", "handball", "foul"][random.below(3) as usize];
                tell(self, Detail::Disallowed { team, corrects: goal_id, reason });
            }
            return;
        }
        // The home side has a little more of the game.
        let team = if random.chance(560) { Team::Home } else { Team::Away };
        let player = 1 + random.below(11);
        let staged = self.number == 1 && self.period == 1 && self.clock_s == STAGED_GOAL_CLOCK_S;
        // Per thousand ticks, of which a match has about 1,130: 2.7 goals a match, 24 shots, 22 fouls and so on.
        match random.below(1_000) {
            _ if staged => self.goal(team, player, true, random, tell),
            0..3 => {
                let disallowed = random.chance(160);
                self.goal(team, player, disallowed, random, tell);
            }
            3..25 => _ = tell(self, Detail::By { what: "shot", team, player }),
            25..34 => _ = tell(self, Detail::By { what: "corner", team, player }),
            34..38 => _ = tell(self, Detail::By { what: "offside", team, player }),
            38..58 => {
                tell(self, Detail::By { what: "foul", team, player });
                match random.below(200) {
                    0..2 => _ = tell(self, Detail::By { what: "red_card", team, player }),
                    2..36 => _ = tell(self, Detail::By { what: "yellow_card", team, player }),
                    _ => {}
                }
            }
            58..72 if self.period == 2 && self.substitutions[team as usize] < SUBSTITUTIONS_MAX => {
                self.substitutions[team as usize] += 1;
                tell(self, Detail::By { what: "substitution", team, player });
            }
            _ => {}
        }
    }

    fn goal(
        &mut self,
        team: Team,
        player: u32,
        disallowed: bool,
        random: &mut Random,
        tell: &mut impl FnMut(&Fixture, Detail) -> u64,
    ) {
        self.goals[team as usize] += 1;
        let goal_id = tell(self, Detail::By { what: "goal", team, player });
        if disallowed {
            // Half a minute to a minute and a half of play.
            self.review = Some(Review { goal_id, team, ticks: 6 + random.below(13) });
        }
    }

    pub(super) fn club(&self, team: Team) -> &Club {
        match team {
            Team::Home => &self.home,
            Team::Away => &self.away,
        }
    }
}

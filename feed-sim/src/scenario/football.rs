//! Football: several matches at once, each with a scoreboard, a stream of events and statistics that agree with each other.

mod clubs;
mod fixture;
mod messages;
mod rates;
mod squad;

use std::collections::VecDeque;

use super::Scenario;
use super::ensemble::{Actor, Ensemble};
use crate::publication::{Publication, Timed};
use crate::random::Random;
use fixture::{Desk, Match};

/// What `feed-sim describe football` prints.
pub const DESCRIPTION: &str = "\
Per match MATCH (home and away club, as NOR-HAR); matches are played twenty times as fast as in life, one after the other:
  sports.football.MATCH.score  state  {\"match\",\"home\",\"away\",\"home_goals\",\"away_goals\",\"status\",\"period\",\"clock\",\"coverage\"}
  sports.football.MATCH.event  event  {\"id\",\"match\",\"type\",\"period\",\"clock\"} and, as it applies, \"team\" (home or away), \"club\",
                               \"player\" (shirt number), \"player_on\", \"on_target\", \"second_yellow\", \"reason\", \"corrects\", \"set\"
  sports.football.MATCH.stats  patch  {\"home\":{\"possession_pct\",\"shots\",\"on_target\",\"corners\",\"offsides\",\"fouls\",\"yellow_cards\",
                               \"red_cards\",\"substitutions\"},\"away\":{...}}: what changed; whole, as `state` with \"match\", at
                               each kick-off and every 256th time
`match` numbers the matches, `id` counts the events of a pitch from match to match and always rises on a topic; `clock` is
minutes and seconds of play and runs on through stoppage time.
Corrections name the event that they are about by its id in `corrects`: `goal_disallowed` and `card_rescinded` take it back,
`correction` says in `set` what it should have said (\"player\" or \"clock\"). The score is always the number of goals that were
not disallowed and follows the event at once; the statistics are those of the events that count.
A match may be `interrupted` and `resumed`. When the coverage is lost (`coverage_suspended`; `coverage` in the score is
`suspended`), nothing is said for a while; then come the events that were missed, each with the clock of when it happened,
and `coverage_resumed`.
In the first match a goal falls in the third minute and is disallowed, so that every run shows a correction.
Goals, shots, fouls and cards are as frequent as in the Premier League (`scenario/football/rates.rs` names the sources).
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sports.football.*.score\",\"sports.football.NOR-HAR.*\"]}";

/// How often a match is looked at: four times a second, so that its clock is seen to run.
const TICK_US: u64 = 250_000;

/// Publications per match and second, measured over whole matches and their breaks; a test keeps it true.
const UPDATES_PER_MATCH_S: f64 = 4.69;

/// Away from the streams of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 1 << 40;

/// The match of the next round has a number so much higher.
const PITCHES_MAX: u64 = 100_000;

/// The scenario `football`.
pub struct Football(Ensemble<Pitch>);

impl Football {
    /// `matches` at once, each from its own stream of `seed`.
    pub fn new(seed: u64, matches: u32) -> Self {
        let pitches = (0..matches.max(1)).map(|number| Pitch::new(seed, number)).collect();
        Football(Ensemble::new(pitches, TICK_US, UPDATES_PER_MATCH_S))
    }
}

impl Scenario for Football {
    fn next(&mut self) -> Timed {
        self.0.next()
    }

    fn updates_per_s(&self) -> f64 {
        self.0.updates_per_s()
    }
}

/// A pitch, and the match being played on it.
struct Pitch {
    number: u32,
    round: u32,
    random: Random,
    last_id: u64,
    game: Match,
}

impl Pitch {
    fn new(seed: u64, number: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let game = Match::new(number, 0, &mut random);
        Pitch { number, round: 0, random, last_id: 0, game }
    }
}

impl Actor for Pitch {
    fn act(&mut self, _now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        let mut desk = Desk { random: &mut self.random, last_id: &mut self.last_id, out };
        if self.game.tick(&mut desk) {
            self.round += 1;
            self.game = Match::new(self.number, self.round, desk.random);
            self.game.tick(&mut desk);
        }
        TICK_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_it_says() {
        super::super::ensemble::assert_rate(Football::new(3, 4), 150_000);
    }
}

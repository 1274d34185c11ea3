//! Basketball: several games at once, each with a scoreboard, a stream of events and statistics that agree with each other.

mod attack;
mod game;
mod messages;
mod rates;
mod roster;
mod teams;

use std::collections::VecDeque;

use super::Scenario;
use super::ensemble::{Actor, Ensemble};
use crate::publication::{Publication, Timed};
use crate::random::Random;
use game::{Desk, Game};

/// What `feed-sim describe basketball` prints.
pub const DESCRIPTION: &str = "\
Per game GAME (home and away team, as BRH-CAL); games are played eight times as fast as in life, one after the other:
  sports.basketball.GAME.score  state  {\"game\",\"home\",\"away\",\"home_points\",\"away_points\",\"status\",\"period\",\"clock\",\"possession\",
                                \"home_fouls\",\"away_fouls\"}: the fouls are those of the period
  sports.basketball.GAME.event  event  {\"id\",\"game\",\"type\",\"period\",\"clock\"} and, as it applies, \"team\" (home or away), \"club\",
                                \"player\" (shirt number), \"points\", \"made\", \"assist\", \"number\", \"of\", \"kind\", \"player_on\", \"reason\",
                                \"corrects\", \"set\"
  sports.basketball.GAME.stats  patch  {\"home\":{\"points\",\"fg_made\",\"fg_attempted\",\"three_made\",\"three_attempted\",\"ft_made\",
                                \"ft_attempted\",\"offensive_rebounds\",\"defensive_rebounds\",\"assists\",\"steals\",\"blocks\",
                                \"turnovers\",\"fouls\",\"timeouts_left\"},\"away\":{...}}: what changed; whole, as `state` with
                                \"game\", at the start of each period and every 256th time
Four periods of twelve minutes, and overtimes of five while it is tied. `clock` is what is left of the period. `game` numbers
the games, `id` counts the events of a court from game to game and always rises on a topic.
Corrections name the event that they are about by its id in `corrects`: `basket_cancelled` takes a basket back, `correction`
says in `set` what should have been said (\"points\": 2 where a three was a two, or \"player\"). What is under review is decided
before the period ends. The score is always the sum of the points that were made and count, as corrected, and follows the
event at once; the statistics are those of the events that count.
In the first game the first three is ruled a two, so that every run shows a correction.
Shots, rebounds, fouls and so on are as frequent as in the NBA (`scenario/basketball/rates.rs` names the sources).
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sports.basketball.*.score\",\"sports.basketball.BRH-CAL.*\"]}";

/// How often a game is looked at: four times a second, so that its clock is seen to run.
const TICK_US: u64 = 250_000;

/// Publications per game and second, measured over whole games and their breaks; a test keeps it true.
const UPDATES_PER_GAME_S: f64 = 5.05;

/// Away from the streams of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 2 << 40;

/// The next game on the same court has a number so much higher.
const COURTS_MAX: u64 = 100_000;

/// The scenario `basketball`.
pub struct Basketball(Ensemble<Court>);

impl Basketball {
    /// `games` at once, each from its own stream of `seed`.
    pub fn new(seed: u64, games: u32) -> Self {
        let courts = (0..games.max(1)).map(|number| Court::new(seed, number)).collect();
        Basketball(Ensemble::new(courts, TICK_US, UPDATES_PER_GAME_S))
    }
}

impl Scenario for Basketball {
    fn next(&mut self) -> Timed {
        self.0.next()
    }

    fn updates_per_s(&self) -> f64 {
        self.0.updates_per_s()
    }
}

/// A court, and the game being played on it.
struct Court {
    number: u32,
    round: u32,
    random: Random,
    last_id: u64,
    game: Game,
}

impl Court {
    fn new(seed: u64, number: u32) -> Self {
        let random = Random::new(seed, STREAMS_FROM + u64::from(number));
        Court { number, round: 0, random, last_id: 0, game: Game::new(number, 0) }
    }
}

impl Actor for Court {
    fn act(&mut self, _now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        let mut desk = Desk { random: &mut self.random, last_id: &mut self.last_id, out };
        if self.game.tick(&mut desk) {
            self.round += 1;
            self.game = Game::new(self.number, self.round);
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
        super::super::ensemble::assert_rate(Basketball::new(3, 4), 150_000);
    }
}

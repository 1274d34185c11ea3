//! Pitches or courts, on each of which one game is played after the other.

use std::collections::VecDeque;

use crate::Scenario;
use crate::ensemble::{Actor, Ensemble};
use feed_player::publication::Publication;
use feed_player::random::Random;

/// The interval between ticks of a game: four a second, so that its clock visibly runs.
const TICK_US: u64 = 250_000;

/// How much higher the number of a ground's next game is.
const GROUNDS_MAX: u64 = 100_000;

/// A game of some sport, from its beginning to the break after it.
pub(crate) trait Contest: Send {
    /// Makes the game of round `round` on ground number `ground`, both from 0.
    fn new(ground: u32, round: u32, random: &mut Random) -> Self;

    /// Lets a tick pass: publishes its events, then the scoreboard and the changes of the statistics. Returns whether
    /// the game and the break after it are over.
    fn tick(&mut self, desk: &mut Desk<'_>) -> bool;
}

/// What a game needs to publish: randomness, the last id of an event, and the queue for publications.
pub(crate) struct Desk<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) last_id: &'a mut u64,
    pub(crate) out: &'a mut VecDeque<Publication>,
}

/// The number of the game of round `round` on ground number `ground`.
pub(crate) fn contest_number(ground: u32, round: u32) -> u64 {
    u64::from(round) * GROUNDS_MAX + u64::from(ground) + 1
}

/// Makes `count` games at once, at least one. Each ground has its own stream of `seed`, from number `streams_from` on.
pub(crate) fn grounds<C: Contest>(seed: u64, streams_from: u64, count: u32, updates_per_game_s: f64) -> impl Scenario {
    let ground = |number: u32| Ground::<C>::new(number, Random::new(seed, streams_from + u64::from(number)));
    Ensemble::new(count, ground, TICK_US, f64::from(count) * updates_per_game_s)
}

/// A ground, and the game being played on it.
struct Ground<C> {
    number: u32,
    round: u32,
    random: Random,
    last_id: u64,
    game: C,
}

impl<C: Contest> Ground<C> {
    fn new(number: u32, mut random: Random) -> Self {
        let game = C::new(number, 0, &mut random);
        Ground { number, round: 0, random, last_id: 0, game }
    }
}

impl<C: Contest> Actor for Ground<C> {
    fn act(&mut self, _now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        let mut desk = Desk { random: &mut self.random, last_id: &mut self.last_id, out };
        if self.game.tick(&mut desk) {
            self.round += 1;
            self.game = C::new(self.number, self.round, desk.random);
            self.game.tick(&mut desk);
        }
        TICK_US
    }
}

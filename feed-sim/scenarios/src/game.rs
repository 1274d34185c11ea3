//! A multiplayer game: every player's position, many times a second, and the kills.

mod arena;
mod player;

use super::Scenario;
use super::ensemble::Ensemble;
use arena::Arena;

/// What `feed-sim describe game` prints.
pub(super) const DESCRIPTION: &str = "\
Per arena ARENA (a1, a2, ...; up to 16 players in each) and player PLAYER (p1 to p16):
  game.ARENA.position.PLAYER  state  {\"tick\",\"x\",\"y\",\"life\",\"hp\",\"alive\"}: twenty times a second for every player
  game.ARENA.event            event  {\"id\",\"tick\",\"type\"} and, if it applies, \"player\", \"item\", \"killer\", \"victim\", \"distance_cm\", \"hp\",
                              \"life\", \"round\", \"winner\" (null in a draw): `type` is `round_start`, `round_end`, `spawn`, `pickup` or `kill`
  game.ARENA.scoreboard       patch  {\"players\":{PLAYER:{\"kills\",\"deaths\",\"pickups\"}}}: the changes; whole, as `state` with \"round\",
                              at each start of a round and every 256th time
The map is 100 m by 60 m; x and y are centimetres from 0 to 10000 and 6000. A player moves at most 30 cm in a tick (6
m/s), except when spawning, which adds one to `life`. A player who was killed is not `alive`, does not move and spawns
after three seconds. A kill states its distance, never above 15 m. The scoreboard always equals the kills, deaths and
pickups published in the current round, which lasts two minutes; `tick` and `id` always rise.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"game.a1.position.*\",\"game.a1.scoreboard\"],\"conflate_ms\":100}";

/// The most players in an arena.
const PLAYERS_MAX: u32 = 16;

/// Twenty ticks a second, as many action games have.
const TICK_US: u64 = 50_000;

/// Updates per player and second beside the positions, measured in an arena of eight; a test checks it.
const OTHER_UPDATES_PER_PLAYER_S: f64 = 0.5;

/// Makes the scenario with `players` players, at least one, in as many arenas as they need, each from its own stream of
/// `seed`.
pub(super) fn scenario(seed: u64, players: u32) -> impl Scenario {
    let players_of = |number: u32| (players - number * PLAYERS_MAX).min(PLAYERS_MAX);
    let updates_per_s = f64::from(players) * (1e6 / TICK_US as f64 + OTHER_UPDATES_PER_PLAYER_S);
    let arena = |number| Arena::new(seed, number, players_of(number));
    Ensemble::new(players.div_ceil(PLAYERS_MAX), arena, TICK_US, updates_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 8), 100_000);
    }
}

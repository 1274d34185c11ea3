//! Basketball: several games at once, each with a scoreboard, a stream of events and statistics that agree with each
//! other.

mod attack;
mod game;
mod messages;
mod rates;
mod roster;
mod teams;

use super::{Scenario, sports};
use game::Game;

/// What `feed-sim describe basketball` prints.
pub(super) const DESCRIPTION: &str = "\
Per game GAME (home and away team, as in BRH-CAL); games are played eight times as fast as real ones, one after the
other:
  sports.basketball.GAME.score  state  {\"game\",\"home\",\"away\",\"home_points\",\"away_points\",\"status\",\"period\",\"clock\",\"possession\",
                                \"home_fouls\",\"away_fouls\"}: fouls in the current period
  sports.basketball.GAME.event  event  {\"id\",\"game\",\"type\",\"period\",\"clock\"} and, if it applies, \"team\" (home or away), \"club\",
                                \"player\" (shirt number), \"points\", \"made\", \"assist\", \"number\", \"of\", \"kind\", \"player_on\", \"reason\",
                                \"corrects\", \"set\"
  sports.basketball.GAME.stats  patch  {\"home\":{\"points\",\"fg_made\",\"fg_attempted\",\"three_made\",\"three_attempted\",\"ft_made\",
                                \"ft_attempted\",\"offensive_rebounds\",\"defensive_rebounds\",\"assists\",\"steals\",\"blocks\",
                                \"turnovers\",\"fouls\",\"timeouts_left\"},\"away\":{...}}: the changes; whole, as `state` with
                                \"game\", at the start of each period and every 256th time
Four periods of twelve minutes, and overtimes of five while the score is tied. `clock` is the time left in the period.
`game` numbers the games; `id` counts the events of a court from game to game and always rises on a topic.
Corrections name the corrected event by its id in `corrects`: `basket_cancelled` withdraws a basket, `correction` gives
the right values in `set` (\"points\": 2 if a three was a two, or \"player\"). A play under review is decided before the
period ends. The score is always the sum of the points that count, after corrections, and follows each event at once;
the statistics are those of the events that count.
In the first game the first three is ruled a two, so that every run shows a correction.
Shots, rebounds, fouls and so on are as frequent as in the NBA (`feed-sim/scenarios/src/basketball/rates.rs` names the
sources).
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sports.basketball.*.score\",\"sports.basketball.BRH-CAL.*\"]}";

/// Publications per game and second, measured over whole games and their breaks; a test checks it.
const UPDATES_PER_GAME_S: f64 = 5.05;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 2 << 40;

/// Makes the scenario with `games` games at once, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, games: u32) -> impl Scenario {
    sports::grounds::<Game>(seed, STREAMS_FROM, games, UPDATES_PER_GAME_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 4), 150_000);
    }
}

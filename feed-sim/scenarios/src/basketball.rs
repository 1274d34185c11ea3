//! Basketball: several games at once, each with a scoreboard, a stream of events and statistics that agree with each other.

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
Shots, rebounds, fouls and so on are as frequent as in the NBA (`feed-sim/scenarios/src/basketball/rates.rs` names the sources).
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sports.basketball.*.score\",\"sports.basketball.BRH-CAL.*\"]}";

/// Publications per game and second, measured over whole games and their breaks; a test keeps it true.
const UPDATES_PER_GAME_S: f64 = 5.05;

/// Away from the streams of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 2 << 40;

/// `games` at once, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, games: u32) -> impl Scenario {
    sports::grounds::<Game>(seed, STREAMS_FROM, games, UPDATES_PER_GAME_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_it_says() {
        super::super::ensemble::assert_rate(scenario(3, 4), 150_000);
    }
}

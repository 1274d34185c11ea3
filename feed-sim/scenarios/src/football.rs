//! Football: several matches at once, each with a scoreboard, a stream of events and statistics that agree with each
//! other.

mod clubs;
mod fixture;
mod messages;
mod rates;
mod squad;

use super::{Scenario, sports};
use fixture::Match;

/// What `feed-sim describe football` prints.
pub(super) const DESCRIPTION: &str = "\
Per match MATCH (home and away club, as in NOR-HAR); matches are played twenty times as fast as real ones, one after the
other:
  sports.football.MATCH.score  state  {\"match\",\"home\",\"away\",\"home_goals\",\"away_goals\",\"status\",\"period\",\"clock\",\"coverage\"}
  sports.football.MATCH.event  event  {\"id\",\"match\",\"type\",\"period\",\"clock\"} and, if it applies, \"team\" (home or away), \"club\",
                               \"player\" (shirt number), \"player_on\", \"on_target\", \"second_yellow\", \"reason\", \"corrects\", \"set\"
  sports.football.MATCH.stats  patch  {\"home\":{\"possession_pct\",\"shots\",\"on_target\",\"corners\",\"offsides\",\"fouls\",\"yellow_cards\",
                               \"red_cards\",\"substitutions\"},\"away\":{...}}: the changes; whole, as `state` with \"match\", at
                               each kick-off and every 256th time
`match` numbers the matches; `id` counts the events of a pitch from match to match and always rises on a topic; `clock`
is minutes and seconds of play and runs on through stoppage time.
Corrections name the corrected event by its id in `corrects`: `goal_disallowed` and `card_rescinded` withdraw it,
`correction` gives the right values in `set` (\"player\" or \"clock\"). The score is always the number of goals that were
not disallowed, and follows each event at once; the statistics are those of the events that count.
A match may be `interrupted` and `resumed`. When the coverage is lost (`coverage_suspended`; `coverage` in the score is
`suspended`), nothing is published for a while; then the missed events follow, each with the clock at which it happened,
and `coverage_resumed`.
In the first match a goal is scored in the third minute and disallowed, so that every run shows a correction.
Goals, shots, fouls and cards are as frequent as in the Premier League (`feed-sim/scenarios/src/football/rates.rs` names
the sources).
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sports.football.*.score\",\"sports.football.NOR-HAR.*\"]}";

/// Publications per match and second, measured over whole matches and their breaks; a test checks it.
const UPDATES_PER_MATCH_S: f64 = 4.69;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 1 << 40;

/// Makes the scenario with `matches` matches at once, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, matches: u32) -> impl Scenario {
    sports::grounds::<Match>(seed, STREAMS_FROM, matches, UPDATES_PER_MATCH_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 4), 150_000);
    }
}

//! NBA play-by-play, as the league's statistics site gives it: one JSON document with all `actions[]` of a game.
//!
//! Its only clock is the game's own, so that is what the feed runs on: a period of twelve minutes takes twelve, and
//! breaks take no time.

use std::collections::VecDeque;
use std::io::{self, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::publication::{BadRecord, Counts, Feed, Kind, Publication, Timed, push_json_string};
use crate::replay::{Reader, is_segment};

/// What `feed-sim describe nba` prints.
pub const DESCRIPTION: &str = "\
NBA play-by-play version 3, a JSON document with `game.actions[]`, gzip or plain:
  nba.GAMEID.event  event  each action with all its fields
  nba.GAMEID.score  state  {\"home\",\"away\",\"home_points\",\"away_points\",\"period\",\"clock\"} whenever one of them changed
The feed runs on the game's clock: breaks take no time.";

/// The largest document we take: a hundred times that of a long game.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
const PERIOD_MS: u64 = 12 * 60_000;
const OVERTIME_MS: u64 = 5 * 60_000;
const PERIODS: u32 = 4;

/// The feed of a game.
pub struct Nba {
    game_id: String,
    /// Still to be played, with its place in the document.
    actions: VecDeque<(usize, Box<RawValue>)>,
    score: Score,
    /// The score as it was published last.
    published: Option<String>,
    pending: VecDeque<Publication>,
    now_us: u64,
    records: u64,
    bad: u64,
}

/// The scoreboard.
#[derive(Default)]
struct Score {
    home: String,
    away: String,
    home_points: u32,
    away_points: u32,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    game: Game<'a>,
}

#[derive(Deserialize)]
struct Game<'a> {
    #[serde(rename = "gameId")]
    game_id: String,
    #[serde(borrow)]
    actions: Vec<&'a RawValue>,
}

/// An action as far as we look at it.
#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow)]
    clock: &'a str,
    period: u32,
    #[serde(rename = "scoreHome", default)]
    score_home: &'a str,
    #[serde(rename = "scoreAway", default)]
    score_away: &'a str,
    #[serde(default)]
    location: &'a str,
    #[serde(rename = "teamTricode", default)]
    team: &'a str,
}

impl Nba {
    /// Reads a whole document: it is one JSON value, and shows what it is only at its end.
    pub fn new(reader: Reader) -> io::Result<Self> {
        let mut text = String::new();
        reader.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(invalid(format!("the document is larger than {DOCUMENT_BYTES_MAX} bytes")));
        }
        let Document { game } =
            serde_json::from_str(&text).map_err(|error| invalid(format!("no play-by-play document: {error}")))?;
        if !is_segment(&game.game_id) {
            return Err(invalid(format!("game id {:?} cannot be part of a topic", game.game_id)));
        }
        let actions: VecDeque<_> = game.actions.into_iter().map(ToOwned::to_owned).enumerate().collect();
        let mut score = Score::default();
        // Which team is at home is said by the first action of each; the scoreboard shows both from the beginning.
        for (_, raw) in &actions {
            if !score.home.is_empty() && !score.away.is_empty() {
                break;
            }
            let mut bytes = raw.get().as_bytes().to_vec();
            if let Ok(action) = simd_json::serde::from_slice::<Action<'_>>(&mut bytes) {
                match action.location {
                    "h" => score.home = action.team.to_owned(),
                    "v" => score.away = action.team.to_owned(),
                    _ => {}
                }
            }
        }
        Ok(Nba {
            game_id: game.game_id,
            actions,
            score,
            published: None,
            pending: VecDeque::new(),
            now_us: 0,
            records: 0,
            bad: 0,
        })
    }

    fn play(&mut self, raw: &RawValue) -> Result<(), String> {
        let mut bytes = raw.get().as_bytes().to_vec();
        let action: Action<'_> = simd_json::serde::from_slice(&mut bytes).map_err(|error| error.to_string())?;
        let elapsed_ms = elapsed_ms(action.period, action.clock)?;
        let points = |text: &str, before: u32| match text {
            // Only said when it changes.
            "" => Ok(before),
            text => text.parse::<u32>().map_err(|_| format!("{text:?} is no score")),
        };
        let home_points = points(action.score_home, self.score.home_points)?;
        let away_points = points(action.score_away, self.score.away_points)?;
        // Written anew without the document's line breaks; digits, escapes and the order of keys stay.
        let value: serde_json::Value = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;

        (self.score.home_points, self.score.away_points) = (home_points, away_points);
        // Some actions are entered late, with the clock of when they happened.
        self.now_us = self.now_us.max(elapsed_ms * 1_000);
        let topic = |what: &str| format!("nba.{}.{what}", self.game_id);
        self.pending.push_back(Publication::new(&topic("event"), Kind::Event, value.to_string()));
        let score = self.score.text(action.period, action.clock);
        if self.published.as_ref() != Some(&score) {
            self.pending.push_back(Publication::new(&topic("score"), Kind::State, score.clone()));
            self.published = Some(score);
        }
        Ok(())
    }
}

impl Iterator for Nba {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Some(Ok(Timed { due_us: self.now_us, publication }));
            }
            let (index, raw) = self.actions.pop_front()?;
            self.records += 1;
            if let Err(reason) = self.play(&raw) {
                self.bad += 1;
                let position = format!("game.actions[{index}]");
                return Some(Err(BadRecord { position, reason, ends_recording: false }));
            }
        }
    }
}

impl Feed for Nba {
    fn counts(&self) -> Counts {
        Counts { records: self.records, bad: self.bad, ..Counts::default() }
    }
}

impl Score {
    fn text(&self, period: u32, clock: &str) -> String {
        let mut text = String::from("{\"home\":");
        push_json_string(&mut text, &self.home);
        text.push_str(",\"away\":");
        push_json_string(&mut text, &self.away);
        let Score { home_points, away_points, .. } = self;
        text.push_str(&format!(
            r#","home_points":{home_points},"away_points":{away_points},"period":{period},"clock":"#
        ));
        push_json_string(&mut text, clock);
        text.push('}');
        text
    }
}

/// Time played at `PT11M43.00S` before the end of a period.
fn elapsed_ms(period: u32, clock: &str) -> Result<u64, String> {
    let left_ms = remaining_ms(clock).ok_or_else(|| format!("{clock:?} is no clock"))?;
    let (before_ms, length_ms) = match period {
        1..=PERIODS => (u64::from(period - 1) * PERIOD_MS, PERIOD_MS),
        // No game had more than six overtimes; a hundred is a mistake.
        5..100 => (u64::from(PERIODS) * PERIOD_MS + u64::from(period - PERIODS - 1) * OVERTIME_MS, OVERTIME_MS),
        _ => return Err(format!("there is no period {period}")),
    };
    match length_ms.checked_sub(left_ms) {
        Some(played_ms) => Ok(before_ms + played_ms),
        None => Err(format!("{clock:?} is more than a period")),
    }
}

fn remaining_ms(clock: &str) -> Option<u64> {
    let (minutes, seconds) = clock.strip_prefix("PT")?.strip_suffix('S')?.split_once('M')?;
    let (seconds, hundredths) = seconds.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    let number = |text: &str| text.parse::<u16>().ok().map(u64::from);
    Some(number(minutes)? * 60_000 + number(seconds)? * 1_000 + number(hundredths)? * 10)
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_the_game() {
        assert_eq!(elapsed_ms(1, "PT12M00.00S"), Ok(0));
        assert_eq!(elapsed_ms(1, "PT11M43.50S"), Ok(16_500));
        assert_eq!(elapsed_ms(4, "PT00M00.00S"), Ok(48 * 60_000));
        assert_eq!(elapsed_ms(6, "PT05M00.00S"), Ok(53 * 60_000));
        for (period, clock) in [(1, "PT12M00.01S"), (0, "PT01M00.00S"), (1, "11:43"), (1, "PT-1M00.00S"), (1, "PT1M0S")]
        {
            assert!(elapsed_ms(period, clock).is_err(), "{period} {clock}");
        }
    }
}

//! NBA play-by-play, as the league's statistics site gives it (`playbyplayv3`): one JSON document with all `actions[]`
//! of a game.
//!
//! The only times in it are those of the game clock, so the feed runs on that: a period of twelve minutes takes twelve
//! minutes, and breaks take no time.

use std::collections::VecDeque;
use std::io;

use serde::Deserialize;

use crate::venue::elements::{Broken, Document};
use crate::{Reader, is_segment};
use feed_player::publication::{BadRecord, Counts, Feed, Kind, Publication, Timed, push_string};

/// What `feed-sim describe nba` prints.
pub const DESCRIPTION: &str = "\
NBA play-by-play version 3, a JSON document with `game.actions[]`:
  nba.GAMEID.event  event  each action with all its fields
  nba.GAMEID.score  state  {\"home\",\"away\",\"home_points\",\"away_points\",\"period\",\"clock\"} whenever one of them changes
The feed runs on the game clock: breaks take no time.";

/// How many actions are read ahead to find the teams: both teams of any game appear within that many.
const LOOK_AHEAD_ACTIONS: u64 = 500;
const PERIOD_MS: u64 = 12 * 60_000;
const OVERTIME_MS: u64 = 5 * 60_000;
const PERIODS: u32 = 4;

/// The feed of a game.
pub struct Nba {
    game_id: String,
    document: Document,
    /// Actions that were read ahead.
    ahead: VecDeque<Result<Vec<u8>, BadRecord>>,
    /// How many actions were read from the document.
    read: u64,
    score: Score,
    /// The score that was published last.
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

/// The fields of an action that are used.
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
    /// Opens a document. The id of the game must come before its actions, as it does in the league's documents.
    pub fn new(reader: Reader) -> io::Result<Self> {
        let mut document = Document::new(reader);
        let game_id = actions(&mut document).map_err(|broken| broken.error("play-by-play document"))?;
        let game_id =
            game_id.ok_or_else(|| invalid("not a play-by-play document: `game.gameId`, then `game.actions`".into()))?;
        if !is_segment(&game_id) {
            return Err(invalid(format!("game id {game_id:?} cannot be part of a topic")));
        }
        let mut nba = Nba {
            game_id,
            document,
            ahead: VecDeque::new(),
            read: 0,
            score: Score::default(),
            published: None,
            pending: VecDeque::new(),
            now_us: 0,
            records: 0,
            bad: 0,
        };
        nba.look_ahead();
        Ok(nba)
    }

    /// Reads ahead until both teams are known, so that the scoreboard shows them from the beginning. The first action
    /// of each team says whether it plays at home.
    fn look_ahead(&mut self) {
        while self.read < LOOK_AHEAD_ACTIONS && (self.score.home.is_empty() || self.score.away.is_empty()) {
            let Some(action) = self.read() else { break };
            if let Ok(text) = &action
                && let Ok(action) = simd_json::serde::from_slice::<Action<'_>>(&mut text.clone())
            {
                match action.location {
                    "h" => self.score.home = action.team.to_owned(),
                    "v" => self.score.away = action.team.to_owned(),
                    _ => {}
                }
            }
            self.ahead.push_back(action);
        }
    }

    /// Reads the next action of the document.
    fn read(&mut self) -> Option<Result<Vec<u8>, BadRecord>> {
        let mut text = Vec::new();
        let element = self.document.element(&mut text)?;
        self.read += 1;
        Some(match element {
            Ok(value) => match value.check(&text) {
                Ok(_) => Ok(text),
                Err(reason) => Err(BadRecord { position: position(self.read - 1), reason, ends_recording: false }),
            },
            Err(broken) => Err(broken.bad_record()),
        })
    }

    fn play(&mut self, text: Vec<u8>) -> Result<(), String> {
        let mut bytes = text.clone();
        let action: Action<'_> = simd_json::serde::from_slice(&mut bytes).map_err(|error| error.to_string())?;
        let elapsed_ms = elapsed_ms(action.period, action.clock)?;
        let points = |text: &str, before: u32| match text {
            // The score is given only when it changes.
            "" => Ok(before),
            text => text.parse::<u32>().map_err(|_| format!("{text:?} is not a score")),
        };
        let home_points = points(action.score_home, self.score.home_points)?;
        let away_points = points(action.score_away, self.score.away_points)?;
        // White space was removed; digits, escapes and the order of keys are those of the document.
        let text = String::from_utf8(text).map_err(|error| error.to_string())?;

        (self.score.home_points, self.score.away_points) = (home_points, away_points);
        // Some actions are entered late, with the clock of the moment when they happened.
        self.now_us = self.now_us.max(elapsed_ms * 1_000);
        let topic = |what: &str| format!("nba.{}.{what}", self.game_id);
        self.pending.push_back(Publication::new(&topic("event"), Kind::Event, text));
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
            let action = match self.ahead.pop_front() {
                Some(action) => action,
                None => self.read()?,
            };
            let index = self.records;
            self.records += 1;
            let played = action.and_then(|text| {
                self.play(text).map_err(|reason| BadRecord { position: position(index), reason, ends_recording: false })
            });
            if let Err(bad) = played {
                self.bad += 1;
                return Some(Err(bad));
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
        push_string(&mut text, &self.home);
        text.push_str(",\"away\":");
        push_string(&mut text, &self.away);
        let Score { home_points, away_points, .. } = self;
        text.push_str(&format!(
            r#","home_points":{home_points},"away_points":{away_points},"period":{period},"clock":"#
        ));
        push_string(&mut text, clock);
        text.push('}');
        text
    }
}

/// Returns the time played in milliseconds, from a clock that counts down to the end of its period: `PT11M43.00S`.
fn elapsed_ms(period: u32, clock: &str) -> Result<u64, String> {
    let left_ms = remaining_ms(clock).ok_or_else(|| format!("{clock:?} is not a clock such as PT11M43.00S"))?;
    let (before_ms, length_ms) = match period {
        1..=PERIODS => (u64::from(period - 1) * PERIOD_MS, PERIOD_MS),
        // No game has had more than six overtimes; a hundred is an error.
        5..100 => (u64::from(PERIODS) * PERIOD_MS + u64::from(period - PERIODS - 1) * OVERTIME_MS, OVERTIME_MS),
        _ => return Err(format!("there is no period {period}")),
    };
    match length_ms.checked_sub(left_ms) {
        Some(played_ms) => Ok(before_ms + played_ms),
        None => Err(format!("{clock:?} is longer than the period")),
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

/// Advances to the actions, and returns the game's id if it came before them.
fn actions(document: &mut Document) -> Result<Option<String>, Broken> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    document.enter(b'{')?;
    loop {
        if document.key(&mut key)?.is_none() {
            return Ok(None);
        }
        if key == b"game" {
            break;
        }
        document.value(&mut value)?;
    }
    document.enter(b'{')?;
    let mut game_id = None;
    while document.key(&mut key)?.is_some() {
        if key == b"actions" {
            document.enter(b'[')?;
            return Ok(game_id);
        }
        document.value(&mut value)?;
        if key == b"gameId" {
            game_id = serde_json::from_slice(&value).ok();
        }
    }
    Ok(None)
}

fn position(index: u64) -> String {
    format!("game.actions[{index}]")
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_game_clock() {
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

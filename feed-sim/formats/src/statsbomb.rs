//! StatsBomb event data: one JSON array with every event of a football match.
//!
//! The fields are those of the public specification ("StatsBomb Data Specification", Events) and of its open data.
//! Periods 1 and 2 are the halves, 3 and 4 extra time, 5 the penalty shoot-out; `timestamp` counts from the beginning
//! of its period. The feed runs on that clock, and breaks take no time.

mod fields;
mod scoreboard;
mod statistics;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use crate::venue::elements::Document;
use crate::venue::text::unchanged;
use crate::{Reader, is_segment};
use feed_player::publication::{BadRecord, Counts, Feed, Kind, Publication, Timed};
use fields::Event;
use scoreboard::Scoreboard;
use statistics::Statistics;

/// What `feed-sim describe statsbomb` prints.
pub(super) const DESCRIPTION: &str = "\
StatsBomb events of a football match, a JSON array; MATCH is the longest number in the file's name, or `match`:
  statsbomb.MATCH.event  event  each event with all its fields
  statsbomb.MATCH.score  state  {\"home\",\"away\",\"home_goals\",\"away_goals\",\"status\",\"period\",\"minute\"} whenever one of them
                                changes, from the moment when both teams are known; in a shoot-out also
                                {\"home_penalties\",\"away_penalties\"}, which are not goals
  statsbomb.MATCH.stats  state, patch  {\"home\":{…},\"away\":{…},\"possession\":\"home\"|\"away\"}: passes, passes_complete, shots,
                                shots_on_target, corners, fouls, yellow_cards, red_cards, substitutions, each when it
                                changes; every 256th message has all of them
The team whose line-up comes first is at home. The feed runs on the match clock: breaks take no time.";

/// The feed of a match.
pub(super) struct StatsBomb {
    document: Document,
    /// The text of the current event.
    text: Vec<u8>,
    match_id: String,
    clock: MatchClock,
    scoreboard: Scoreboard,
    statistics: Statistics,
    pending: VecDeque<Publication>,
    records: u64,
    bad: u64,
}

impl StatsBomb {
    /// Opens a file.
    pub(super) fn new(reader: Reader) -> io::Result<Self> {
        let match_id = match_id(reader.path());
        let mut document = Document::new(reader);
        document.enter(b'[').map_err(|broken| broken.error("array of events"))?;
        Ok(StatsBomb {
            document,
            text: Vec::new(),
            match_id,
            clock: MatchClock::default(),
            scoreboard: Scoreboard::default(),
            statistics: Statistics::default(),
            pending: VecDeque::new(),
            records: 0,
            bad: 0,
        })
    }

    /// Publishes an event. An error publishes nothing.
    fn play(&mut self, text: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
        let event: Event<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let elapsed_ms =
            timestamp_ms(event.timestamp).ok_or_else(|| format!("{:?} is not a timestamp", event.timestamp))?;
        if !(1..=5).contains(&event.period) {
            return Err(format!("there is no period {}", event.period));
        }
        let topic = |what: &str| format!("statsbomb.{}.{what}", self.match_id);
        let team = event.team.as_ref().map(|team| self.scoreboard.team(&team.name)).transpose()?;
        let possession = event.possession_team.as_ref().map(|team| self.scoreboard.team(&team.name)).transpose()?;
        let data = unchanged(text)?;
        self.clock.advance(event.period, elapsed_ms);
        self.pending.push_back(Publication::new(&topic("event"), Kind::Event, data));
        if let Some(score) = self.scoreboard.take(&event, team) {
            self.pending.push_back(Publication::new(&topic("score"), Kind::State, score));
        }
        if let Some((kind, statistics)) = self.statistics.take(&event, team, possession) {
            self.pending.push_back(Publication::new(&topic("stats"), kind, statistics));
        }
        Ok(())
    }
}

impl Iterator for StatsBomb {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Some(Ok(Timed { due_us: self.clock.now_ms * 1_000, publication }));
            }
            let mut text = std::mem::take(&mut self.text);
            let element = self.document.element(&mut text)?;
            let position = format!("event {}", self.records);
            self.records += 1;
            let played = match element {
                Ok(value) => match value.check(&text).and_then(|text| self.play(text)) {
                    Ok(()) => Ok(()),
                    Err(reason) => Err(BadRecord { position, reason, ends_recording: false }),
                },
                Err(broken) => Err(broken.bad_record()),
            };
            self.text = text;
            if let Err(bad) = played {
                self.bad += 1;
                return Some(Err(bad));
            }
        }
    }
}

impl Feed for StatsBomb {
    fn counts(&self) -> Counts {
        Counts { records: self.records, bad: self.bad, ..Counts::default() }
    }
}

/// The feed's clock: the match clock without the breaks.
#[derive(Default)]
struct MatchClock {
    period: u32,
    /// When the period began, on the feed's clock.
    begun_ms: u64,
    now_ms: u64,
}

impl MatchClock {
    /// Advances to an event. Some events are entered late, with an earlier time; the clock does not go back for them.
    fn advance(&mut self, period: u32, elapsed_ms: u64) {
        if period > self.period {
            self.period = period;
            self.begun_ms = self.now_ms;
        }
        if period == self.period {
            self.now_ms = self.now_ms.max(self.begun_ms + elapsed_ms);
        }
    }
}

/// Reads a timestamp such as `00:18:21.121`, in milliseconds.
fn timestamp_ms(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let shape = b"00:00:00.000";
    let fits = bytes.len() == shape.len()
        && bytes
            .iter()
            .zip(shape)
            .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    Some(((number(0, 2)? * 60 + number(3, 5)?) * 60 + number(6, 8)?) * 1_000 + number(9, 12)?)
}

/// Returns the match's id, which is only in the name of the file.
fn match_id(path: Option<&Path>) -> String {
    let name = path.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let numbers = name.split(|char: char| !char.is_ascii_digit());
    // The first of several with the same length.
    let longest = numbers.rev().max_by_key(|number| number.len()).unwrap_or_default();
    if is_segment(longest) { longest.to_owned() } else { "match".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_is_in_the_name_of_the_file() {
        for (name, id) in [
            ("/data/15986.json", "15986"),
            ("statsbomb_15986_events.json.gz", "15986"),
            ("2024/v2_3788741.json", "3788741"),
            ("12_34.json", "12"),
            ("events.json", "match"),
        ] {
            assert_eq!(match_id(Some(Path::new(name))), id, "{name}");
        }
        assert_eq!(match_id(None), "match");
    }

    #[test]
    fn timestamps_and_the_clock() {
        assert_eq!(timestamp_ms("00:18:21.121"), Some(1_101_121));
        for wrong in ["", "18:21", "00:18:21", "00:18:21,121", "0a:18:21.121", "00:18:21.1210", "00:18:2\u{e9}.12"] {
            assert_eq!(timestamp_ms(wrong), None, "{wrong}");
        }
        let mut clock = MatchClock::default();
        for (period, elapsed_ms, now_ms) in
            [(1, 5, 5), (1, 3, 5), (2, 1, 6), (1, 900, 6), (2, 4, 9), (5, 0, 9), (5, 2, 11)]
        {
            clock.advance(period, elapsed_ms);
            assert_eq!(clock.now_ms, now_ms);
        }
    }
}

//! StatsBomb events, and documents that are read element by element.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use feed_formats::find;
use feed_player::publication::{Counts, Kind};
use serde_json::{Value, json};

use crate::common::{all, data, recording, synthetic_text};
use crate::{count, decompressed, images, lines, of_file, of_text};

/// A match with one of each event that is used.
pub(crate) fn fixture() -> String {
    synthetic_text("statsbomb_90001.json")
}

/// The beginning of a game of basketball.
pub(crate) fn nba_fixture() -> String {
    synthetic_text("nba_playbyplay.json")
}

#[test]
fn each_event() {
    let (timed, bad, counts) = of_text("statsbomb", &fixture());
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 18, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    let published: Vec<Value> = timed
        .iter()
        .filter(|timed| timed.publication.kind == Kind::Event)
        .map(|timed| data(&timed.publication))
        .collect();
    let events: Vec<Value> = serde_json::from_str(&fixture()).expect("JSON");
    assert_eq!(published, events);
    let minute_us = 60_000_000;
    let first = &lines(&timed)[..9];
    let name = r#""home":"Reds \"04\"","away":"Blues","home_goals":0,"away_goals":0"#;
    assert!(
        first[0].starts_with(r#"0 statsbomb.match.event event {"period":1,"timestamp":"00:00:00.000","#),
        "{}",
        first[0]
    );
    assert!(first[1].starts_with("0 statsbomb.match.stats state {\"home\":{\"passes\":0,"), "possession: {}", first[1]);
    assert_eq!(
        first[3],
        format!(r#"0 statsbomb.match.score state {{{name},"status":"pre_match","period":1,"minute":0}}"#)
    );
    assert_eq!(first[4], r#"0 statsbomb.match.stats patch {"possession":"away"}"#);
    assert_eq!(
        first[6],
        format!(r#"0 statsbomb.match.score state {{{name},"status":"first_half","period":1,"minute":0}}"#)
    );

    let score = |status: &str, minute: u32, home: u32, away: u32| (status.to_owned(), minute, home, away);
    let scores: Vec<_> = timed
        .iter()
        .filter(|timed| timed.publication.topic.ends_with(".score"))
        .map(|timed| {
            let data = data(&timed.publication);
            let number = |name: &str| data[name].as_u64().expect("a number") as u32;
            (
                data["status"].as_str().expect("text").to_owned(),
                number("minute"),
                number("home_goals"),
                number("away_goals"),
            )
        })
        .collect();
    assert_eq!(
        scores,
        [
            score("pre_match", 0, 0, 0),
            score("first_half", 0, 0, 0),
            score("first_half", 1, 0, 1),
            score("first_half", 2, 0, 1),
            score("first_half", 2, 1, 1),
            score("half_time", 46, 1, 1),
            score("second_half", 45, 1, 1),
            score("full_time", 93, 1, 1),
            score("shoot_out", 120, 1, 1),
            score("shoot_out", 120, 1, 1),
            score("full_time", 120, 1, 1),
        ]
    );
    // Breaks take no time: 46 and 48 minutes, and then the shoot-out.
    assert_eq!(timed.last().expect("some").due_us, (46 + 48) * minute_us + minute_us / 2);
    let images = images(&timed);
    assert_eq!(images["statsbomb.match.score"]["away_penalties"], 1);
    assert_eq!(images["statsbomb.match.score"]["home_penalties"], 0);
    let counts = |passes: u32, complete, shots, on_target, corners, fouls, yellow, red, substitutions: u32| json!({"passes": passes, "passes_complete": complete, "shots": shots, "shots_on_target": on_target, "corners": corners, "fouls": fouls, "yellow_cards": yellow, "red_cards": red, "substitutions": substitutions});
    assert_eq!(
        images["statsbomb.match.stats"],
        json!({"home": counts(2, 1, 0, 0, 1, 0, 0, 0, 1), "away": counts(0, 0, 1, 1, 0, 1, 1, 1, 0), "possession": "away"})
    );
}

#[test]
fn events_that_cannot_be_used() {
    let good = r#"{"period":1,"timestamp":"00:00:01.000","type":{"name":"Pass"},"team":{"name":"A"}}"#;
    let mut text = format!("[{good}");
    let wrong = [
        ("7", ""),
        ("{}", "missing field"),
        (r#"{"period" 1}"#, "expected"),
        (r#"{"period":1,"timestamp":"1:2","type":{"name":"x"}}"#, "not a timestamp"),
        (r#"{"period":9,"timestamp":"00:00:01.000","type":{"name":"x"}}"#, "no period 9"),
        (r#"{"period":1,"timestamp":"00:00:01.000","type":{"name":"x"},"team":{"name":"B"}}"#, ""),
        (r#"{"period":1,"timestamp":"00:00:01.000","type":{"name":"x"},"team":{"name":"C"}}"#, "third team"),
    ];
    for (event, _) in wrong {
        text += &format!(",\n{event}");
    }
    text += &format!(",{good}]");
    let (timed, bad, counts) = of_text("statsbomb", &text);
    assert_eq!(count(&timed, Kind::Event, ".event"), 3);
    assert_eq!(counts, Counts { records: 9, bad: 6, superseded: 0, venue_gaps: 0, ..Counts::default() });
    let positions: Vec<&str> = bad.iter().map(|bad| bad.position.as_str()).collect();
    assert_eq!(positions, ["event 1", "event 2", "event 3", "event 4", "event 5", "event 7"]);
    for (bad, (_, reason)) in bad.iter().zip(wrong.iter().filter(|(event, _)| !event.contains("\"B\""))) {
        assert!(bad.reason.contains(reason), "{bad}");
    }
}

#[test]
fn documents_that_are_cut_or_no_documents() {
    for format in ["statsbomb", "nba"] {
        let whole = if format == "nba" { nba_fixture() } else { fixture() };
        let (whole_timed, _, _) = of_text(format, &whole);
        let cut = &whole[..whole.len() * 9 / 10];
        let (timed, bad, counts) = of_text(format, cut);
        assert!(!timed.is_empty() && timed.len() < whole_timed.len(), "what is before the cut is published");
        assert_eq!((bad.len(), counts.bad), (1, 1));
        assert!(bad[0].ends_recording);
        assert_eq!(bad[0].position, format!("byte {}", cut.len()));
        for text in ["", "7", "\"[\"", "<html>"] {
            assert!(find(format).expect("a format").of_bytes(text.into()).is_err(), "{format} {text}");
        }
    }
    let open = |text: &str| find("nba").expect("a format").of_bytes(text.into()).err().map(|error| error.to_string());
    let error = open(r#"{"game":{"actions":[],"gameId":"1"}}"#).expect("an error");
    assert!(error.contains("`game.gameId`, then `game.actions`"), "{error}");
    assert_eq!(open(r#"{"game":{"gameId":"1","actions":[]}}"#), None);
}

/// A document that is made while it is read, with a count of the bytes that were made.
struct Endless {
    elements: u64,
    element: &'static str,
    end: &'static str,
    rest: Vec<u8>,
    at: usize,
    made_bytes: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.rest.len() && self.elements > 0 {
            self.elements -= 1;
            let after = if self.elements == 0 { self.end } else { "," };
            self.rest = format!("{}{after}", self.element).into_bytes();
            self.at = 0;
        }
        let count = buffer.len().min(self.rest.len() - self.at);
        buffer[..count].copy_from_slice(&self.rest[self.at..self.at + count]);
        self.at += count;
        self.made_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// In a document of any length, no more has been read at any time than was published, plus a bound.
#[test]
fn documents_of_any_length_take_little_memory() {
    const ELEMENTS: u64 = 100_000;
    /// The buffers, and the 500 actions that are read ahead to find the teams of a game.
    const AHEAD_BYTES_MAX: u64 = 100_000;
    let documents = [
        (
            "nba",
            r#"{"game":{"gameId":"1","actions":["#,
            r#"{"clock":"PT11M00.00S","period":1,"x":"twenty bytes of text"}"#,
            "]}}",
        ),
        ("statsbomb", "[", r#"{"period":1,"timestamp":"00:00:01.000","type":{"name":"Pass"},"x":[1,2,3,4,5]}"#, "]"),
    ];
    for (format, head, element, end) in documents {
        let made_bytes = Arc::new(AtomicU64::new(0));
        let document =
            Endless { elements: ELEMENTS, element, end, rest: head.into(), at: 0, made_bytes: made_bytes.clone() };
        let stream = BufReader::with_capacity(4_096, document);
        let mut feed = find(format).expect("a format").of_stream(stream).expect("a document");
        let (mut events, mut published_bytes) = (0, 0);
        for item in feed.by_ref() {
            let publication = item.expect("good").publication;
            if publication.kind == Kind::Event {
                events += 1;
                published_bytes += publication.data.len() as u64;
            }
            // One more byte for the comma after each element.
            let ahead_bytes = made_bytes.load(Ordering::Relaxed).saturating_sub(published_bytes + events);
            assert!(ahead_bytes < AHEAD_BYTES_MAX, "{format}: {ahead_bytes} bytes after {events} events");
        }
        assert_eq!((events, feed.counts().records), (ELEMENTS, ELEMENTS));
    }
}

#[test]
fn the_recorded_match() {
    let Some(path) = recording("statsbomb_15986_events.json.gz") else { return };
    let (timed, bad, counts) = of_file("statsbomb", &path);
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 4_027, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(count(&timed, Kind::Event, "statsbomb.15986.event"), 4_027);

    // All events are published unchanged, in the order of the file.
    let events: Vec<Value> = serde_json::from_str(&decompressed(&path)).expect("JSON");
    let published: Vec<Value> = timed
        .iter()
        .filter(|timed| timed.publication.kind == Kind::Event)
        .map(|timed| data(&timed.publication))
        .collect();
    assert!(published == events);

    // The result is known: Barcelona 2, Girona 2. The statistics are those of a naive count.
    let images = images(&timed);
    let score = &images["statsbomb.15986.score"];
    assert_eq!(
        score,
        &json!({"home": "Barcelona", "away": "Girona", "home_goals": 2, "away_goals": 2, "status": "full_time", "period": 2, "minute": score["minute"]})
    );
    let mut naive: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for event in &events {
        let (team, kind) =
            (event["team"]["name"].as_str().expect("a team"), event["type"]["name"].as_str().expect("a type"));
        *naive.entry((team, kind)).or_default() += 1;
        if event["shot"]["outcome"]["name"] == "Goal" {
            *naive.entry((team, "goal")).or_default() += 1;
        }
        if kind == "Pass" && event["pass"].get("outcome").is_none() {
            *naive.entry((team, "complete")).or_default() += 1;
        }
    }
    let stats = &images["statsbomb.15986.stats"];
    for (side, team) in [("home", "Barcelona"), ("away", "Girona")] {
        for (name, kind) in [
            ("passes", "Pass"),
            ("passes_complete", "complete"),
            ("shots", "Shot"),
            ("fouls", "Foul Committed"),
            ("substitutions", "Substitution"),
        ] {
            assert_eq!(stats[side][name], naive[&(team, kind)], "{team} {name}");
        }
        assert_eq!(score[format!("{side}_goals")], naive[&(team, "goal")]);
    }
    // The feed is as long as both halves together, each up to its latest event.
    let latest_ms = |period: u32| {
        let timestamps = events.iter().filter(|event| event["period"] == period).map(|event| &event["timestamp"]);
        let latest = timestamps.map(|text| text.as_str().expect("text")).max().expect("events");
        let parts: Vec<u64> = latest.split([':', '.']).map(|part| part.parse().expect("a number")).collect();
        ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000 + parts[3]
    };
    assert_eq!(timed.last().map(|timed| timed.due_us), Some((latest_ms(1) + latest_ms(2)) * 1_000));

    // In memory there is no file name that contains the match's id.
    let bytes = std::fs::read(&path).expect("readable");
    let (nameless, _, _) = all(find("statsbomb").expect("a format").of_bytes(bytes).expect("readable"));
    assert_eq!(nameless.len(), timed.len());
    assert_eq!(nameless[0].publication.topic, "statsbomb.match.event");
}

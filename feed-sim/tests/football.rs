//! Scores and events of football matches agree, over many matches from many seeds.

mod common;

use std::collections::BTreeMap;

use common::data;
use feed_sim::publication::{Kind, Publication};
use feed_sim::scenario::find;
use serde_json::Value;

/// What a subscriber to one match knows of it.
#[derive(Default)]
struct Match {
    /// Goals by event id: whose, and whether they count.
    goals: BTreeMap<u64, (String, bool)>,
    clock: (u64, u64),
    events: Vec<String>,
    /// An event came and the scoreboard after it has not yet.
    owes_score: bool,
}

#[derive(Default)]
struct Seen {
    matches: BTreeMap<u64, Match>,
    event_id: u64,
    disallowed: u64,
}

impl Seen {
    fn take(&mut self, publication: &Publication) {
        let data = data(publication);
        let number = data["match"].as_u64().expect("a number");
        let game = self.matches.entry(number).or_default();
        let clock = (data["period"].as_u64().expect("a number"), seconds(&data["clock"]));
        assert!(clock >= game.clock, "{clock:?} after {:?}", game.clock);
        game.clock = clock;
        match publication.kind {
            Kind::Event => {
                let id = data["id"].as_u64().expect("a number");
                assert_eq!(id, self.event_id + 1);
                self.event_id = id;
                let what = data["type"].as_str().expect("a string");
                let team = data["team"].as_str().unwrap_or_default();
                match what {
                    "goal" => _ = game.goals.insert(id, (team.to_owned(), true)),
                    "goal_disallowed" => {
                        let goal = data["corrects"].as_u64().and_then(|id| game.goals.get_mut(&id));
                        let goal = goal.expect("it corrects a goal of this match");
                        assert_eq!(*goal, (team.to_owned(), true), "of that team, and once");
                        goal.1 = false;
                        self.disallowed += 1;
                    }
                    _ => {}
                }
                game.events.push(what.to_owned());
                game.owes_score = true;
            }
            Kind::State => {
                for (team, field) in [("home", "home_goals"), ("away", "away_goals")] {
                    let counting = game.goals.values().filter(|(by, counts)| by == team && *counts).count();
                    assert_eq!(data[field], counting, "{data}");
                }
                game.owes_score = false;
            }
            Kind::Patch => panic!("no patches here"),
        }
    }
}

fn seconds(clock: &Value) -> u64 {
    let (minutes, seconds) = clock.as_str().and_then(|clock| clock.split_once(':')).expect("minutes and seconds");
    minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds")
}

#[test]
fn score_and_events_agree() {
    for seed in 0..10 {
        eprintln!("seed {seed}");
        let mut scenario = find("football").expect("in the catalogue").build(seed, Some(4));
        let mut seen = Seen::default();
        let mut due_us = 0;
        for _ in 0..40_000 {
            let timed = scenario.next();
            if timed.due_us > due_us {
                assert!(seen.matches.values().all(|game| !game.owes_score), "the score follows at once");
            }
            due_us = timed.due_us;
            seen.take(&timed.publication);
        }
        check_matches(&seen);
    }
}

fn check_matches(seen: &Seen) {
    let finished: Vec<&Match> =
        seen.matches.values().filter(|game| game.events.iter().any(|what| what == "full_time")).collect();
    assert!(finished.len() >= 28, "{} matches", finished.len());
    assert!(seen.disallowed > 1, "{} goals were disallowed", seen.disallowed);
    for game in &finished {
        let whistles: Vec<&str> = game
            .events
            .iter()
            .map(String::as_str)
            .filter(|what| ["kick_off", "half_time", "full_time"].contains(what))
            .collect();
        assert_eq!(whistles, ["kick_off", "half_time", "kick_off", "full_time"]);
    }
    let goals: usize = finished.iter().flat_map(|game| game.goals.values()).filter(|goal| goal.1).count();
    let per_match = goals as f64 / finished.len() as f64;
    assert!((1.0..5.0).contains(&per_match), "{per_match} goals per match");
}

/// Everybody who tries it sees a correction within a few seconds.
#[test]
fn the_first_match_has_a_goal_that_is_disallowed() {
    for seed in 0..50 {
        let mut scenario = find("football").expect("in the catalogue").build(seed, None);
        let mut seen = Seen::default();
        loop {
            let timed = scenario.next();
            assert!(timed.due_us < 15_000_000, "seed {seed}");
            seen.take(&timed.publication);
            if seen.disallowed > 0 {
                break;
            }
        }
    }
}

/// A feed that runs for days has a bounded number of topics.
#[test]
fn fixtures_come_round_again() {
    let mut scenario = find("football").expect("in the catalogue").build(1, Some(2));
    let topics: std::collections::BTreeSet<String> = (0..100_000).map(|_| scenario.next().publication.topic).collect();
    assert_eq!(topics.len(), 2 * 12 * 2);
}

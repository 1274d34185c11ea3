//! Scores, events and statistics of football matches agree, over many matches from many seeds.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{data, merge};
use feed_sim::publication::{Kind, Publication};
use feed_sim::scenario::find;
use serde_json::{Value, json};

/// What a subscriber to one match knows of it.
#[derive(Default)]
struct Match {
    /// Events by their id, as corrected; those that were taken back are gone.
    events: BTreeMap<u64, Value>,
    told: Vec<String>,
    stats: Option<Value>,
    score: Value,
    clock: (u64, u64),
    /// An event came and the scoreboard after it has not yet.
    owes_score: bool,
    is_covered: bool,
    tables: u32,
}

#[derive(Default)]
struct Seen {
    /// By topic, without its last segment: the match that is on.
    on: BTreeMap<String, u64>,
    matches: BTreeMap<u64, Match>,
    last_id: BTreeMap<String, u64>,
    /// Events of each type.
    told: BTreeMap<String, u64>,
}

impl Seen {
    fn take(&mut self, publication: &Publication) {
        let data = data(publication);
        let (topic, what) = publication.topic.rsplit_once('.').expect("segments");
        if let Some(number) = data["match"].as_u64() {
            self.on.insert(topic.to_owned(), number);
        }
        let game = self.matches.entry(self.on[topic]).or_default();
        match what {
            "event" => {
                assert_eq!(publication.kind, Kind::Event);
                let id = data["id"].as_u64().expect("a number");
                let last_id = self.last_id.entry(topic.to_owned()).or_default();
                assert!(id > *last_id, "ids rise");
                *last_id = id;
                *self.told.entry(data["type"].as_str().expect("a string").to_owned()).or_default() += 1;
                game.take_event(id, data);
            }
            "score" => {
                assert_eq!(publication.kind, Kind::State);
                game.take_score(data);
            }
            "stats" => {
                match (publication.kind, &mut game.stats) {
                    (Kind::State, stats) => *stats = Some(data),
                    (Kind::Patch, Some(stats)) => merge(stats, &data),
                    other => panic!("{other:?}"),
                }
                game.tables += 1;
                // Counting all events anew takes a while: every 16th table, and each that is told whole.
                if publication.kind == Kind::State || game.tables.is_multiple_of(16) {
                    game.check_stats();
                }
            }
            other => panic!("a topic {other}"),
        }
    }
}

impl Match {
    fn take_event(&mut self, id: u64, data: Value) {
        self.move_clock(&data);
        let what = data["type"].as_str().expect("a string");
        self.told.push(what.to_owned());
        if let Some(earlier) = data.get("corrects").map(|id| id.as_u64().expect("a number")) {
            assert!(earlier < id);
            let corrected =
                self.events.get_mut(&earlier).expect("it corrects an earlier event of this match, and once");
            match what {
                "correction" => {
                    let before = corrected.clone();
                    for (name, value) in data["set"].as_object().expect("an object") {
                        assert!(["player", "clock"].contains(&name.as_str()));
                        assert_ne!(corrected[name], *value, "there is something to correct");
                        corrected[name] = value.clone();
                    }
                    assert!(seconds(&corrected["clock"]) <= seconds(&before["clock"]));
                    assert!(seconds(&corrected["clock"]) >= (data["period"].as_u64().expect("a number") - 1) * 2_700);
                }
                "goal_disallowed" | "card_rescinded" => {
                    let of = if what == "goal_disallowed" { "goal" } else { "red_card" };
                    assert_eq!((&corrected["type"], &corrected["team"]), (&json!(of), &data["team"]));
                    self.events.remove(&earlier);
                }
                other => panic!("{other} corrects"),
            }
        }
        if data["player"].is_u64() {
            assert!(self.is_on_pitch(&data["team"], &data["player"]), "{data}");
        }
        self.events.insert(id, data);
        self.owes_score = true;
    }

    /// Not substituted and not sent off, and from the bench only when he has come.
    fn is_on_pitch(&self, team: &Value, player: &Value) -> bool {
        let theirs = || self.events.values().filter(|event| event["team"] == *team);
        let left = theirs().any(|event| {
            event["player"] == *player && (event["type"] == "red_card" || event["type"] == "substitution")
        });
        let came = theirs().any(|event| event["player_on"] == *player);
        !left && (came || player.as_u64().expect("a number") <= 11)
    }

    fn take_score(&mut self, data: Value) {
        self.move_clock(&data);
        self.is_covered = data["coverage"] == "live";
        for (team, field) in [("home", "home_goals"), ("away", "away_goals")] {
            assert_eq!(data[field], self.count(team, |event| event["type"] == "goal"), "{data}");
        }
        self.score = data;
        self.owes_score = false;
    }

    /// The clock of the scoreboard and that of the events never go back.
    fn move_clock(&mut self, data: &Value) {
        let clock = (data["period"].as_u64().expect("a number"), seconds(&data["clock"]));
        assert!(clock >= self.clock, "{clock:?} after {:?}", self.clock);
        self.clock = clock;
    }

    fn count(&self, team: &str, is: impl Fn(&Value) -> bool) -> usize {
        self.events.values().filter(|event| event["team"] == team && is(event)).count()
    }

    /// The statistics are those of the events that count, and the possession of both is 100.
    fn check_stats(&self) {
        let stats = self.stats.as_ref().expect("a state came first");
        for team in ["home", "away"] {
            let stats = &stats[team];
            let is = |what: &'static str| move |event: &Value| event["type"] == what;
            let shots = self.count(team, |event| event["type"] == "shot" || event["type"] == "goal");
            let on_target = self.count(team, |event| event["on_target"] == true || event["type"] == "goal");
            assert_eq!(stats["shots"], shots, "{stats}");
            assert_eq!(stats["on_target"], on_target, "{stats}");
            for (name, what) in [
                ("corners", "corner"),
                ("offsides", "offside"),
                ("fouls", "foul"),
                ("yellow_cards", "yellow_card"),
                ("red_cards", "red_card"),
                ("substitutions", "substitution"),
            ] {
                assert_eq!(stats[name], self.count(team, is(what)), "{name} in {stats}");
            }
        }
        let pct = |team| stats[team]["possession_pct"].as_u64().expect("a number");
        assert_eq!(pct("home") + pct("away"), 100);
    }
}

fn seconds(clock: &Value) -> u64 {
    let (minutes, seconds) = clock.as_str().and_then(|clock| clock.split_once(':')).expect("minutes and seconds");
    minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds")
}

#[test]
fn score_events_and_statistics_agree() {
    let mut told = BTreeMap::<String, u64>::new();
    for seed in 0..6 {
        eprintln!("seed {seed}");
        let mut scenario = find("football").expect("in the catalogue").build(seed, Some(4));
        let mut seen = Seen::default();
        let mut due_us = 0;
        for _ in 0..24_000 {
            let timed = scenario.next();
            assert!(timed.due_us >= due_us);
            if timed.due_us > due_us {
                assert!(seen.matches.values().all(|game| !game.owes_score), "the score follows at once");
            }
            due_us = timed.due_us;
            seen.take(&timed.publication);
        }
        check_matches(&seen);
        for (what, count) in seen.told {
            *told.entry(what).or_default() += count;
        }
    }
    for what in ["goal_disallowed", "correction", "interrupted", "coverage_suspended"] {
        assert!(told[what] > 1, "{what}: {told:?}");
    }
}

fn check_matches(seen: &Seen) {
    let is_over = |game: &&Match| game.told.iter().any(|what| what == "full_time");
    let finished: Vec<&Match> = seen.matches.values().filter(is_over).collect();
    assert!(finished.len() >= 12, "{} matches", finished.len());
    for game in &finished {
        let told = |names: &[&str]| -> Vec<&str> {
            game.told.iter().map(String::as_str).filter(|what| names.contains(what)).collect()
        };
        let whistles = told(&["kick_off", "half_time", "full_time"]);
        assert_eq!(whistles, ["kick_off", "half_time", "kick_off", "full_time"]);
        for pair in [["interrupted", "resumed"], ["coverage_suspended", "coverage_resumed"]] {
            assert!(told(&pair).chunks(2).all(|two| two == pair), "in turns: {:?}", told(&pair));
        }
        assert!(game.is_covered && game.score["status"] == "full_time");
    }
}

/// As frequent as where the rates are from: see `scenario/football/rates.rs`. 640 matches: three standard errors of the
/// goals are 0.2.
#[test]
fn a_match_is_like_a_real_one() {
    let mut scenario = find("football").expect("in the catalogue").build(11, Some(64));
    let mut seen = Seen::default();
    while seen.told.get("full_time").is_none_or(|&over| over < 640) {
        let publication = scenario.next().publication;
        if publication.topic.ends_with(".event") || publication.data.contains("full_time") {
            seen.take(&publication);
        }
    }
    let over: Vec<&Match> = seen.matches.values().filter(|game| game.score["status"] == "full_time").collect();
    for (what, team, expected, tolerance) in [
        ("goal", "", 2.7, 0.2),
        ("goal", "home", 1.5, 0.15),
        ("shot or goal", "", 25.8, 0.8),
        ("shot or goal", "home", 14.4, 0.6),
        ("on target", "", 8.4, 0.4),
        ("foul", "", 22.1, 0.8),
        ("yellow_card", "", 3.2, 0.3),
        ("red_card", "", 0.1, 0.05),
        ("goal_disallowed", "", 0.16, 0.06),
        ("corner", "", 10.3, 0.5),
        ("substitution", "", 8.0, 1.0),
    ] {
        let is = |event: &Value| match what {
            "shot or goal" => event["type"] == "goal" || event["type"] == "shot",
            "on target" => event["type"] == "goal" || event["on_target"] == true,
            what => event["type"] == what,
        };
        let of_team = |event: &Value| team.is_empty() || event["team"] == team;
        let events = over.iter().flat_map(|game| game.events.values());
        let count = events.filter(|event| of_team(event) && is(event)).count();
        let per_match = count as f64 / over.len() as f64;
        eprintln!("{what} {team}: {per_match:.2}, expected {expected}");
        assert!((per_match - expected).abs() < tolerance, "{what} {team}: {per_match} per match");
    }
}

/// Everybody who tries it sees a correction within a few seconds.
#[test]
fn the_first_match_has_a_goal_that_is_disallowed() {
    for seed in 0..50 {
        let mut scenario = find("football").expect("in the catalogue").build(seed, None);
        let mut seen = Seen::default();
        while !seen.told.contains_key("goal_disallowed") {
            let timed = scenario.next();
            assert!(timed.due_us < 15_000_000, "seed {seed}");
            seen.take(&timed.publication);
        }
    }
}

/// A feed that runs for days has a bounded number of topics.
#[test]
fn fixtures_come_round_again() {
    let mut scenario = find("football").expect("in the catalogue").build(1, Some(2));
    let topics: BTreeSet<String> = (0..110_000).map(|_| scenario.next().publication.topic).collect();
    assert_eq!(topics.len(), 2 * 12 * 3);
}

//! Football's own rules.

use std::collections::BTreeSet;

use feed_scenarios::find;
use serde_json::{Value, json};

use crate::seen::{Game, Seen, Sport, period, seconds, watch};

#[derive(Default)]
struct Football;

impl Sport for Football {
    const NAME: &'static str = "football";
    const NUMBER: &'static str = "match";
    const TABLES: u32 = 16;

    fn clock(data: &Value, _before: (u64, u64)) -> (u64, u64) {
        (period(data), seconds(&data["clock"]))
    }

    fn correct(corrected: &mut Value, what: &str, data: &Value) -> bool {
        match what {
            "correction" => {
                let before = corrected.clone();
                for (name, value) in data["set"].as_object().expect("an object") {
                    assert!(["player", "clock"].contains(&name.as_str()));
                    assert_ne!(corrected[name], *value, "there is something to correct");
                    corrected[name] = value.clone();
                }
                assert!(seconds(&corrected["clock"]) <= seconds(&before["clock"]));
                assert!(seconds(&corrected["clock"]) >= (period(data) - 1) * 2_700);
                true
            }
            "goal_disallowed" | "card_rescinded" => {
                let of = if what == "goal_disallowed" { "goal" } else { "red_card" };
                assert_eq!((&corrected["type"], &corrected["team"]), (&json!(of), &data["team"]));
                false
            }
            other => panic!("{other} corrects"),
        }
    }

    /// A player who acts is neither substituted nor sent off, and one from the bench has come on.
    fn check_player(game: &mut Game<Self>, data: &Value, player: u64) {
        let theirs = || game.events.values().filter(|event| event["team"] == data["team"]);
        let left = theirs()
            .any(|event| event["player"] == player && (event["type"] == "red_card" || event["type"] == "substitution"));
        let came = theirs().any(|event| event["player_on"] == player);
        assert!(!left && (came || player <= 11), "{data}");
    }

    fn check_score(game: &Game<Self>, score: &Value) {
        for (team, field) in [("home", "home_goals"), ("away", "away_goals")] {
            assert_eq!(score[field], game.count(team, |event| event["type"] == "goal"), "{score}");
        }
    }

    /// Also checks that the possession of both sides is 100 together.
    fn check_stats(game: &Game<Self>, stats: &Value) {
        for team in ["home", "away"] {
            let stats = &stats[team];
            let is = |what: &'static str| move |event: &Value| event["type"] == what;
            let shots = game.count(team, |event| event["type"] == "shot" || event["type"] == "goal");
            let on_target = game.count(team, |event| event["on_target"] == true || event["type"] == "goal");
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
                assert_eq!(stats[name], game.count(team, is(what)), "{name} in {stats}");
            }
        }
        let pct = |team| stats[team]["possession_pct"].as_u64().expect("a number");
        assert_eq!(pct("home") + pct("away"), 100);
    }
}

impl Game<Football> {
    fn count(&self, team: &str, is: impl Fn(&Value) -> bool) -> usize {
        self.of(team).filter(|event| is(event)).count()
    }
}

#[test]
fn score_events_and_statistics_agree() {
    let types = watch(0..6, 4, 24_000, check_matches);
    for what in ["goal_disallowed", "correction", "interrupted", "coverage_suspended"] {
        assert!(types[what] > 1, "{what}: {types:?}");
    }
}

fn check_matches(seen: &Seen<Football>) {
    let is_over = |game: &&Game<Football>| game.types.iter().any(|what| what == "full_time");
    let finished: Vec<&Game<Football>> = seen.games.values().filter(is_over).collect();
    assert!(finished.len() >= 12, "{} matches", finished.len());
    for game in &finished {
        let types = |names: &[&str]| -> Vec<&str> {
            game.types.iter().map(String::as_str).filter(|what| names.contains(what)).collect()
        };
        let whistles = types(&["kick_off", "half_time", "full_time"]);
        assert_eq!(whistles, ["kick_off", "half_time", "kick_off", "full_time"]);
        for pair in [["interrupted", "resumed"], ["coverage_suspended", "coverage_resumed"]] {
            assert!(types(&pair).chunks(2).all(|two| two == pair), "in turns: {:?}", types(&pair));
        }
        assert!(game.score["coverage"] == "live" && game.score["status"] == "full_time");
    }
}

/// Events are as frequent as in the sources of the rates: see `src/football/rates.rs`. In 640 matches, three standard
/// errors of the goals are 0.2.
#[test]
fn a_match_is_like_a_real_one() {
    let mut scenario = find("football").expect("in the catalogue").build(11, Some(64));
    let mut seen = Seen::<Football>::default();
    while seen.types.get("full_time").is_none_or(|&over| over < 640) {
        let publication = scenario.next().publication;
        if publication.topic.ends_with(".event") || publication.data.contains("full_time") {
            seen.take(&publication);
        }
    }
    let over: Vec<&Game<Football>> = seen.games.values().filter(|game| game.score["status"] == "full_time").collect();
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

/// Every user who tries the scenario sees a correction within a few seconds.
#[test]
fn the_first_match_has_a_goal_that_is_disallowed() {
    for seed in 0..50 {
        let mut scenario = find("football").expect("in the catalogue").build(seed, None);
        let mut seen = Seen::<Football>::default();
        while !seen.types.contains_key("goal_disallowed") {
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

//! Basketball's own rules.

use std::collections::{BTreeMap, BTreeSet};

use feed_scenarios::find;
use serde_json::{Value, json};

use crate::common::{data, merge};
use crate::seen::{Game, Seen, Sport, period, seconds, watch};

const COLUMNS: [&str; 14] = [
    "points",
    "fg_made",
    "fg_attempted",
    "three_made",
    "three_attempted",
    "ft_made",
    "ft_attempted",
    "offensive_rebounds",
    "defensive_rebounds",
    "assists",
    "steals",
    "blocks",
    "turnovers",
    "fouls",
];

#[derive(Default)]
struct Basketball {
    on_court: [BTreeSet<u64>; 2],
}

impl Sport for Basketball {
    const NAME: &'static str = "basketball";
    const NUMBER: &'static str = "game";
    const TABLES: u32 = 24;

    /// The clock counts down within a period, and periods count up.
    fn clock(data: &Value, before: (u64, u64)) -> (u64, u64) {
        let period = period(data);
        let length_s = if period <= 4 { 720 } else { 300 };
        let played_s = length_s - seconds(&data["clock"]);
        assert!(period <= before.0 + 1, "period {period} after {}", before.0);
        if period > before.0 {
            assert_eq!(played_s, 0, "a period begins with all its time");
        }
        (period, played_s)
    }

    fn correct(corrected: &mut Value, what: &str, data: &Value) -> bool {
        assert_eq!(corrected["period"], data["period"], "a play under review is decided before the period ends");
        if what == "basket_cancelled" {
            assert_eq!((&corrected["type"], &corrected["made"]), (&json!("shot"), &json!(true)));
            assert_eq!(corrected["team"], data["team"]);
            return false;
        }
        assert_eq!(what, "correction");
        for (name, value) in data["set"].as_object().expect("an object") {
            match name.as_str() {
                "points" => assert_eq!((&corrected["points"], value), (&json!(3), &json!(2))),
                name => assert!(name == "player" && corrected[name] != *value),
            }
            corrected[name] = value.clone();
        }
        true
    }

    /// Five of each team play, and only players on the court act.
    fn check_player(game: &mut Game<Self>, data: &Value, player: u64) {
        let court = &mut game.sport.on_court[usize::from(data["team"] == "away")];
        match data["player_on"].as_u64() {
            Some(on) => {
                assert!(court.remove(&player) || court.len() < 5, "{data}");
                assert!(court.insert(on), "{data}");
                assert!(court.len() <= 5);
            }
            None => {
                court.insert(player);
                assert!(court.len() <= 5, "{data}: {court:?}");
            }
        }
        let fouls =
            |event: &&Value| event["type"] == "foul" && event["team"] == data["team"] && event["player"] == player;
        if data["type"] != "substitution" {
            assert!(game.events.values().filter(fouls).count() < 6, "he has fouled out");
        }
    }

    fn check_score(game: &Game<Self>, score: &Value) {
        for team in ["home", "away"] {
            assert_eq!(score[format!("{team}_points")], game.column(team, "points"), "{score}");
            let fouls = |event: &Value| event["kind"] != "offensive" && event["period"] == score["period"];
            let fouls = game.of(team).filter(|event| event["type"] == "foul" && fouls(event)).count();
            assert_eq!(score[format!("{team}_fouls")], fouls);
        }
    }

    fn check_stats(game: &Game<Self>, stats: &Value) {
        for team in ["home", "away"] {
            for name in COLUMNS {
                assert_eq!(stats[team][name], game.column(team, name), "{team} {name}");
            }
            let left = stats[team]["timeouts_left"].as_u64().expect("a number");
            let (from, since) = if game.clock.0 <= 4 { (7, 1) } else { (2, game.clock.0) };
            let taken = game.of(team).filter(|event| event["type"] == "timeout");
            let taken = taken.filter(|event| event["period"].as_u64() >= Some(since)).count() as u64;
            assert_eq!(left + taken, from);
        }
    }
}

impl Game<Basketball> {
    /// A column of the statistics, counted from the events.
    fn column(&self, team: &str, name: &str) -> u64 {
        let count = |what: &str, is: &dyn Fn(&Value) -> bool| {
            self.of(team).filter(|event| event["type"] == what && is(event)).count() as u64
        };
        let made = |event: &Value| event["made"] == true;
        let three = |event: &Value| event["points"] == 3;
        match name {
            "points" => self.of(team).filter(|event| made(event)).filter_map(|event| event["points"].as_u64()).sum(),
            "fg_made" => count("shot", &made),
            "fg_attempted" => count("shot", &|_| true),
            "three_made" => count("shot", &|event| made(event) && three(event)),
            "three_attempted" => count("shot", &three),
            "ft_made" => count("free_throw", &made),
            "ft_attempted" => count("free_throw", &|_| true),
            "offensive_rebounds" => count("rebound", &|event| event["kind"] == "offensive"),
            "defensive_rebounds" => count("rebound", &|event| event["kind"] == "defensive"),
            "assists" => count("shot", &|event| event["assist"].is_u64()),
            "steals" => count("steal", &|_| true),
            "blocks" => count("block", &|_| true),
            "turnovers" => count("turnover", &|_| true),
            "fouls" => count("foul", &|_| true),
            other => panic!("no column {other}"),
        }
    }
}

#[test]
fn score_events_and_statistics_agree() {
    let types = watch(0..4, 3, 16_000, check_games);
    for what in ["correction", "basket_cancelled", "timeout", "substitution"] {
        assert!(types[what] > 3, "{what}: {types:?}");
    }
}

fn check_games(seen: &Seen<Basketball>) {
    let over = seen.games.values().filter(|game| game.score["status"] == "final");
    assert!(over.clone().count() >= 4, "{} games", over.count());
    for game in over {
        assert_ne!(game.score["home_points"], game.score["away_points"], "a game does not end tied");
        assert_eq!(game.types.last().map(String::as_str), Some("game_end"));
        let periods = |what: &str| game.types.iter().filter(|name| *name == what).count() as u64;
        assert_eq!((periods("period_start"), periods("period_end")), (game.clock.0, game.clock.0));
        assert!(game.clock.0 >= 4);
    }
}

/// Events are as frequent as in the sources of the rates, per team and 48 minutes: see `src/basketball/rates.rs`. 128
/// games are 256 performances of a team, so three standard errors of the points (about 12 each) are 2.3.
#[test]
fn a_game_is_like_a_real_one() {
    let mut scenario = find("basketball").expect("in the catalogue").build(11, Some(64));
    let mut sums = BTreeMap::<&str, u64>::new();
    let (mut stats, mut over) = (BTreeMap::<String, Value>::new(), BTreeSet::new());
    while over.len() < 128 {
        let publication = scenario.next().publication;
        let (topic, what) = publication.topic.rsplit_once('.').expect("segments");
        if what == "stats" {
            merge(stats.entry(topic.to_owned()).or_default(), &data(&publication));
        } else if what == "event" && publication.data.contains("\"period_end\",\"period\":4") {
            // The changes of the last attack are published just afterwards; one in a hundred does not matter.
            assert!(over.insert(data(&publication)["game"].as_u64().expect("a number")));
            for (team, name) in ["home", "away"].into_iter().flat_map(|team| COLUMNS.map(|name| (team, name))) {
                *sums.entry(name).or_default() += stats[topic][team][name].as_u64().expect("a number");
            }
        }
    }
    let per_team = |name: &str| sums[name] as f64 / (2 * over.len()) as f64;
    let expected = [
        ("points", 114.2, 3.5),
        ("fg_made", 42.2, 1.7),
        ("fg_attempted", 88.9, 3.0),
        ("three_made", 12.8, 0.8),
        ("three_attempted", 35.1, 1.5),
        ("ft_made", 17.0, 1.3),
        ("ft_attempted", 21.7, 1.6),
        ("offensive_rebounds", 10.6, 0.9),
        ("defensive_rebounds", 33.0, 1.6),
        ("assists", 26.7, 1.3),
        ("steals", 7.5, 0.6),
        ("blocks", 5.1, 0.5),
        ("turnovers", 13.6, 0.9),
        ("fouls", 18.7, 1.4),
    ];
    for (name, expected, _) in expected {
        eprintln!("{name}: {:.1}, expected {expected}", per_team(name));
    }
    for (name, expected, tolerance) in expected {
        assert!((per_team(name) - expected).abs() < tolerance, "{name}: {} per team", per_team(name));
    }
}

/// A game that is tied goes on until it is not.
#[test]
fn a_tie_goes_to_overtime() {
    let mut scenario = find("basketball").expect("in the catalogue").build(5, Some(64));
    loop {
        let publication = scenario.next().publication;
        if publication.data.contains("\"game_end\"") && !publication.data.contains("\"period\":4") {
            assert!(data(&publication)["period"].as_u64() > Some(4));
            return;
        }
    }
}

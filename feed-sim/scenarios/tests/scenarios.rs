//! What holds for every scenario: its description is true, its clock never goes back, and a broker takes what it
//! publishes.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::data;
use feed_player::publication::Kind;
use feed_scenarios::{CATALOGUE, find};
use serde_json::Value;

/// Without `stocks`, which has tests of its own, and `demo`, which consists of others.
const DESCRIBED: [&str; 6] = ["football", "basketball", "status", "sensors", "chat", "game"];

/// Whether a topic matches a pattern, as in the protocol: `*` is one segment, `>` one or more.
fn fits(pattern: &str, topic: &str) -> bool {
    let (mut pattern, mut topic) = (pattern.split('.'), topic.split('.'));
    loop {
        match (pattern.next(), topic.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(segment), Some(name)) if segment == "*" || segment == name => {}
            _ => return false,
        }
    }
}

/// The topics that a description lists, as patterns with the kind: `sports.football.MATCH.score  state`.
fn documented(description: &str) -> Vec<(String, String)> {
    let lines = description.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let topic = words.next().expect("a topic");
            let pattern = topic
                .split('.')
                .map(|segment| if segment.bytes().all(|byte| byte.is_ascii_uppercase()) { "*" } else { segment });
            (pattern.collect::<Vec<_>>().join("."), words.next().expect("a kind").to_owned())
        })
        .collect()
}

#[test]
fn descriptions_are_true() {
    for name in DESCRIBED {
        let entry = find(name).expect("in the catalogue");
        let documented = documented(entry.description);
        let mut scenario = entry.build(1, None);
        let mut seen = BTreeSet::new();
        let mut topics = BTreeSet::new();
        for _ in 0..20_000 {
            let publication = scenario.next().publication;
            let of = |(pattern, _): &&(String, String)| fits(pattern, &publication.topic);
            let (pattern, kind) =
                documented.iter().find(of).unwrap_or_else(|| panic!("{} is not described", publication.topic));
            match publication.kind {
                // A topic with patches also has whole states, now and then.
                Kind::State => assert!(kind == "state" || kind == "patch", "{}", publication.topic),
                kind_published => assert_eq!(kind, kind_published.as_str(), "{}", publication.topic),
            }
            if topics.insert(publication.topic.clone()) {
                assert!(kind != "patch" || publication.kind == Kind::State, "the whole comes first");
                // Every field is named in the description.
                for field in fields(&data(&publication)) {
                    let is_name = field.strip_prefix(['u', 'p']).is_some_and(|rest| rest.parse::<u32>().is_ok());
                    assert!(is_name || entry.description.contains(&format!("\"{field}\"")), "{name}: {field}");
                }
            }
            seen.insert(pattern.clone());
        }
        assert_eq!(seen.len(), documented.len(), "{name}: {seen:?} were seen");
        let subscribe = entry.description.lines().find_map(|line| line.strip_prefix("Subscribe: "));
        let subscribe: Value = serde_json::from_str(subscribe.expect("a line to subscribe")).expect("JSON");
        assert_eq!(subscribe["op"], "subscribe");
        for pattern in subscribe["topics"].as_array().expect("topics") {
            let pattern = pattern.as_str().expect("a string");
            assert!(topics.iter().any(|topic| fits(pattern, topic)), "{name}: nothing fits {pattern}");
        }
    }
}

fn fields(value: &Value) -> Vec<String> {
    let Value::Object(object) = value else { return Vec::new() };
    object.iter().flat_map(|(name, value)| std::iter::once(name.clone()).chain(fields(value))).collect()
}

/// A topic has either events or states and patches, never both, and names are within the broker's limits.
#[test]
fn kinds_do_not_mix_and_clocks_never_go_back() {
    for entry in CATALOGUE {
        let mut scenario = entry.build(3, Some(40));
        let mut is_event = BTreeMap::new();
        let mut due_us = 0;
        for _ in 0..20_000 {
            let timed = scenario.next();
            assert!(timed.due_us >= due_us, "{}", entry.name);
            due_us = timed.due_us;
            let publication = timed.publication;
            assert!(publication.topic.len() <= 255 && !publication.data.contains('\n'));
            let segment = |text: &str| {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            };
            assert!(publication.topic.split('.').all(segment), "{}", publication.topic);
            let event = publication.kind == Kind::Event;
            assert_eq!(*is_event.entry(publication.topic).or_insert(event), event);
        }
        assert!(due_us > 0);
    }
}

/// The messages of a match, server, device or room are the same whether it is alone or one of many.
#[test]
fn neighbours_make_no_difference() {
    for (name, prefix, many) in [
        ("football", "sports.football.NOR-HAR.", 30),
        ("basketball", "sports.basketball.BRH-CAL.", 30),
        ("status", "status.web-1.", 30),
        ("sensors", "sensors.s001.", 30),
        ("chat", "chat.kitchen.", 30),
        ("game", "game.a1.", 48),
    ] {
        let of = |instruments| -> Vec<_> {
            let mut scenario = find(name).expect("in the catalogue").build(5, Some(instruments));
            let all = std::iter::from_fn(|| Some(scenario.next()));
            let its = all.filter(|timed| timed.publication.topic.starts_with(prefix));
            its.take(300).map(|timed| (timed.due_us, timed.publication)).collect()
        };
        // An arena is full with sixteen players.
        assert_eq!(of(if name == "game" { 16 } else { 1 }), of(many), "{name}");
    }
}

/// The demo adds nothing and leaves nothing out.
#[test]
fn the_demo_is_its_parts() {
    let prefixed = |name: &str, instruments, prefix: &'static str| {
        let mut scenario = find(name).expect("in the catalogue").build(7, Some(instruments));
        let all = std::iter::from_fn(move || Some(scenario.next()));
        all.filter(move |timed| timed.publication.topic.starts_with(prefix)).take(200).collect::<Vec<_>>()
    };
    for (name, instruments, prefix) in
        [("stocks", 10, "stocks."), ("football", 2, "sports."), ("chat", 1, "chat."), ("status", 3, "status.")]
    {
        assert_eq!(prefixed("demo", 2, prefix), prefixed(name, instruments, prefix), "{name}");
    }
}

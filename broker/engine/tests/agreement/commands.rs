//! Random commands for a few topics.

use broker_engine::{At, Command, Engine, Outcome, Published};
use broker_protocol::request::{Refusal, parse_line};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::log::Program;

#[derive(Debug)]
pub enum Random {
    Publish(String),
    End { topic: &'static str, only: Option<(String, u64)> },
}

impl Random {
    /// Applies it. Returns what came of it.
    pub fn apply(&self, engine: &Engine, at: At) -> String {
        let result = match self {
            Random::Publish(line) => {
                let update = parse_line(line).expect("a line of NDJSON");
                engine.apply(at, Command::Publish(&update))
            }
            Random::End { topic, only } => {
                let only = only.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
                engine.apply(at, Command::End { topic, only })
            }
        };
        shown(&result)
    }
}

/// The outcome of a command, with all that brokers have in common.
pub fn shown(result: &Result<Outcome, Refusal>) -> String {
    let topic = |done: &Published| format!("{} {}", done.topic.name(), done.topic.epoch());
    match result {
        Ok(Outcome::Published(done)) => format!("{} {} {}", topic(done), done.seq, done.duplicate),
        Ok(Outcome::Ended(done)) => format!("{} {} ended", topic(done), done.seq),
        Ok(Outcome::WentOn) => "went on".to_owned(),
        Ok(Outcome::Skipped) => "skipped".to_owned(),
        Err(refusal) => refusal.code.as_str().to_owned(),
    }
}

/// A topic at a moment: its name, its epoch and its newest `seq`.
pub type Known = (String, String, u64);

/// What an outcome says about a topic.
pub fn known(outcome: &str) -> Option<Known> {
    let mut words = outcome.split(' ');
    Some((words.next()?.to_owned(), words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Makes a command. `seen` has what topics have been.
pub fn command(random: &mut StdRng, seen: &[Known]) -> Random {
    let topic = ["a", "b", "b.c", "d.e.f"][random.random_range(0..4)];
    if random.random_range(0..6) == 0 {
        // Mostly what the topic is at present: a broker proposes that when it is idle.
        let present = seen.iter().rev().find(|(name, ..)| name == topic);
        let other = seen.get(random.random_range(0..seen.len().max(1)));
        let (_, epoch, seq) = match random.random_range(0..6) {
            0 => return Random::End { topic, only: None },
            1 => other,
            _ => present,
        }
        .cloned()
        .unwrap_or_else(|| (topic.to_owned(), "none".to_owned(), 1));
        return Random::End { topic, only: Some((epoch, seq)) };
    }
    let kind = ["", r#","kind":"event""#, r#","kind":"state""#, r#","kind":"patch""#][random.random_range(0..4)];
    let data = match random.random_range(0..5) {
        0 => r#"{"x":null}"#.to_owned(),
        1 => format!(r#"{{"y":"{}"}}"#, "long ".repeat(40)),
        _ => format!(r#"{{"x":{}}}"#, random.random_range(0..100)),
    };
    let source = match random.random_range(0..3) {
        0 => String::new(),
        _ => {
            let (source, number) = (random.random_range(0..20), random.random_range(0..50));
            format!(r#","source":"s{source}","source_seq":{number}"#)
        }
    };
    Random::Publish(format!(r#"{{"topic":"{topic}"{kind}{source},"data":{data}}}"#))
}

/// What a program publishes to the log itself; some of it is not valid.
pub fn program(random: &mut StdRng) -> (Program, &'static str) {
    let topic = ["a", "A", "A.b", "A.c", "$SYS.a", "a.*"][random.random_range(0..6)];
    let kind = [None, None, Some("event"), Some("state"), Some("patch"), Some("other")][random.random_range(0..6)];
    let source = match random.random_range(0..3) {
        0 => None,
        1 => Some(("p", "-1".to_owned())),
        _ => Some(("p", random.random_range(0..50).to_string())),
    };
    let long = concat!(r#"{"z":""#, "0123456789012345678901234567890123456789012345678901234567890123456789", r#""}"#);
    let data = [r#"{"x":1}"#, r#"{ "x": null }"#, "3", "{", long][random.random_range(0..5)];
    (Program { topic, kind, source }, data)
}

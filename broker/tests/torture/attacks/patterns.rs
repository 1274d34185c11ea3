//! Names that thousands of patterns match. One request or publish must not cost the product of their numbers in one
//! piece.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, unsubscribe};
use crate::tally::Tally;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "wide_subscribe",
        what: "4 connections hold 1,024 patterns each; a fifth subscribes to 1,000 names that all of them match",
        run: wide_subscribe,
        ..Attack::PLAIN
    },
    Attack {
        name: "births",
        what: "4 connections hold 1,024 patterns each; 20,000 topics begin that all of them match",
        run: births,
        // The topics remain.
        grows_mib: (160, 96),
        keeps_mib: (96, 48),
        seconds: (8.0, 1.0),
        ..Attack::PLAIN
    },
    Attack {
        name: "counted_patterns",
        what: "a client subscribes to 1,024 patterns that 10,000 topics match, and answers its pings meanwhile",
        // So short that several pings come while the topics are counted.
        settings: &[("heartbeat_ms", ("1000", "1000"))],
        prepare: |stage| {
            let topics = 0..10_000;
            stage.publish(topics.map(|number| format!(r#"{{"topic":"{}","data":1}}"#, name(number)))).map(drop)
        },
        run: counted,
        seconds: (12.0, 2.0),
        ..Attack::PLAIN
    },
];

/// The patterns of one connection: as many as `subscriptions` allows by default.
const PATTERNS: usize = 1024;
/// The segments before the last one of a name, each of which a pattern names or leaves open.
const SEGMENTS: usize = 14;
/// The names in one request, which is shorter than `message_bytes`.
const NAMES: usize = 1000;

/// A pattern that matches every name of [`name`]. No two numbers have the same pattern.
pub(super) fn pattern(number: usize) -> String {
    let segments = (0..SEGMENTS).map(|bit| if number >> bit & 1 == 1 { "*." } else { "a." });
    segments.chain(["*"]).collect()
}

pub(super) fn name(number: usize) -> String {
    format!("{}{number}", "a.".repeat(SEGMENTS))
}

/// Connects clients to the attacked shard that hold [`PATTERNS`] each, and read what comes.
pub(super) fn holders(stage: &mut Stage<'_>, count: usize) -> io::Result<Crowd> {
    let (mut crowd, patience) = (Crowd::new(true)?, stage.patience());
    for connection in 0..count {
        let mut link = stage.link()?;
        let patterns = (connection * PATTERNS..(connection + 1) * PATTERNS).map(pattern);
        let answer = link.ask(&subscribe(patterns, r#","from":"live""#), "subscribed", &patience)?;
        let errors = answer["errors"].as_array().map_or(0, Vec::len);
        stage.check(errors == 0, || format!("{errors} of {PATTERNS} patterns refused"));
        crowd.adopt(link.wire)?;
    }
    Ok(crowd)
}

fn wide_subscribe(stage: &mut Stage<'_>) -> io::Result<()> {
    let _holders = holders(stage, stage.size.pick(4, 3))?;
    let (mut victim, patience) = (stage.link()?, stage.patience());
    let names: Vec<String> = (0..NAMES).map(name).collect();
    let (mut requests, mut longest) = (0, Duration::ZERO);
    while !stage.is_over() {
        let begin = Instant::now();
        victim.ask(&subscribe(&names, ""), "subscribed", &patience)?;
        longest = longest.max(begin.elapsed());
        victim.ask(&unsubscribe(&names), "unsubscribed", &patience)?;
        requests += 1;
    }
    stage.note(format!("{requests} requests, the longest answered in {:.0} ms", longest.as_secs_f64() * 1e3));
    Ok(())
}

fn births(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut holders = holders(stage, stage.size.pick(4, 2))?;
    let (topics, begin) = (stage.size.pick(20_000, 1_000), Instant::now());
    let published = stage.publish((0..topics).map(|number| format!(r#"{{"topic":"{}","data":1}}"#, name(number))));
    let took = begin.elapsed();
    stage.check(matches!(published, Ok(0)), || format!("publishing failed: {published:?}"));
    // Every holder is introduced to every topic, and gets its first update.
    let (mut told, patience) = (Tally::new(r#""op":"topic""#), stage.patience().or_before(Duration::from_secs(20)));
    let wanted = topics * holders.len();
    while told.all() < wanted && !patience.is_over() {
        holders.turn(Duration::from_millis(10), |member, bytes| _ = told.count(member, bytes));
    }
    let told = told.all();
    stage.note(format!(
        "{topics} topics published in {:.0} ms, all introduced in {:.0} ms",
        took.as_secs_f64() * 1e3,
        begin.elapsed().as_secs_f64() * 1e3
    ));
    stage.check(told >= wanted, || format!("{told} of {wanted} introductions came"));
    holders.linger(&stage.to_the_end());
    Ok(())
}

fn counted(stage: &mut Stage<'_>) -> io::Result<()> {
    let (mut link, patience, begin) = (stage.link()?, stage.patience(), Instant::now());
    let answer = link.ask(&subscribe((0..PATTERNS).map(pattern), r#","from":"live""#), "subscribed", &patience);
    let took = begin.elapsed().as_secs_f64();
    match answer.map_err(io::Error::from) {
        Ok(_) => stage.note(format!("answered after {took:.1} s")),
        Err(error) => stage.complain(format!("a live client was cut off after {took:.1} s: {error}")),
    }
    Ok(())
}

//! Connections that do not say who they are, and floods of tokens.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Size, Stage};
use crate::crowd::Crowd;
use crate::doors;
use crate::link::{Link, handshake, subscribe, text};
use crate::tally::Tally;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "held_before_auth",
        what: "10,000 connections show no token, and say nothing",
        settings: AUTH,
        files: doors::tokens,
        run: |stage| hold(stage, b"", true),
        seconds: (9.0, 0.6),
        grows_mib: (24, 24),
        keeps_mib: (12, 12),
        ..Attack::PLAIN
    },
    Attack {
        name: "large_before_auth",
        what: "10,000 connections send the largest message that is taken before a token, except for its last byte",
        settings: LARGE,
        files: doors::tokens,
        run: |stage| {
            let message = auth(&"x".repeat(TOKEN_BYTES_MAX));
            // With so many, some are closed before their time, so that the others fit into the budget.
            hold(stage, &message[..message.len() - 1], false)
        },
        seconds: (9.0, 0.6),
        grows_mib: (64 + 24, 20),
        keeps_mib: (24, 20),
        ..Attack::PLAIN
    },
    Attack {
        name: "forged_tokens",
        what: "100 connections send 5,000 tokens a second, in which everything is right but the signature (ES256)",
        files: doors::tokens,
        run: |stage| flood(stage, Flood::Tokens),
        seconds: (10.0, 1.0),
        grows_mib: (16, 32),
        keeps_mib: (8, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "forged_requests",
        what: "100 connections send 5,000 requests a second over HTTP with such tokens",
        files: doors::tokens,
        run: |stage| flood(stage, Flood::Requests),
        seconds: (10.0, 1.0),
        grows_mib: (16, 32),
        keeps_mib: (8, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "refused_publishes",
        what: "the same connections send 5,000 publishes a second that they may not do: what forged tokens cost beyond this",
        files: doors::tokens,
        run: |stage| flood(stage, Flood::Publishes),
        seconds: (10.0, 1.0),
        grows_mib: (16, 32),
        keeps_mib: (8, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "renewed_tokens",
        what: "20 connections with 1,001 subscriptions each send 5,000 tokens a second: of one role, of another, and forged",
        files: doors::tokens,
        prepare: topics,
        run: renew,
        seconds: (10.0, 1.0),
        grows_mib: (32, 32),
        keeps_mib: (16, 32),
        ..Attack::PLAIN
    },
];

/// `auth_ms`, which is the default in full.
const AUTH: &[(&str, (&str, &str))] = &[("auth_ms", AUTH_MS)];
const LARGE: &[(&str, (&str, &str))] = &[("auth_ms", AUTH_MS), ("buffers_bytes_max", ("64MiB", "1MiB"))];
const AUTH_MS: (&str, &str) = ("5000", "1000");
/// By default.
const TOKEN_BYTES_MAX: usize = 8192;
/// The payload of the close frame: 4001, and why.
const CLOSED: &[u8] = b"\x0f\xa1no token came in time";
/// By how much later than after `auth_ms` a connection may be closed on two cores that others use.
const LATE: Duration = Duration::from_secs(2);
/// The broker's clock has whole milliseconds.
const EARLY: Duration = Duration::from_millis(5);
/// The most connections that are being made at the same time: less than a listener's backlog.
const CONNECTING_MAX: usize = 400;
/// Tokens or publishes a second.
const RATE: f64 = 5_000.0;
/// For how long the connections that show no good token are used: less than `auth_ms`.
const IN_USE: Duration = Duration::from_secs(2);
/// The topics of each of the two families that are subscribed to.
const TOPICS: usize = 500;
/// The most lines that may be logged meanwhile.
const LINES_MAX: u64 = 20;

fn auth(token: &str) -> Vec<u8> {
    text(&format!(r#"{{"op":"auth","token":"{token}"}}"#))
}

/// Connects, sends this after the handshake, and waits until all connections are closed.
fn hold(stage: &mut Stage<'_>, message: &[u8], all_in_time: bool) -> io::Result<()> {
    let (listen, count, patience) = (stage.broker.listen, stage.size.pick(10_000, 300), stage.patience());
    let first: Arc<[u8]> = [&handshake(listen, None), message].concat().into();
    let (mut crowd, mut told) = (Crowd::new(true)?, Tally::new(CLOSED));
    let (mut begun, mut ages) = (Vec::new(), Vec::new());
    let mut go_on = |crowd: &mut Crowd, begun: &[Instant]| {
        crowd.turn(Duration::from_millis(1), |member, bytes| {
            if told.count(member, bytes) > 0 {
                ages.push(begun[member].elapsed());
            }
        });
    };
    // What is heard meanwhile counts, so the crowd is not asked to connect them all by itself.
    let mut connected = 0;
    while begun.len() < count && !patience.is_over() {
        begun.push(Instant::now());
        let number = crowd.add(Options::attacker().connect(listen)?)?;
        crowd.say(number, &first);
        while crowd.len() - connected > CONNECTING_MAX && !patience.is_over() {
            go_on(&mut crowd, &begun);
            while connected < crowd.len() && crowd.has_said_all(connected) {
                connected += 1;
            }
        }
    }
    while crowd.ended() < count && !patience.is_over() {
        go_on(&mut crowd, &begun);
    }
    let (first, last) = (ages.iter().min().copied(), ages.iter().max().copied());
    let (in_time, ended) = (ages.len(), crowd.ended());
    let [shortest, longest] = [first, last].map(Option::unwrap_or_default);
    stage.note(format!("{in_time} of {count} closed with 4001, after {shortest:.2?} to {longest:.2?}"));
    stage.check(ended == count, || format!("{ended} of {count} connections without a token are closed"));
    // A broker that gets no core for a second (its time for closing) cuts connections before it has said why. That happens
    // on a busy machine only.
    let all_in_time = all_in_time && stage.size == Size::Full;
    stage.check(!all_in_time || in_time == count, || format!("{in_time} of {count} were closed with 4001"));
    stage.check(in_time > 0, || "none was closed with 4001".to_owned());
    let auth_ms = Duration::from_millis(stage.size.pick(AUTH_MS.0, AUTH_MS.1).parse().map_err(io::Error::other)?);
    stage.check(first.is_none_or(|first| first + EARLY >= auth_ms), || format!("one was closed after {first:?}"));
    let latest = stage.size.pick(auth_ms + LATE, Duration::MAX);
    stage.check(last.is_none_or(|last| last <= latest), || format!("one was closed after {last:?}"));
    Ok(())
}

/// What is sent.
enum Flood {
    /// Forged tokens.
    Tokens,
    /// Requests over HTTP with forged tokens.
    Requests,
    /// To compare: publishes that are refused.
    Publishes,
}

fn flood(stage: &mut Stage<'_>, flood: Flood) -> io::Result<()> {
    let (listen, connections, lines) = (stage.broker.listen, stage.size.pick(100, 20), stage.broker.log_lines());
    let good = doors::token("somebody", "one")?;
    let publish: Arc<[u8]> = text(r#"{"op":"publish","id":1,"topic":"a.1","kind":"event","data":1}"#).into();
    let tokens = (0..5_000).map(|number| doors::forged(&good, number));
    let request = |token: String| {
        format!("GET /v1/topics HTTP/1.1\r\nHost: {listen}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
    };
    let messages: Vec<Arc<[u8]>> = match flood {
        Flood::Tokens => tokens.map(|token| auth(&token).into()).collect(),
        Flood::Requests => tokens.map(|token| request(token).into()).collect(),
        Flood::Publishes => vec![publish],
    };
    let [bad, good] = match flood {
        Flood::Requests => ["HTTP/1.1 401", "HTTP/1.1 200"],
        Flood::Tokens | Flood::Publishes => [r#""op":"error""#, r#""op":"authenticated""#],
    };
    let (mut sent, mut refused, mut taken) = (0, 0, 0);
    let (begin, patience) = (Instant::now(), stage.patience());
    // On a slow machine it goes on until there is an answer.
    while !stage.is_over() || (refused == 0 && !patience.is_over()) {
        let (mut crowd, until) = (Crowd::new(true)?, Instant::now() + IN_USE);
        match flood {
            Flood::Requests => crowd.join(listen, connections, Options::attacker(), &messages[0], &patience)?,
            _ => crowd.join_websockets(listen, connections, Options::attacker(), b"", &patience)?,
        }
        let [mut errors, mut answers] = [Tally::new(bad), Tally::new(good)];
        while Instant::now() < until && (!stage.is_over() || errors.all() == 0) {
            let due = (begin.elapsed().as_secs_f64() * RATE) as usize;
            (sent..due).for_each(|number| crowd.say(number % connections, &messages[number % messages.len()]));
            sent = due;
            crowd.turn(Duration::from_millis(1), |member, bytes| {
                errors.count(member, bytes);
                answers.count(member, bytes);
            });
        }
        (refused, taken) = (refused + errors.all(), taken + answers.all());
        stage.check(crowd.ended() == 0, || format!("{} of {connections} connections were closed", crowd.ended()));
    }
    let seconds = begin.elapsed().as_secs_f64();
    stage.note(format!("{sent} sent, {refused} refused: {:.0} a second", refused as f64 / seconds));
    stage.check(refused > 0, || "none was refused".to_owned());
    stage.check(taken == 0, || format!("{taken} forged tokens were taken"));
    let lines = stage.broker.log_lines() - lines;
    stage.check(lines < LINES_MAX, || format!("{lines} lines were logged"));
    Ok(())
}

/// The topics of one family.
fn family(name: &str) -> Vec<String> {
    (0..TOPICS).map(|number| format!("{name}.{number}")).collect()
}

/// Publishes the topics that are subscribed to.
fn topics(stage: &Stage<'_>) -> io::Result<()> {
    let patience = stage.patience();
    let mut link = Link::connect(stage.broker.listen, Options::bystander(), &patience)?;
    for name in ["a", "b"] {
        let updates = family(name).into_iter().map(|topic| format!(r#"{{"topic":"{topic}","kind":"state","data":1}}"#));
        let batch = updates.collect::<Vec<_>>().join(",");
        link.ask(&format!(r#"{{"op":"publish","id":1,"batch":[{batch}]}}"#), "published", &patience)?;
    }
    Ok(())
}

/// Sends tokens on connections with many subscriptions, each of which every token that is taken is held against.
fn renew(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, connections, patience) = (stage.broker.listen, stage.size.pick(20, 4), stage.patience());
    let (mut crowd, lines) = (Crowd::new(true)?, stage.broker.log_lines());
    let mut messages: Vec<Vec<Arc<[u8]>>> = Vec::new();
    for number in 0..connections {
        let mut link = Link::connect(listen, Options::attacker(), &patience)?;
        let tokens = ["one", "two"].map(|role| doors::token(&format!("u{number}"), role));
        let [one, two] = tokens;
        let (one, two) = (one?, two?);
        link.ask(&format!(r#"{{"op":"auth","token":"{one}"}}"#), "authenticated", &patience)?;
        for name in ["a", "b"] {
            link.ask(&subscribe(family(name), r#","from":"live""#), "subscribed", &patience)?;
        }
        // In a pattern another topic is denied by each of the roles.
        link.ask(&subscribe(["b.>"], r#","from":"live""#), "subscribed", &patience)?;
        messages.push([&two, &one, &doors::forged(&one, number)].map(|token| auth(token).into()).into());
        crowd.adopt(link.wire)?;
    }
    let [mut errors, mut answers] = [Tally::new(r#""code":"bad_token""#), Tally::new(r#""op":"authenticated""#)];
    let (mut sent, begin) = (0, Instant::now());
    while !stage.is_over() || (errors.all().min(answers.all()) == 0 && !patience.is_over()) {
        let due = (begin.elapsed().as_secs_f64() * RATE) as usize;
        for number in sent..due {
            let (member, round) = (number % connections, number / connections);
            // What the broker does not read yet is not piled up here.
            if crowd.has_said_all(member) {
                crowd.say(member, &messages[member][round % 3]);
            }
        }
        sent = due;
        crowd.turn(Duration::from_millis(1), |member, bytes| {
            errors.count(member, bytes);
            answers.count(member, bytes);
        });
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (refused, taken) = (errors.all(), answers.all());
    stage.note(format!(
        "{:.0} tokens taken and {:.0} refused a second",
        taken as f64 / seconds,
        refused as f64 / seconds
    ));
    stage.check(taken > 0 && refused > 0, || format!("{taken} tokens taken, {refused} refused"));
    stage.check(crowd.ended() == 0, || format!("{} of {connections} connections were closed", crowd.ended()));
    let lines = stage.broker.log_lines() - lines;
    stage.check(lines < LINES_MAX, || format!("{lines} lines were logged"));
    Ok(())
}

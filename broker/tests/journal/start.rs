//! How a broker comes back with many topics.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Finally, PATIENCE, ask, free_address};
use crate::kept::Kept;
use crate::link::post;

/// Publishes so many updates on each of so many topics, round by round.
fn fill(kept: &Kept, topics: u64, each: u64) {
    // A body that is no longer than it may be.
    const LINES: u64 = 10_000;
    let mut body = String::new();
    let mut lines = 0;
    let send = |body: &mut String, lines: &mut u64| {
        let answer = post(kept.address, "/v1/publish", "application/x-ndjson", body).unwrap().json();
        assert_eq!(answer["accepted"], *lines, "{answer}");
        body.clear();
        *lines = 0;
    };
    for n in 1..=each {
        for topic in 0..topics {
            let kind = kind(topic);
            writeln!(body, "{{\"topic\":\"many.t{topic}\",\"kind\":\"{kind}\",\"data\":{}}}", data(topic, n)).unwrap();
            lines += 1;
            if lines == LINES {
                send(&mut body, &mut lines);
            }
        }
    }
    if lines > 0 {
        send(&mut body, &mut lines);
    }
}

fn kind(topic: u64) -> &'static str {
    if topic % 3 == 0 { "state" } else { "event" }
}

fn data(topic: u64, n: u64) -> String {
    format!("{{\"topic\":{topic},\"n\":{n},\"bid\":\"189.10\",\"ask\":\"189.12\",\"venue\":\"XNAS\"}}")
}

/// What a topic has to have.
#[track_caller]
fn check(kept: &Kept, topic: u64, each: u64) {
    let history = kept.history(&format!("many.t{topic}"), 1_000_000);
    assert_eq!((history["seq"].as_u64(), history["kind"].as_str()), (Some(each), Some(kind(topic))), "{topic}");
    let updates = history["updates"].as_array().unwrap();
    assert_eq!(updates.len() as u64, each);
    for (update, n) in updates.iter().zip(1..) {
        assert_eq!((update["seq"].as_u64(), update["data"].to_string()), (Some(n), data(topic, n)));
    }
    if kind(topic) == "state" {
        let image = kept.http(&format!("GET /v1/topics/many.t{topic}"), "").json();
        assert_eq!(image["data"].to_string(), data(topic, each));
    }
}

#[test]
fn many_topics_are_served_again() {
    let mut kept = Kept::start(&[]);
    let (topics, each) = (500, 40);
    fill(&kept, topics, each);
    for is_killed in [true, false] {
        if is_killed {
            kept.kill_and_go();
        } else {
            kept.stop_and_go();
        }
        (0..topics).step_by(7).for_each(|topic| check(&kept, topic, each));
        assert_eq!(kept.process().metric("tickcast_topics"), topics as f64 + 1.0, "with that of the broker itself");
    }
}

/// How a start went, as seen from outside.
struct Seen {
    /// What `/readyz` said while it was not ready, first and last.
    unready: Vec<String>,
    /// Whether a client was let in.
    let_in: bool,
    /// Whether it says that it served.
    has_served: bool,
    time: Duration,
    code: Option<i32>,
}

/// Starts it, and looks at it until it serves or, if it is stopped as soon as it reads, until it ends.
fn watch(kept: &mut Kept, flags: &[&str], is_stopped: bool) -> Seen {
    let admin = free_address();
    kept.set_flags(&[&["--admin-listen", &admin.to_string()], flags].concat());
    let begin = Instant::now();
    let mut child = kept.command().stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    // It has to be read, or a long log would stop the broker.
    let log = std::thread::spawn(move || log.lines().map_while(Result::ok).any(|line| line.contains("\"serving\"")));
    let mut seen = Seen { unready: Vec::new(), let_in: false, has_served: false, time: Duration::ZERO, code: None };
    let pid = Pid::from_child(&child);
    let mut kill = Finally(move || _ = kill_process(pid, Signal::KILL));
    while begin.elapsed() < PATIENCE {
        let is_let_in = TcpStream::connect(kept.address).is_ok();
        match readyz(admin) {
            Some((503, why)) => {
                assert!(!is_let_in, "a client is let in, and then it is not ready: {why}");
                seen.unready.push(why);
                if is_stopped {
                    kill_process(pid, Signal::TERM).unwrap();
                    let stopped = Instant::now();
                    while child.try_wait().unwrap().is_none() {
                        assert!(stopped.elapsed() < PATIENCE, "it does not end");
                        seen.let_in |= TcpStream::connect(kept.address).is_ok();
                    }
                    seen.time = stopped.elapsed();
                    break;
                }
            }
            Some((200, _)) if TcpStream::connect(kept.address).is_ok() => {
                (seen.let_in, seen.time) = (true, begin.elapsed());
                break;
            }
            _ => {}
        }
    }
    (kill.0)();
    seen.code = child.wait().unwrap().code();
    seen.has_served = log.join().unwrap();
    std::mem::forget(kill);
    seen
}

fn readyz(admin: SocketAddr) -> Option<(u16, String)> {
    TcpStream::connect(admin).ok()?;
    let answer = ask(admin, "GET /readyz", &[], b"");
    (answer.status != 0).then_some((answer.status, answer.body))
}

/// Nobody is let in before the journal is read, and it says how far it is.
fn let_in_only_when_read(kept: &mut Kept) -> Duration {
    loop {
        let seen = watch(kept, &[], false);
        assert!(seen.let_in);
        let Some(first) = seen.unready.iter().find(|why| why.contains("reading its journal: ")) else {
            // It was read between two looks.
            continue;
        };
        assert!(first.contains(" %"), "{first}");
        return seen.time;
    }
}

/// Stopped while it reads, it ends, and nobody was let in.
fn stopped_while_it_reads(kept: &mut Kept) -> Duration {
    loop {
        let seen = watch(kept, &[], true);
        if seen.unready.is_empty() {
            continue;
        }
        assert_eq!(seen.code, Some(0));
        assert!(!seen.let_in && !seen.has_served, "it went on to serve");
        return seen.time;
    }
}

#[test]
fn no_client_is_let_in_before_all_is_there() {
    let mut kept = Kept::start(&[]);
    let (topics, each) = (500, 40);
    fill(&kept, topics, each);
    kept.kill();
    let_in_only_when_read(&mut kept);
    stopped_while_it_reads(&mut kept);
    kept.set_flags(&[]);
    kept.go();
    check(&kept, 0, each);
    check(&kept, topics - 1, each);
}

#[test]
#[ignore = "a million updates: make journal-test"]
fn a_million_updates_in_ten_thousand_topics() {
    let mut kept = Kept::start(&["--topics-max", "20000"]);
    let (topics, each) = (10_000, 100);
    fill(&kept, topics, each);
    for (what, is_killed) in [("after a kill", true), ("after a clean stop", false)] {
        if is_killed {
            kept.kill();
        } else {
            kept.set_flags(&["--topics-max", "20000"]);
            kept.go();
            kept.stop();
        }
        let time = let_in_only_when_read(&mut kept);
        println!("1,000,000 updates in 10,000 topics are served again {what} within {time:?}");
    }
    println!("stopped while it reads, it ends after {:?}", stopped_while_it_reads(&mut kept));
    kept.set_flags(&[]);
    kept.go();
    (0..topics).step_by(99).for_each(|topic| check(&kept, topic, each));
}

//! 19,000 connections from one process, with less than 1 KiB of its own memory each.

mod fixture;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use fixture::{Feed, Options, answer, loadgen, raw};

const WANTED: u64 = 19_000;
/// Files that each of the two processes needs beside its connections.
const BESIDES: u64 = 200;
const BYTES_MAX: f64 = 1024.0;

/// The number of connections that the limit on open files allows: each of the two processes has one end of each.
fn allowed() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Every user may raise the limit up to the maximum.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the maximum is allowed");
    let allowed = maximum.map_or(WANTED, |maximum| maximum.saturating_sub(BESIDES).min(WANTED));
    if allowed < WANTED {
        eprintln!("only {allowed} of {WANTED} connections, because {maximum:?} open files are allowed");
    }
    allowed
}

#[test]
fn a_connection_costs_less_than_a_kibibyte() {
    let count = allowed();
    let mut held = Vec::new();
    let server = raw(Options::default(), move |mut stream| match answer(&mut stream, true) {
        Ok(()) => held.push(stream),
        Err(error) => eprintln!("a connection was not made: {error}"),
    });
    let scenario = format!(
        "
        seconds = 0.2
        warm_up_seconds = 0.0
        drain_seconds = 0.0
        [subscribers]
        count = {count}
        [publish]
        rate = 10.0
        "
    );
    let (outcome, report) = Feed::configure(loadgen(&scenario), &server.url("")).report();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let connections = &report["connections"];
    assert_eq!(connections["subscribers"], count, "{connections}");
    assert_eq!(connections["failed"], serde_json::json!({}));
    let bytes = report["load"]["rss_bytes_per_connection"].as_f64().expect("a number");
    eprintln!("{count} connections, {bytes:.0} bytes each, {} s", connections["connect_seconds"]);
    assert!(bytes < BYTES_MAX, "{bytes} bytes for each of {count} connections");
}

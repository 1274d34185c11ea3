//! 19,000 connections from one process, with less than 1 KiB of its own memory each.

mod fixture;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tungstenite::handshake::derive_accept_key;

use fixture::{Feed, Options, PATIENCE, loadgen, raw};

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

/// Answers a handshake, and nothing else.
fn welcome(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => request.extend(&buffer[..len]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a handshake");
    let accept = derive_accept_key(key.as_bytes());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
    stream.write_all(format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes())
}

#[test]
fn a_connection_costs_less_than_a_kibibyte() {
    let count = allowed();
    let mut held = Vec::new();
    let server = raw(Options::default(), move |mut stream| match welcome(&mut stream) {
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

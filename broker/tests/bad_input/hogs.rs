//! Requests that cost much, many of them at once: everybody else is served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Running, ask};

/// Far more than anybody waits while others are served, and far less than what the costly requests take together.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Publishes so many topics of four segments.
fn fill(broker: &Running, topics: usize) {
    for block in (0..topics).collect::<Vec<_>>().chunks(20_000) {
        let lines: String =
            block.iter().map(|n| format!("{{\"topic\":\"m.{}.{n}.q\",\"data\":1}}\n", n % 100)).collect();
        let answer = ask(broker.listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], lines.as_bytes());
        assert_eq!(answer.json()["accepted"], block.len(), "{answer:?}");
    }
}

/// Serves others while `hogs` have asked for what costs much, until each of them has had so many answers.
fn serve_others(broker: &Running, hogs: &mut [TcpStream], answers: usize) {
    hogs.iter().for_each(|hog| hog.set_nonblocking(true).unwrap());
    let mut had = vec![0; hogs.len()];
    let mut text = vec![0; 1 << 20];
    let begun = Instant::now();
    let mut others = 0;
    while had.iter().any(|had| *had < answers) {
        let begin = Instant::now();
        let mut client = broker.client();
        client.say(r#"{"op":"ping"}"#);
        client.expect("pong");
        assert!(begin.elapsed() < WAIT_MAX, "a newcomer waited {:?}", begin.elapsed());
        let begin = Instant::now();
        assert_eq!(broker.http("GET /v1/topics/m.0.0.q/history?last=1", "").status, 200);
        assert!(begin.elapsed() < WAIT_MAX, "a cheap request waited {:?}", begin.elapsed());
        let begin = Instant::now();
        assert_eq!(ask(broker.admin, "GET /healthz", &[], b"").status, 200);
        assert!(begin.elapsed() < WAIT_MAX, "/healthz waited {:?}", begin.elapsed());
        others += 1;
        for (hog, had) in hogs.iter_mut().zip(&mut had) {
            while let Ok(len) = hog.read(&mut text) {
                assert!(len > 0, "a hog was cut off after {had} answers");
                *had += String::from_utf8_lossy(&text[..len]).matches("HTTP/1.1 200 ").count();
            }
        }
        assert!(begun.elapsed() < 4 * PATIENCE, "{had:?} answers of {answers}");
    }
    assert!(others > 1, "it was over before anybody else came");
}

#[test]
fn listings_by_the_hundred_on_one_connection() {
    let broker = Running::start();
    fill(&broker, 60_000);
    let mut hog = TcpStream::connect(broker.listen).unwrap();
    let request = format!("GET /v1/topics?match=*.*.*.zzz HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    hog.write_all(request.repeat(100).as_bytes()).unwrap();
    serve_others(&broker, &mut [hog], 100);
    broker.assert_settles();
}

#[test]
fn listings_on_many_connections() {
    let broker = Running::start();
    fill(&broker, 60_000);
    let request = format!("GET /v1/topics?match=*.*.*.zzz HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    let mut hogs: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(broker.listen).unwrap()).collect();
    hogs.iter_mut().for_each(|hog| hog.write_all(request.repeat(2).as_bytes()).unwrap());
    serve_others(&broker, &mut hogs, 2);
    broker.assert_settles();
}

#[test]
fn histories_of_megabytes() {
    let broker = Running::with(&[("retain_bytes", "64MiB")]);
    fill(&broker, 1);
    let line = format!("{{\"topic\":\"long\",\"kind\":\"event\",\"data\":\"{}\"}}\n", "x".repeat(60_000));
    for _ in 0..8 {
        ask(broker.listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], line.repeat(100).as_bytes());
    }
    let request = format!("GET /v1/topics/long/history?last=800 HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    let mut hogs: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(broker.listen).unwrap()).collect();
    hogs.iter_mut().for_each(|hog| hog.write_all(request.repeat(3).as_bytes()).unwrap());
    serve_others(&broker, &mut hogs, 3);
    broker.assert_settles();
}

//! Many expensive requests at once: other clients are served meanwhile.
//!
//! How long that takes depends on the machine and its load. So the test counts how many of the expensive answers come
//! while another client is served. If that client had to wait for them, it would be nearly all.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Finally, PATIENCE, Running, ask};

/// At most this share of the expensive answers may come while another client is served. They are made in turns, so that
/// half of them may come at once.
const SHARE_MAX: f64 = 0.75;

/// Publishes `topics` topics of four segments.
fn fill(broker: &Running, topics: usize) {
    for block in (0..topics).collect::<Vec<_>>().chunks(20_000) {
        let lines: String =
            block.iter().map(|n| format!("{{\"topic\":\"m.{}.{n}.q\",\"data\":1}}\n", n % 100)).collect();
        let answer = ask(broker.listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], lines.as_bytes());
        assert_eq!(answer.json()["accepted"], block.len(), "{answer:?}");
    }
}

/// Reads `answers` expensive answers, and counts those that have begun.
fn read_answers(mut hog: &TcpStream, answers: usize, begun: &AtomicUsize) {
    let mut text = vec![0; 1 << 20];
    let mut had = 0;
    while had < answers {
        let len = hog.read(&mut text).unwrap_or_else(|error| panic!("{error} after {had} answers"));
        assert!(len > 0, "a hog was cut off after {had} answers");
        let more = String::from_utf8_lossy(&text[..len]).matches("HTTP/1.1 200 ").count();
        had += more;
        begun.fetch_add(more, Ordering::Relaxed);
    }
}

/// Serves other clients until each of `hogs` has had `answers` expensive answers.
fn serve_others(broker: &Running, hogs: &[TcpStream], answers: usize) {
    let (all, begun) = (answers * hogs.len(), AtomicUsize::new(0));
    hogs.iter().for_each(|hog| hog.set_read_timeout(Some(4 * PATIENCE)).unwrap());
    let others = std::thread::scope(|scope| {
        // If serving others fails, the readers are not left waiting.
        let _end = Finally(|| hogs.iter().for_each(|hog| drop(hog.shutdown(Shutdown::Both))));
        let readers: Vec<_> = hogs.iter().map(|hog| scope.spawn(|| read_answers(hog, answers, &begun))).collect();
        let mut others = 0;
        while readers.iter().any(|reader| !reader.is_finished()) {
            for what in ["a newcomer", "a cheap request", "/healthz"] {
                let before = begun.load(Ordering::Relaxed);
                match what {
                    "a newcomer" => {
                        let mut client = broker.client();
                        client.say(r#"{"op":"ping"}"#);
                        client.expect("pong");
                    }
                    "/healthz" => assert_eq!(ask(broker.admin, "GET /healthz", &[], b"").status, 200),
                    _ => assert_eq!(broker.http("GET /v1/topics/m.0.0.q/history?last=1", "").status, 200),
                }
                let meanwhile = begun.load(Ordering::Relaxed) - before;
                assert!(
                    meanwhile as f64 <= SHARE_MAX * all as f64,
                    "{what} waited while {meanwhile} of {all} expensive answers came"
                );
                others += 1;
            }
        }
        others
    });
    assert!(others > 3, "it was over before other clients came");
}

#[test]
fn listings_by_the_hundred_on_one_connection() {
    let broker = Running::start();
    fill(&broker, 60_000);
    let mut hog = TcpStream::connect(broker.listen).unwrap();
    let request = format!("GET /v1/topics?match=*.*.*.zzz HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    hog.write_all(request.repeat(100).as_bytes()).unwrap();
    serve_others(&broker, &[hog], 100);
    broker.assert_settles();
}

#[test]
fn listings_on_many_connections() {
    let broker = Running::start();
    fill(&broker, 60_000);
    let request = format!("GET /v1/topics?match=*.*.*.zzz HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    let mut hogs: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(broker.listen).unwrap()).collect();
    hogs.iter_mut().for_each(|hog| hog.write_all(request.repeat(2).as_bytes()).unwrap());
    serve_others(&broker, &hogs, 2);
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
    serve_others(&broker, &hogs, 3);
    broker.assert_settles();
}

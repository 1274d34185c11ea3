//! Signals, at any moment.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Answer, End, HANDSHAKE, PATIENCE, Process, ask, command, until};

/// The time that the broker may take to end beyond `drain_ms`, including what a busy machine adds.
const END_MAX: Duration = Duration::from_secs(10);

#[test]
fn sighup_ends_nothing_and_reads_the_settings_again() {
    let mut process = Process::start(&["--drain-ms", "0"]);
    let mut client = process.client();
    for _ in 0..3 {
        process.signal(Signal::HUP);
    }
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");
    assert!(process.runs());
    drop(client);
    process.until_logged("the configuration was read again");
    // Signals that come together may count as one, and one that comes during a reload counts for itself.
    assert_eq!(process.end(Signal::TERM).0, Some(0));
    let lines = process.logged();
    let more = lines.iter().filter(|line| line["message"] == "the configuration was read again").count();
    assert!(more <= 2, "{lines:?}");
}

/// Whether this process ignores a signal, as the programs that it starts then do as well.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(ignored, 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn while_it_starts() {
    let (mut by_signal, mut well) = (0, 0);
    // A shell starts what runs in its background like this, and the program is so too until it has its own handler.
    let ignores_interrupts = is_ignored(Signal::INT);
    for wait in 0..30 {
        let mut child = command(&["--drain-ms", "0"]).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        until("some moment of the start", || begin.elapsed() >= Duration::from_millis(wait));
        let signal = if wait % 2 == 0 || ignores_interrupts { Signal::TERM } else { Signal::INT };
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut status = None;
        until("the process to end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        match (status.code(), status.signal()) {
            (Some(0), _) => well += 1,
            // The signal came before the first line of the program ran.
            (None, Some(number)) if number == signal.as_raw() => by_signal += 1,
            _ => panic!("{status} after {wait} ms"),
        }
        assert!(begin.elapsed() < END_MAX, "{:?}", begin.elapsed());
    }
    assert!(well > 0, "{by_signal} ended by the signal");
}

#[test]
fn in_a_burst_of_handshakes() {
    let mut process = Process::start(&["--drain-ms", "300", "--shards", "4"]);
    let address = process.listen;
    let request = format!("GET /v1/ws HTTP/1.1\r\nHost: {address}\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let request = request.clone();
            std::thread::spawn(move || {
                let (mut streams, begin) = (Vec::new(), Instant::now());
                while begin.elapsed() < PATIENCE {
                    let Ok(mut stream) = TcpStream::connect(address) else { break };
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    if stream.write_all(request.as_bytes()).is_ok() {
                        streams.push(stream);
                    }
                }
                // Every connection whose handshake was done gets goaway, and is closed.
                let mut told = 0;
                for mut stream in streams {
                    let mut received = Vec::new();
                    // Connections that were not accepted yet are reset.
                    let _ = stream.read_to_end(&mut received);
                    let text = String::from_utf8_lossy(&received);
                    match Answer::parse(&received).status {
                        101 => {
                            let close = received.windows(2).any(|code| code == 1001u16.to_be_bytes());
                            assert!(text.contains("\"goaway\"") && close, "{text:?}");
                            told += 1;
                        }
                        0 => assert!(received.is_empty(), "{text}"),
                        status => assert_eq!(status, 503, "{text}"),
                    }
                }
                told
            })
        })
        .collect();
    until("some handshakes", || process.metric("tickcast_opened_total") > 200.0);
    let (code, took) = process.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(took < END_MAX, "{took:?}");
    let told: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(told > 100, "{told}");
}

#[test]
fn in_the_longest_request() {
    let mut process = Process::start(&["--drain-ms", "300"]);
    let lines: String = (0..40_000).map(|n| format!("{{\"topic\":\"m.{}.{n}.q\",\"data\":1}}\n", n % 100)).collect();
    let published = ask(process.listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], lines.as_bytes());
    assert_eq!(published.json()["accepted"], 40_000);
    let mut client = process.client();
    let mut hogs: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(process.listen).unwrap()).collect();
    let listing = format!("GET /v1/topics?match=*.*.*.zzz HTTP/1.1\r\nHost: {}\r\n\r\n", process.listen).repeat(20);
    hogs.iter_mut().for_each(|hog| hog.write_all(listing.as_bytes()).unwrap());
    until("them to be at it", || process.metric("tickcast_http_connections") > 50.0);
    let begin = Instant::now();
    process.signal(Signal::TERM);
    client.expect("goaway");
    assert_eq!(client.end(), End::Close(Some(1001)));
    drop(client);
    assert_eq!(process.wait().code(), Some(0));
    assert!(begin.elapsed() < END_MAX, "{:?}", begin.elapsed());
}

#[test]
fn in_the_middle_of_a_body() {
    let mut process = Process::start(&["--drain-ms", "0"]);
    let mut client = TcpStream::connect(process.listen).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
         Expect: 100-continue\r\n\r\n",
        process.listen
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    // The body is being read from here on.
    until("the broker to ask for the body", || {
        let mut bytes = [0; 1024];
        let read = client.read(&mut bytes).unwrap();
        answer += std::str::from_utf8(&bytes[..read]).unwrap();
        answer.ends_with("\r\n\r\n")
    });
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    process.signal(Signal::TERM);
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 503") && rest.contains("the broker is going away"), "{rest}");
    assert_eq!(process.wait().code(), Some(0));
}

/// Freeing topics one by one takes processor time in proportion to their number, on every machine. So processor time
/// counts here, not the clock.
#[test]
fn the_process_exits_without_freeing_many_topics() {
    const TOPICS: usize = 200_000;
    /// In hundredths of a second. Freeing the topics takes about fifty, stopping one or two.
    const OWN_TIME_MAX: u64 = 20;
    let mut process = Process::start(&["--drain-ms", "0"]);
    for block in (0..TOPICS).collect::<Vec<_>>().chunks(20_000) {
        let lines: String = block
            .iter()
            .map(|n| format!("{{\"topic\":\"m.{}.{n}\",\"kind\":\"state\",\"data\":1}}\n", n % 100))
            .collect();
        let answer = ask(process.listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], lines.as_bytes());
        assert_eq!(answer.json()["accepted"], block.len(), "{answer:?}");
    }
    let mut client = process.client();
    let before = process.own_time().0;
    process.signal(Signal::TERM);
    client.skip_to(serde_json::json!({"op":"goaway"}));
    assert_eq!(client.end(), End::Close(Some(1001)));
    drop(client);
    until("the process to end", || process.own_time().1);
    let took = process.own_time().0 - before;
    assert!(took <= OWN_TIME_MAX, "{took} hundredths of a second of work");
    assert_eq!(process.wait().code(), Some(0));
    let lines = process.logged();
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{lines:?}");
}

#[test]
fn the_feeds_of_a_demo_stop_with_the_broker() {
    let mut process = Process::start(&["demo", "--drain-ms", "3600000"]);
    until("the feeds to publish", || process.metric("tickcast_published_total") > 100.0);
    // There are no other clients: once the feeds have gone, nothing is left to wait for.
    let (code, took) = process.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(took < END_MAX, "{took:?}");
    let lines = process.logged();
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{lines:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for task in ["serve", "demo"] {
        let mut process = Process::start(&[task, "--drain-ms", "3600000"]);
        let mut client = process.client();
        process.signal(Signal::TERM);
        client.skip_to(serde_json::json!({"op":"goaway"}));
        let (code, took) = process.end(Signal::INT);
        assert_eq!(code, Some(0));
        assert!(took < END_MAX, "{took:?}");
    }
}

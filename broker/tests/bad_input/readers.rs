//! Clients that do not read.

use std::time::Duration;

use serde_json::json;

use crate::common::{Client, End, FIN, Hands, PING, Running, TEXT, masked, until};

const SMALL: Hands = Hands { receive_bytes: Some(4096), deaf: true };

/// If nothing was written for this long, the broker takes no more.
const QUIET: Duration = Duration::from_millis(400);

/// Expects that the broker serves another client.
#[track_caller]
fn assert_serves(broker: &Running) {
    let mut other = broker.client();
    other.subscribe(&["someone.else"]);
    broker.publish("someone.else", "event", "1");
    other.expect_has(json!({"op":"topic"}));
    other.expect_has(json!({"op":"update","seq":1}));
    assert_eq!(broker.http("DELETE /v1/topics/someone.else", "").status, 200);
}

#[test]
fn a_client_that_never_reads_its_answers_is_no_longer_read_and_then_closed() {
    let requests = [
        masked(FIN | TEXT, br#"{"op":"list","id":"to make the answer a little longer than the request"}"#),
        masked(FIN | PING, &[b'p'; 125]),
        masked(FIN | TEXT, b"not even json"),
        masked(FIN | TEXT, br#"{"op":"subscribe","topics":["a..b","c..d","e..f","g..h"]}"#),
    ];
    // Each has a broker of its own. They take long, and run at the same time.
    std::thread::scope(|scope| {
        for request in &requests {
            scope.spawn(|| never_reads(request));
        }
    });
}

fn never_reads(request: &[u8]) {
    let settings = [
        ("stall_ms", "5000"),
        ("answers_bytes_max", "16384"),
        ("send_buffer_bytes", "8192"),
        ("notsent_lowat_bytes", "4096"),
    ];
    let broker = Running::with(&settings);
    let mut client = Client::with(broker.listen, SMALL, &[], b"");
    // The broker stops reading: then the kernel's buffers fill on both sides.
    let sent = client.say_until_stuck(request, QUIET, 200 << 20);
    assert!(sent < 100 << 20, "it read {sent} bytes of requests whose answers nobody read");
    assert_serves(&broker);
    broker.until_metric(r#"tickcast_closed_total{reason="slow"}"#, |count| count == 1.0);
    // It gets what it had not read, and then the reason for the close.
    assert_eq!(client.end(), End::Close(Some(4008)));
    broker.assert_settles();
}

#[test]
fn a_client_that_reads_in_time_gets_every_answer_in_order() {
    let settings = [("answers_bytes_max", "16384"), ("send_buffer_bytes", "8192"), ("notsent_lowat_bytes", "4096")];
    let broker = Running::with(&settings);
    let mut client = Client::with(broker.listen, SMALL, &[], b"");
    let count = 20_000;
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for index in 0..count {
            let request = format!(r#"{{"op":"ping","id":{index}}}"#);
            std::io::Write::write_all(&mut writer, &masked(FIN | TEXT, request.as_bytes())).unwrap();
        }
    });
    // The answers are stuck for a while: they are more than all buffers together hold.
    until("the socket to fill", || broker.metric("tickcast_connections_parked") == 1.0);
    for index in 0..count {
        assert_eq!(client.expect("pong")["id"], index);
    }
    writing.join().unwrap();
    drop(client);
    broker.assert_settles();
}

#[test]
fn many_clients_that_do_not_read_do_not_hold_up_one_that_does() {
    let settings = [
        ("answers_bytes_max", "16384"),
        ("send_buffer_bytes", "8192"),
        ("notsent_lowat_bytes", "4096"),
        ("shards", "1"),
    ];
    let broker = Running::with(&settings);
    let list = masked(FIN | TEXT, br#"{"op":"list","id":"to make the answer a little longer than the request"}"#);
    let stuck: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = Client::with(broker.listen, SMALL, &[], b"");
            client.say_until_stuck(&list, Duration::from_millis(20), 300_000);
            client
        })
        .collect();
    let mut healthy = Client::with(broker.listen, SMALL, &[], b"");
    let begin = std::time::Instant::now();
    for index in 0..200 {
        healthy.say(&format!(r#"{{"op":"ping","id":{index}}}"#));
        assert_eq!(healthy.expect("pong")["id"], index);
    }
    // More answers than may be pending: its requests wait among those of the others meanwhile.
    let pings: Vec<u8> = (0..2000).flat_map(|_| masked(FIN | TEXT, br#"{"op":"ping","id":"x"}"#)).collect();
    healthy.raw(&pings);
    for _ in 0..2000 {
        healthy.expect("pong");
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(stuck);
    drop(healthy);
    broker.assert_settles();
}

#[test]
fn a_subscriber_that_reads_nothing_is_closed_and_delays_no_other() {
    let settings = [("stall_ms", "1500"), ("send_buffer_bytes", "8192"), ("notsent_lowat_bytes", "4096")];
    let broker = Running::with(&settings);
    let mut asleep = Client::with(broker.listen, SMALL, &[], b"");
    asleep.subscribe(&["fire.hose"]);
    let mut awake = broker.client();
    awake.subscribe(&["fire.hose"]);
    let mut publisher = broker.client();
    let data = "x".repeat(1000);
    let mut seq = 0;
    awake.stream.set_nodelay(true).unwrap();
    while broker.metric(r#"tickcast_closed_total{reason="slow"}"#) == 0.0 {
        for _ in 0..50 {
            publisher.say(&format!(r#"{{"op":"publish","id":1,"topic":"fire.hose","kind":"event","data":"{data}"}}"#));
            publisher.expect("published");
            seq += 1;
            if seq == 1 {
                awake.expect("topic");
            }
            assert_eq!(awake.expect("update").num("seq"), seq);
        }
    }
    assert_eq!(asleep.end(), End::Close(Some(4008)));
    drop((asleep, awake, publisher));
    broker.assert_settles();
}

#[test]
fn a_response_over_http_that_nobody_reads_ends() {
    let broker = Running::with(&[("stall_ms", "1000"), ("send_buffer_bytes", "8192")]);
    let data = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..15 {
        broker.publish("long.history", "event", &data);
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&broker.listen.into()).unwrap();
    let mut stream: std::net::TcpStream = socket.into();
    let request = "GET /v1/topics/long.history/history HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    broker.until_metric("tickcast_http_connections", |count| count >= 2.0);
    // The scrape's own connection is the one that is left.
    broker.until_metric("tickcast_http_connections", |count| count <= 1.0);
}

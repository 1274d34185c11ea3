//! Everything is the same with TLS: WebSocket, Server-Sent Events, HTTP, and the end of each.

use std::io::Write as _;
use std::sync::Arc;

use crate::client::{BOTH, Client, broker, config, handshakes};
use crate::common::{BINARY, FIN, ask, until};
use crate::pki::Pki;

#[test]
fn a_websocket_gets_what_it_gets_without_tls() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    let tls = broker.tls.unwrap();
    for (version, name) in BOTH.into_iter().zip(["1.2", "1.3"]) {
        let config = Arc::new(config(&pki, &[version], None));
        let topic = format!("tls.{name}");
        let mut client = Client::websocket(tls, &config);
        // An image of many records; what is sent is a fragment of a record, a record, and several in one write.
        let large = "x".repeat(60_000);
        for part in 0..8 {
            let kind = if part == 0 { "state" } else { "patch" };
            broker.publish(&topic, kind, &format!(r#"{{"{part}":"{large}"}}"#));
        }
        client.subscribe(&topic);
        let image = client.expect("image");
        assert_eq!(image["data"].as_object().unwrap().len(), 8, "{name}");
        // In order, beside a plain client.
        let mut plain = broker.client();
        plain.subscribe(&[&topic]);
        plain.expect("image");
        for number in 0..200 {
            client.say(&format!(r#"{{"op":"publish","topic":"{topic}","kind":"state","data":{{"n":{number}}}}}"#));
        }
        for number in 0..200 {
            let update = plain.expect("update");
            assert_eq!(update["data"]["n"], number, "{name}");
        }
        for number in 0..200 {
            assert_eq!(client.expect("update")["data"]["n"], number, "{name}");
        }
        // The largest message that is taken, which comes as several records.
        let fits = "y".repeat(65_536 - 100);
        client.say(&format!(r#"{{"op":"publish","topic":"{topic}","kind":"state","data":"{fits}"}}"#));
        loop {
            if let Some(data) = client.message()["data"].as_str() {
                assert_eq!(data, fits);
                break;
            }
        }
        assert_eq!(handshakes(&broker, name, "full", "ok"), 1.0);
    }
    broker.assert_settles();
}

#[test]
fn http_and_events_are_the_same() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    let tls = broker.tls.unwrap();
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        let body = format!("\"{}\"", "z".repeat(50_000));
        let published = Client::connect(tls, &config).ask("POST /v1/topics/tls.http?kind=state", &body);
        assert_eq!(published.status, 200, "{published:?}");
        let line = "GET /v1/topics/tls.http";
        let (with, without) = (Client::connect(tls, &config).ask(line, ""), ask(broker.listen, line, &[], b""));
        assert_eq!((with.status, &with.body), (200, &without.body));
        // An error that the broker makes, and one that hyper makes.
        assert_eq!(Client::connect(tls, &config).ask("GET /nowhere", "").status, 404);
        let wrong = Client::connect(tls, &config).ask("GET /v1/topics?match=> ", "");
        assert_eq!((wrong.status, wrong.code().as_str()), (400, "bad_request"));

        let mut events = Client::connect(tls, &config);
        events.raw(b"GET /v1/sse?topic=tls.http HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let head = events.head();
        assert_eq!(head.status, 200, "{head:?}");
        // The stream stays although the client has closed its own direction.
        events.stream.conn.send_close_notify();
        events.stream.flush().unwrap();
        broker.publish("tls.http", "state", "\"after the half-close\"");
        events.until("after the half-close");
        drop(events);
    }
    broker.assert_settles();
}

#[test]
fn a_stream_of_events_flows_and_its_end_is_told() {
    let pki = Pki::new();
    let mut broker = broker(&pki, &[]);
    let config = Arc::new(config(&pki, &BOTH, None));
    let mut events = Client::connect(broker.tls.unwrap(), &config);
    broker.publish("tls.events", "state", &format!("\"{}\"", "e".repeat(60_000)));
    events.raw(b"GET /v1/sse?topic=tls.events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(events.head().status, 200);
    broker.until_metric("tickcast_sse_connections", |count| count == 1.0);
    broker.publish("tls.events", "state", "2");
    broker.begin_stop();
    let (text, told) = events.rest();
    assert!(told, "the end was not told: {text:.300}");
    let events: Vec<&str> = text.split("\n\n").collect();
    assert!(events.iter().any(|event| event.contains(r#""op":"image""#) && event.len() > 60_000), "{text:.300}");
    assert!(events.iter().any(|event| event.contains(r#""seq":2"#)), "{text:.300}");
    assert!(events.contains(&": closed 1001 going away"), "{:?}", &events[1..]);
    broker.join();
}

#[test]
fn a_client_without_a_request_is_told_that_its_time_is_over() {
    let pki = Pki::new();
    let mut broker = broker(&pki, &[("handshake_ms", "1000")]);
    let tls = broker.tls.unwrap();
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        // Before the first request, within one, and after one.
        assert_eq!(Client::connect(tls, &config).end(), (None, true));
        let mut client = Client::connect(tls, &config);
        client.raw(b"GET /v1/topics HTTP/1.1\r\nHost:");
        assert!(client.rest().1);
        let mut client = Client::connect(tls, &config);
        client.raw(b"GET /v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let (text, told) = client.rest();
        assert!(text.contains("200 OK") && told, "{text}");
    }
    // And when the broker stops while it waits.
    let config = Arc::new(config(&pki, &BOTH, None));
    let mut client = Client::connect(tls, &config);
    // A client's side of the handshake is done before the broker's.
    let done = || handshakes(&broker, "1.3", "full", "ok") + handshakes(&broker, "1.3", "resumed", "ok");
    until("the broker's side of the handshake", || done() == 4.0);
    broker.begin_stop();
    assert_eq!(client.end(), (None, true));
    broker.join();
}

#[test]
fn every_planned_end_is_told() {
    let pki = Pki::new();
    let mut broker = broker(&pki, &[("connections_max", "3")]);
    let tls = broker.tls.unwrap();
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        // By the broker.
        let mut client = Client::websocket(tls, &config);
        client.frame(FIN | BINARY, b"binary");
        assert_eq!(client.end(), (Some(1003), true));
        // By the client, and then by the client without a word of WebSocket.
        let mut client = Client::websocket(tls, &config);
        client.frame(FIN | crate::common::CLOSE, &1000u16.to_be_bytes());
        assert_eq!(client.end(), (Some(1000), true));
        let mut client = Client::websocket(tls, &config);
        client.stream.conn.send_close_notify();
        client.stream.flush().unwrap();
        assert_eq!(client.end(), (None, true));
        // Refused.
        broker.assert_settles_but_for(0);
        let held: Vec<_> = (0..3).map(|_| Client::websocket(tls, &config)).collect();
        let mut refused = Client::connect(tls, &config);
        refused.raw(
            format!("GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n\r\n", crate::common::HANDSHAKE.join("\r\n"))
                .as_bytes(),
        );
        assert_eq!(refused.head().status, 101);
        assert_eq!(refused.end(), (Some(4029), true));
        drop(held);
        broker.assert_settles_but_for(0);
    }
    // At the end of the broker.
    let config = Arc::new(config(&pki, &BOTH, None));
    let mut client = Client::websocket(tls, &config);
    broker.begin_stop();
    client.expect("goaway");
    assert_eq!(client.end(), (Some(1001), true));
    broker.join();
}

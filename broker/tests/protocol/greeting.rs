//! `hello`, and messages that come with the handshake.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::common::{Client, FIN, Hands, PING, PONG, Running, TEXT, masked, with_journal};

#[test]
fn hello_describes_the_broker_and_its_limits() {
    let broker = Running::start();
    let hello = broker.client().hello;
    let session = hello.str("session");
    assert!(!session.is_empty());
    let server = hello.str("server");
    assert!(server.starts_with("tickcast/"), "{server}");
    let expected = json!({
        "op": "hello", "protocol": "tickcast.v1", "server": server, "session": session, "heartbeat_ms": 25_000,
        "features": if with_journal() { &["journal"][..] } else { &[] },
        "limits": {
            "subscriptions": 1024, "message_bytes": 65_536, "image_bytes": 1_048_576, "behind_bytes": 65_536,
            "retain_updates": 1024, "stall_ms": 60_000,
        },
    });
    assert_eq!(hello.json, expected);
    assert_ne!(broker.client().hello.str("session"), session, "each connection has a session of its own");
}

#[test]
fn hello_has_the_configured_limits() {
    let broker = Running::with(&[
        ("heartbeat_ms", "1234"),
        ("subscriptions", "7"),
        ("message_bytes", "2000"),
        ("image_bytes", "3000"),
        ("behind_bytes", "4000"),
        ("retain_updates", "5"),
        ("stall_ms", "6000"),
    ]);
    let hello = broker.client().hello;
    assert_eq!(hello["heartbeat_ms"], 1234);
    let limits = json!({"subscriptions": 7, "message_bytes": 2000, "image_bytes": 3000, "behind_bytes": 4000,
        "retain_updates": 5, "stall_ms": 6000});
    assert_eq!(hello["limits"], limits);
}

#[test]
fn messages_sent_together_with_the_handshake_are_read() {
    let broker = Running::start();
    broker.publish("early.bird", "state", r#"{"worm":1}"#);
    let early = [
        masked(FIN | TEXT, br#"{"op":"subscribe","id":1,"topics":["early.bird"]}"#),
        masked(FIN | PING, b"early"),
        masked(FIN | TEXT, br#"{"op":"ping","id":2}"#),
    ]
    .concat();
    // The whole, and the parts before and after a cut inside a frame.
    for cut in [early.len(), 1, 20] {
        let mut client = Client::with(broker.listen, Hands::default(), &[], &early[..cut]);
        client.raw(&early[cut..]);
        let mut ops = Vec::new();
        let mut ponged = false;
        while ops.len() < 3 {
            let frame = client.next_frame().unwrap();
            if frame.opcode == PONG {
                assert_eq!(frame.payload, b"early");
                ponged = true;
            } else {
                let message: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
                ops.push(message["op"].as_str().unwrap().to_owned());
            }
        }
        assert!(ponged, "answers come in the order of their requests");
        ops.sort();
        assert_eq!(ops, ["image", "pong", "subscribed"], "cut at {cut}");
    }
}

#[test]
fn times_are_microseconds_since_the_epoch() {
    let broker = Running::start();
    let mut client = broker.client();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let ts = client.request(r#"{"op":"ping"}"#).num("ts");
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    assert!((before..=after).contains(&ts), "{before} <= {ts} <= {after}");
}

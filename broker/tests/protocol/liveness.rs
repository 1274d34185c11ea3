//! Heartbeats, pings, and clients that show no sign of life.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{CLOSE, Client, FIN, Hands, PING, PONG, Running, TEXT};

const DEAF: Hands = Hands { receive_bytes: None, deaf: true };

#[test]
fn silence_is_filled_with_heartbeats_and_pings() {
    let broker = Running::with(&[("heartbeat_ms", "200")]);
    let mut client = broker.client();
    assert_eq!(client.hello["heartbeat_ms"], 200);
    let begin = Instant::now();
    let (mut heartbeats, mut pings) = (0, 0);
    while heartbeats < 5 || pings < 5 {
        let frame = client.next_frame().unwrap();
        match frame.opcode {
            PING => {
                pings += 1;
                client.frame(FIN | PONG, &frame.payload);
            }
            TEXT => {
                let message: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
                assert_eq!(message["op"], "heartbeat", "{message}");
                assert!(message["ts"].is_u64());
                heartbeats += 1;
            }
            opcode => panic!("{opcode}"),
        }
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900), "five of each in {took:?}");
    drop(client);
    broker.assert_settles();
}

#[test]
fn no_heartbeat_comes_while_something_is_sent() {
    let broker = Running::with(&[("heartbeat_ms", "2000")]);
    let mut client = broker.client();
    client.subscribe(&["busy"]);
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    let mut heartbeats = 0;
    while begin.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        broker.publish("busy", "event", "1");
        while client.message().op() != "update" {
            heartbeats += 1;
        }
        longest = longest.max(before.elapsed());
    }
    // The first `topic` is counted as well. If the machine stalls, a heartbeat may become due.
    assert!(heartbeats <= 1 || longest > Duration::from_secs(1), "{heartbeats} with {longest:?} at most between");
}

#[test]
fn two_pings_without_any_frame_in_answer_close() {
    let broker = Running::with(&[("heartbeat_ms", "150")]);
    let mut client = Client::with(broker.listen, DEAF, &[], b"");
    let mut pings = 0;
    loop {
        let frame = client.next_frame().unwrap();
        match frame.opcode {
            PING => pings += 1,
            TEXT => {}
            CLOSE => {
                assert_eq!(frame.payload[..2], 4009u16.to_be_bytes());
                break;
            }
            opcode => panic!("{opcode}"),
        }
    }
    assert_eq!(pings, 2);
    assert!(client.next_frame().is_none());
    assert_eq!(broker.metric(r#"tickcast_closed_total{reason="no_sign_of_life"}"#), 1.0);
    drop(client);
    broker.assert_settles();
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let broker = Running::with(&[("heartbeat_ms", "300")]);
    let frames: [(u8, &[u8]); 3] = [(FIN | PING, b"me"), (FIN | TEXT, br#"{"op":"ping"}"#), (FIN | PONG, b"unasked")];
    for (first, payload) in frames {
        let mut client = Client::with(broker.listen, DEAF, &[], b"");
        let mut pings = 0;
        while pings < 6 {
            match client.next_frame() {
                Some(frame) if frame.opcode == PING => {
                    pings += 1;
                    client.frame(first, payload);
                }
                Some(frame) => assert_ne!(frame.opcode, CLOSE, "{first:#x}"),
                None => panic!("closed in spite of {first:#x}"),
            }
        }
    }
}

#[test]
fn pings_from_the_client_are_answered_with_their_payload() {
    let broker = Running::start();
    let mut client = broker.client();
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        client.frame(FIN | PING, payload);
        let pong = client.next_frame().unwrap();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, payload));
    }
    client.frame(FIN | PONG, b"nobody asked");
    client.say(r#"{"op":"ping","id":7}"#);
    client.expect_has(json!({"op":"pong","id":7}));
}

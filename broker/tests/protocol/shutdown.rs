//! The broker goes away.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{End, Running, ask, until};

#[test]
fn clients_are_told_and_then_closed() {
    let mut broker = Running::with(&[("drain_ms", "1500")]);
    let (mut one, mut other) = (broker.client(), broker.client());
    one.subscribe(&["late"]);
    let begin = Instant::now();
    broker.begin_stop();
    for client in [&mut one, &mut other] {
        let goaway = client.expect("goaway");
        assert_eq!(goaway.json, json!({"op":"goaway","reason":"shutdown","after_ms":1500}));
    }
    // Nobody new is taken on, and the admin listener says why.
    until("the listener to close", || TcpStream::connect(broker.listen).is_err());
    let ready = ask(broker.admin, "GET /readyz", &[], b"");
    assert_eq!((ready.status, ready.code().as_str()), (503, "unavailable"), "{ready:?}");
    assert_eq!(ask(broker.admin, "GET /healthz", &[], b"").status, 200);
    // Until the close everything goes on.
    other.request(r#"{"op":"publish","id":1,"topic":"late","kind":"event","data":1}"#);
    one.expect("topic");
    one.expect_has(json!({"op":"update","seq":1}));
    assert_eq!(one.end(), End::Close(Some(1001)));
    assert_eq!(other.end(), End::Close(Some(1001)));
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
    drop((one, other));
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[test]
fn once_everybody_has_left_there_is_nothing_to_wait_for() {
    let mut broker = Running::with(&[("drain_ms", "60000")]);
    let mut client = broker.client();
    let begin = Instant::now();
    broker.begin_stop();
    client.expect("goaway");
    drop(client);
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn who_does_not_hang_up_does_not_hold_it_up() {
    let mut broker = Running::with(&[("drain_ms", "100")]);
    let client = broker.client();
    let begin = Instant::now();
    broker.begin_stop();
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    drop(client);
}

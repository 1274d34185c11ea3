//! Clients that disappear suddenly.

use serde_json::json;

use crate::common::{CONTINUATION, Client, End, FIN, Hands, Running, TEXT, masked, until};

#[test]
fn a_publisher_that_dies_in_the_middle_of_a_message() {
    let broker = Running::start();
    let mut watcher = broker.client();
    watcher.subscribe(&["dying.topic", "dying.marker"]);
    let whole =
        masked(FIN | TEXT, br#"{"op":"publish","id":1,"topic":"dying.topic","kind":"event","data":{"px":"189.10"}}"#);
    for (cut, reset) in (1..whole.len()).flat_map(|cut| [(cut, false), (cut, true)]) {
        let mut publisher = broker.client();
        publisher.raw(&whole[..cut]);
        if reset {
            publisher.reset();
        }
    }
    // Half of a message, in whole fragments.
    let mut publisher = broker.client();
    publisher.frame(TEXT, br#"{"op":"publish","topic":"dying.topic","kind":"event","data":{"px":"189.10"}}"#);
    publisher.frame(CONTINUATION, b"");
    drop(publisher);
    // None of this was published.
    let mut alive = broker.client();
    alive.request(r#"{"op":"publish","id":1,"topic":"dying.marker","kind":"event","data":1}"#);
    watcher.expect_has(json!({"op":"topic","topic":"dying.marker"}));
    watcher.expect_has(json!({"op":"update","topic":"dying.marker","seq":1}));
    assert_eq!(broker.http("GET /v1/topics/dying.topic/history", "").status, 404);
    drop((alive, watcher));
    broker.assert_settles();
}

#[test]
fn complete_messages_before_the_end_are_published() {
    let broker = Running::start();
    let whole = masked(FIN | TEXT, br#"{"op":"publish","topic":"last.words","kind":"event","data":1}"#);
    let mut publisher = broker.client();
    publisher.raw(&[&whole[..], &whole, &whole[..20]].concat());
    publisher.finish();
    assert_eq!(publisher.end(), End::Cut);
    // With a journal they may still be on their way to it.
    until("both to be there", || broker.http("GET /v1/topics/last.words/history", "").json()["seq"] == 2);
    broker.assert_settles();
}

#[test]
fn reset_instead_of_close() {
    let broker = Running::start();
    broker.publish("reset.state", "state", "1");
    let set_ups: [fn(&mut Client); 6] = [
        |_| {},
        |client| drop(client.subscribe(&["reset.state", "reset.*", "reset.waiting"])),
        |client| client.raw(&[FIN | TEXT]),
        |client| client.frame(TEXT, b"{"),
        |client| client.say(r#"{"op":"subscribe","topics":["reset.>"],"conflate_ms":100}"#),
        |client| client.frame(FIN | TEXT, b"\xff"),
    ];
    for set_up in set_ups {
        for _ in 0..20 {
            let mut client = broker.client();
            set_up(&mut client);
            client.reset();
        }
    }
    broker.assert_settles();
}

#[test]
fn a_reset_while_updates_are_pending() {
    let broker = Running::with(&[("send_buffer_bytes", "8192"), ("notsent_lowat_bytes", "4096")]);
    let data = format!("\"{}\"", "x".repeat(30_000));
    for _ in 0..5 {
        let mut client = Client::with(broker.listen, Hands { receive_bytes: Some(4096), deaf: true }, &[], b"");
        client.subscribe(&["reset.busy"]);
        broker.publish("reset.busy", "event", &data);
        let mut published = 1;
        while broker.metric("tickcast_pinned_bytes") == 0.0 {
            broker.publish("reset.busy", "event", &data);
            published += 1;
            assert!(published < 1000, "the socket never fills");
        }
        assert_eq!(broker.metric("tickcast_connections_parked"), 1.0);
        client.reset();
        broker.until_metric("tickcast_connections", |count| count == 0.0);
        assert_eq!(broker.metric("tickcast_connections_parked"), 0.0);
        broker.http("DELETE /v1/topics/reset.busy", "");
    }
    broker.assert_settles();
}

#[test]
fn hanging_up_without_a_close_frame() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["quiet"]);
    client.finish();
    assert_eq!(client.end(), End::Cut);
    drop(client);
    broker.assert_settles();
}

#[test]
fn a_client_that_does_not_hang_up_after_the_close_frames() {
    let broker = Running::start();
    let mut client = broker.client();
    client.frame(FIN | 8, b"\x03\xe8");
    assert_eq!(client.end(), End::Close(Some(1000)));
    // The client's side stays open: the broker does not wait for it.
    broker.assert_settles();
    drop(client);
}

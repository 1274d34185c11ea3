//! A log without room: publishes are refused and say why, what was taken is delivered and served, and once a checkpoint can
//! be written it makes room by itself.

use serde_json::{Value, json};

use crate::common::nats::{CURRENT, Options, Servers, Wire};
use crate::common::{Client, Message};
use crate::members::{CHECKPOINTS, LOG};
use crate::node::{Node, patiently};

/// The room that the log has: far less than an operator can ask for, so that it is soon full.
const LOG_BYTES: u64 = 1 << 20;
/// Bytes of an update.
const UPDATE_BYTES: usize = 4_000;

/// A stream that can be the log, as an operator may make it.
fn log(bytes_max: i64) -> Value {
    json!({
        "name": LOG, "subjects": ["tickcast.log.*", "tickcast.generation"], "storage": "file", "num_replicas": 1,
        "discard": "new", "retention": "limits", "max_bytes": bytes_max, "deny_delete": true,
    })
}

/// The stream of a store of checkpoints.
fn checkpoints(bytes_max: i64) -> Value {
    json!({
        "name": CHECKPOINTS, "subjects": ["$O.tickcast_CP.C.>", "$O.tickcast_CP.M.>"], "storage": "file",
        "num_replicas": 1, "discard": "new", "max_bytes": bytes_max, "allow_rollup_hdrs": true, "allow_direct": true,
    })
}

#[track_caller]
fn make(wire: &mut Wire, stream: &Value) {
    wire.jetstream(&format!("STREAM.CREATE.{}", stream["name"].as_str().unwrap()), stream).unwrap();
}

/// An update.
fn data(n: u64) -> String {
    format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(UPDATE_BYTES))
}

/// Publishes an update, and returns the answer.
#[track_caller]
fn publish(client: &mut Client, n: u64) -> Message {
    let data = data(n);
    client.say(&format!(
        r#"{{"op":"publish","id":{n},"topic":"a","kind":"event","source":"s","source_seq":{n},"data":{data}}}"#
    ));
    client.skip_to(json!({ "id": n }))
}

/// Publishes until nothing is taken any more. Returns how many updates were taken before, and why no more.
#[track_caller]
fn publish_until_full(client: &mut Client) -> (u64, String) {
    for n in 1.. {
        assert!(n < 10_000, "the log does not fill up");
        let answer = publish(client, n);
        if answer.op() == "error" {
            assert_eq!((&answer["code"], &answer["retry"]), (&json!("unavailable"), &json!(true)), "{answer:?}");
            return (n - 1, answer.str("message"));
        }
        assert_eq!(answer.num("seq"), n, "{answer:?}");
    }
    unreachable!("it ends before")
}

/// Fills the log, looks at what still works, makes room, and looks again.
fn filled_up(mut nodes: Vec<Node>, cause: &str, make_room: impl FnOnce()) {
    let [first, last] = &nodes[..] else { panic!("two brokers") };
    first.publish("before", "1");
    let mut follower = last.client();
    follower.subscribe(&["a"]);
    let (taken, why) = publish_until_full(&mut first.client());
    assert!(taken > 0 && why.contains(cause), "{why}");
    // The next ones are refused for the same reason, at both brokers. What is short may still find room for a while.
    let path = format!("/v1/topics/a?kind=event&source=s&source_seq={}", taken + 1);
    for node in &nodes {
        patiently("it to say why", || node.publish_in_vain(&path, &data(taken + 1)).contains(cause));
        patiently("it to have noticed", || node.metric("tickcast_journal_failed") == 1.0);
        assert!(node.metric("tickcast_journal_failures_total") >= 1.0);
    }
    // Who follows gets everything that was taken, and nothing else.
    follower.expect("topic");
    for n in 1..=taken {
        let update = follower.skip_to(json!({"op": "update"}));
        assert_eq!((update.num("seq"), update["data"]["n"].as_u64()), (n, Some(n)));
    }
    assert_eq!(last.client().subscribe(&["a", "before"])["topics"][1]["seq"], 1);
    let kept = first.history("a");
    assert_eq!((kept["seq"].as_u64(), &kept), (Some(taken), &last.history("a")));
    // It is no use to go to another broker.
    for node in &nodes {
        node.until_readiness(200);
    }

    make_room();
    let path = format!("POST {path}");
    patiently("it to go on by itself", || first.http(&path, &data(taken + 1)).status == 200);
    let update = follower.skip_to(json!({"op": "update"}));
    assert_eq!((update.num("seq"), update["data"]["n"].as_u64()), (taken + 1, Some(taken + 1)));
    // There is room for as much again, and more: checkpoints make it as it goes.
    let (mut client, more) = (first.client(), taken * 3);
    let mut n = taken + 2;
    while n < more {
        // It may be full once more while a checkpoint is written.
        n += u64::from(publish(&mut client, n).op() == "published");
    }
    for node in &nodes {
        patiently("it to take records", || node.metric("tickcast_journal_failed") == 0.0);
        node.until_seq("a", more - 1);
        assert_eq!(node.metric("tickcast_journal_differing_total"), 0.0);
    }
    assert_eq!(nodes[0].history("a"), nodes[1].history("a"));
    // What is left is enough to start from.
    let (epoch, kept) = (nodes[0].epoch("a"), nodes[0].seq("a"));
    nodes[0].end();
    nodes[0].go();
    assert_eq!((nodes[0].epoch("a"), nodes[0].seq("a")), (epoch, kept));
}

#[test]
fn a_log_that_has_reached_its_bound_while_no_checkpoint_can_be_written() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let mut wire = servers.wire(0);
    make(&mut wire, &log(LOG_BYTES as i64));
    make(&mut wire, &checkpoints(1_000));
    let nodes = ["a", "b"].map(|name| Node::start(&servers.url(), name, &["--retain-bytes", "16MiB"]));
    filled_up(nodes.into(), "maximum bytes exceeded", || {
        wire.jetstream(&format!("STREAM.UPDATE.{CHECKPOINTS}"), &checkpoints(-1)).unwrap();
    });
}

#[test]
fn servers_whose_store_is_full() {
    // The log may take more than there is.
    let Some(mut servers) = Servers::start(CURRENT, 1, Options { store_limit: LOG_BYTES, ..Options::default() }) else {
        return;
    };
    let mut wire = servers.wire(0);
    make(&mut wire, &log(-1));
    let nodes = ["a", "b"].map(|name| Node::start(&servers.url(), name, &["--retain-bytes", "16MiB"]));
    filled_up(nodes.into(), "resource", || {
        // The operator gives it more.
        let file = servers[0].store_dir().parent().unwrap().join("server.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        let more = text.replace(&format!("max_file_store: {LOG_BYTES}"), &format!("max_file_store: {}", 64 << 20));
        assert_ne!(text, more);
        std::fs::write(&file, more).unwrap();
        servers[0].term();
        servers[0].start_again();
    });
}

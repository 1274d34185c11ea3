//! Slow clients of Server-Sent Events are treated like those of WebSocket.

use std::collections::BTreeMap;

use serde_json::json;

use crate::common::Running;
use crate::source::Source;

#[test]
fn a_slow_client_gets_the_newest_state_and_gaps_for_lost_events() {
    let broker = Running::with(&[("retain_updates", "10"), ("send_buffer_bytes", "4096"), ("behind_bytes", "16384")]);
    let mut source = Source::open(broker.listen, "topic=s&topic=e", "");
    source.expect("hello");
    source.expect("subscribed");
    let mut publisher = broker.client();
    let fill = "x".repeat(1_000);
    // Many times more than the kernel's buffers hold.
    for n in 0..20_000 {
        for (topic, kind) in [("s", "state"), ("e", "event")] {
            publisher.say(&format!(
                r#"{{"op":"publish","topic":"{topic}","kind":"{kind}","data":{{"n":{n},"fill":"{fill}"}}}}"#
            ));
        }
        if n % 100 == 0 {
            publisher.say(r#"{"op":"ping"}"#);
            publisher.expect("pong");
        }
    }
    let (mut seqs, mut images, mut lost) = (BTreeMap::new(), 0u64, 0u64);
    while seqs.get("s") != Some(&20_000) || seqs.get("e") != Some(&20_000) {
        let message = source.message();
        if message.op() == "topic" {
            continue;
        }
        let seq = seqs.entry(message.str("topic")).or_insert(0);
        match message.op() {
            "update" => assert_eq!(message.num("seq"), *seq + 1),
            "image" => images += 1,
            "gap" => {
                assert_eq!((message.num("from"), message.str("reason")), (*seq + 1, "slow".into()));
                lost += message.num("to") - message.num("from") + 1;
                *seq = message.num("to");
                continue;
            }
            _ => panic!("{message:?}"),
        }
        *seq = message.num("seq");
    }
    assert!(images > 0 && lost > 0, "{images} images, {lost} lost");
    drop((source, publisher));
    broker.assert_settles();
}

#[test]
fn a_client_that_reads_nothing_is_closed() {
    let broker = Running::with(&[("stall_ms", "300"), ("send_buffer_bytes", "4096"), ("heartbeat_ms", "200")]);
    let source = Source::open(broker.listen, "topic=e", "");
    broker.until_metric("tickcast_connections", |count| count == 1.0);
    let mut publisher = broker.client();
    let fill = "x".repeat(30_000);
    let mut n = 0;
    while broker.metric("tickcast_connections") == 2.0 {
        n += 1;
        publisher.say(&format!(r#"{{"op":"publish","topic":"e","data":"{n}{fill}"}}"#));
        publisher.say(r#"{"op":"ping"}"#);
        publisher.skip_to(json!({"op":"pong"}));
    }
    drop((source, publisher));
    broker.assert_settles();
}

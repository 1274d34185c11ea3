//! What is published at one broker comes from all of them alike: the same epoch, the same `seq`, the same ids. So clients go
//! on at another one as if nothing was.

use serde_json::json;

use crate::common::nats::{CURRENT, OLDEST};
use crate::common::{Client, Message, until};
use crate::kept::Kept;
use crate::members::{Cluster, LARGE};
use crate::source::Source;

/// Waits until a broker has this update.
#[track_caller]
fn until_there(broker: &Kept, topic: &str, seq: u64) {
    until("an update to come from another broker", || {
        let answer = broker.http(&format!("GET /v1/topics/{topic}/history?last=1"), "");
        answer.status == 200 && answer.json()["seq"].as_u64() >= Some(seq)
    });
}

/// Expects updates of a topic with these numbers, which are their data as well.
#[track_caller]
fn expect_updates(client: &mut Client, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        let update = client.skip_to(json!({ "op": "update", "topic": topic }));
        assert_eq!((update.num("seq"), update.data()), (n, n.to_string()), "{update:?}");
    }
}

/// Subscribes to an entry. Returns the answer's first topic.
#[track_caller]
fn begin(client: &mut Client, request: serde_json::Value) -> serde_json::Value {
    client.say(&request.to_string());
    let answer = client.skip_to(json!({ "op": "subscribed" }));
    assert_eq!(answer["errors"], json!([]), "{answer:?}");
    answer["topics"][0].clone()
}

/// A position that covers everything that this client was sent.
#[track_caller]
fn position(client: &mut Client) -> String {
    client.skip_to(json!({ "op": "position" })).str("id")
}

fn across(version: &str) {
    let Some(mut cluster) = Cluster::with_heartbeat("25000", version, 1, 2, LARGE) else { return };
    let [one, two] = &cluster.brokers[..] else { panic!() };
    one.publish("e.one", "event", "1");
    until_there(two, "e.one", 1);
    let entry = json!({ "op": "subscribe", "topics": ["e.one"], "positions": true });
    let mut clients = [one.client(), two.client()];
    let epochs = clients.each_mut().map(|client| {
        let topic = begin(client, entry.clone());
        assert_eq!(topic["seq"], 1, "{topic}");
        topic["epoch"].as_str().unwrap().to_owned()
    });
    assert_eq!(epochs[0], epochs[1]);

    // Published at either, it is the same at both, in one order.
    for n in 2..=20 {
        assert_eq!([one, two][n as usize % 2].publish("e.one", "event", &n.to_string()), n);
    }
    clients.iter_mut().for_each(|client| expect_updates(client, "e.one", 2..=20));
    let ids = clients.each_mut().map(position);
    // A source is known at both.
    let once = "POST /v1/topics/e.source?kind=event&source=feed&source_seq=7";
    assert_eq!(one.http(once, "1").json()["seq"], 1);
    until_there(two, "e.source", 1);
    let again = two.http(once, "1").json();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &json!(1)), "{again}");

    // Clients go on at the other broker: by epoch and seq, by the position that the other one gave, and by its ids.
    for n in 21..=25 {
        assert_eq!(two.publish("e.one", "event", &n.to_string()), n);
    }
    until_there(one, "e.one", 25);
    for (index, broker) in cluster.brokers.iter().enumerate() {
        let mut client = broker.client();
        let by_seq = json!({ "topic": "e.one", "epoch": epochs[0], "seq": 18 });
        let topic = begin(&mut client, json!({ "op": "subscribe", "topics": [by_seq] }));
        assert_eq!((&topic["start"], &topic["seq"]), (&json!("resumed"), &json!(25)), "{topic}");
        expect_updates(&mut client, "e.one", 19..=25);

        let of_other = &ids[1 - index];
        let mut client = broker.client();
        let topic = begin(&mut client, json!({ "op": "subscribe", "topics": ["e.one"], "resume": of_other }));
        assert_eq!(topic["start"], "resumed", "{topic}");
        expect_updates(&mut client, "e.one", 21..=25);

        let mut source = Source::open(broker.address, "topic=e.one", of_other);
        for n in 21..=25 {
            let update = source.until(|message: &Message| {
                assert!(!["gap", "image"].contains(&message.op()), "{message:?}");
                message.op() == "update"
            });
            assert_eq!((update.num("seq"), update.data()), (n, n.to_string()), "{update:?}");
        }
    }

    // Ended at one, it ends at both; and what begins anew has the same new epoch at both.
    assert_eq!(one.http("DELETE /v1/topics/e.one", "").status, 200);
    for client in &mut clients {
        expect_updates(client, "e.one", 21..=25);
        client.skip_to(json!({ "op": "closed", "topic": "e.one" }));
    }
    assert_eq!(two.http("GET /v1/topics/e.one", "").status, 404);
    assert_eq!(two.publish("e.one", "event", "1"), 1);
    until_there(one, "e.one", 1);
    let anew = [one, two].map(|broker| broker.history("e.one", 1)["epoch"].as_str().unwrap().to_owned());
    assert!(anew[0] == anew[1] && anew[0] != epochs[0], "{anew:?} after {epochs:?}");
    // An id from before that is one of a topic that has ended since.
    for (index, broker) in cluster.brokers.iter().enumerate() {
        let mut client = broker.client();
        let by_seq = json!({ "topic": "e.one", "epoch": epochs[0], "seq": 25 });
        assert_eq!(begin(&mut client, json!({ "op": "subscribe", "topics": [by_seq] }))["start"], "reset");
        let mut client = broker.client();
        let topic = begin(&mut client, json!({ "op": "subscribe", "topics": ["e.one"], "resume": ids[1 - index] }));
        assert_eq!((&topic["start"], &topic["epoch"]), (&json!("history"), &json!(anew[0])), "{topic}");
    }
    cluster.assert_equal();
}

#[test]
fn one_log_at_two_brokers() {
    across(CURRENT);
}

#[test]
#[ignore = "the same with another version: make cluster-test"]
fn one_log_at_two_brokers_with_the_oldest_version() {
    across(OLDEST);
}

//! `on_slow`: clients that do not keep up.

use serde_json::json;

use crate::common::{Client, End, Hands, Running, until};
use crate::continuity::Follower;

const SETTINGS: [(&str, &str); 4] = [
    ("behind_bytes", "16384"),
    ("send_buffer_bytes", "8192"),
    ("notsent_lowat_bytes", "4096"),
    ("retain_updates", "50"),
];
const SMALL: Hands = Hands { receive_bytes: Some(4096), deaf: false };

/// Subscribes a client with small buffers, which reads only when a test makes it.
fn asleep(broker: &Running, topics: &[&str], on_slow: &str) -> (Client, Follower) {
    let mut client = Client::with(broker.listen, SMALL, &[], b"");
    client.say(&json!({"op":"subscribe","topics":topics,"on_slow":on_slow}).to_string());
    let mut follower = Follower::default();
    follower.take(&client.expect("subscribed"));
    (client, follower)
}

/// Publishes numbered updates of a kilobyte each.
fn flood(broker: &Running, topic: &str, kind: &str, count: u64) {
    let mut publisher = broker.client();
    let filler = "x".repeat(1000);
    for n in 1..=count {
        publisher
            .say(&json!({"op":"publish","id":n,"topic":topic,"kind":kind,"data":{"n":n,"filler":filler}}).to_string());
        publisher.expect("published");
    }
}

fn read_to(client: &mut Client, follower: &mut Follower, topic: &str, seq: u64) {
    while follower.last(topic) < seq {
        follower.take(&client.message());
    }
}

#[test]
fn conflate_gives_the_image_of_a_state() {
    let broker = Running::with(&SETTINGS);
    for kind in ["state", "patch"] {
        let topic = format!("slow.{kind}");
        broker.publish(&topic, "state", "{}");
        let (mut client, mut follower) = asleep(&broker, &[&topic], "conflate");
        flood(&broker, &topic, kind, 1000);
        read_to(&mut client, &mut follower, &topic, 1001);
        assert!(follower.skipped_updates > 500, "{} skipped", follower.skipped_updates);
        assert_eq!(follower.gap_updates, 0, "an image replaces what was skipped");
        assert!(follower.data(&topic).contains(r#""n":1000"#));
        // In step again.
        broker.publish(&topic, "state", "1");
        follower.take(&client.expect("update"));
        assert_eq!(follower.last(&topic), 1002);
    }
    assert!(broker.metric("tickcast_fell_behind_total") >= 2.0);
}

#[test]
fn conflate_delivers_the_retained_events_and_names_the_rest() {
    let broker = Running::with(&SETTINGS);
    let (mut client, mut follower) = asleep(&broker, &["slow.event"], "conflate");
    flood(&broker, "slow.event", "event", 1000);
    read_to(&mut client, &mut follower, "slow.event", 1000);
    assert!(follower.gap_updates > 500, "{} lost", follower.gap_updates);
    assert_eq!(follower.gap_updates + follower.updates, 1000, "each was delivered or named as lost");
    assert!(follower.updates >= 50, "everything retained was delivered");
    assert_eq!(broker.metric("tickcast_gap_updates_total"), follower.gap_updates as f64);
    broker.publish("slow.event", "event", "1");
    follower.take(&client.expect("update"));
    assert_eq!(follower.last("slow.event"), 1001);
}

#[test]
fn retain_gives_everything_that_is_retained() {
    let broker = Running::with(&[&SETTINGS[..3], &[("retain_updates", "2000"), ("retain_bytes", "10000000")]].concat());
    for kind in ["event", "state"] {
        let topic = format!("kept.{kind}");
        let (mut client, mut follower) = asleep(&broker, &[&topic], "retain");
        flood(&broker, &topic, kind, 1000);
        read_to(&mut client, &mut follower, &topic, 1000);
        assert_eq!((follower.updates, follower.images, follower.gap_updates), (1000, 0, 0), "{kind}");
    }
    // More than is retained: an image, or a gap.
    let broker = Running::with(&SETTINGS);
    for kind in ["event", "state"] {
        let topic = format!("lost.{kind}");
        let (mut client, mut follower) = asleep(&broker, &[&topic], "retain");
        flood(&broker, &topic, kind, 1000);
        read_to(&mut client, &mut follower, &topic, 1000);
        assert_eq!(follower.gap_updates > 0, kind == "event");
        assert_eq!(follower.skipped_updates > 0, kind == "state");
    }
}

#[test]
fn disconnect_closes_once_something_is_lost() {
    let broker = Running::with(&SETTINGS);
    for kind in ["event", "state"] {
        let topic = format!("strict.{kind}");
        let (mut client, _) = asleep(&broker, &[&topic], "disconnect");
        let (mut patient, mut follower) = asleep(&broker, &[&topic], "conflate");
        let closed = broker.metric(r#"tickcast_closed_total{reason="slow"}"#);
        let mut count = 0;
        while broker.metric(r#"tickcast_closed_total{reason="slow"}"#) == closed {
            flood(&broker, &topic, kind, 20);
            count += 20;
            assert!(count < 10_000, "nothing is ever lost");
        }
        assert_eq!(client.end(), End::Close(Some(4008)), "{kind}");
        read_to(&mut patient, &mut follower, &topic, count);
    }
    assert_eq!(broker.metric(r#"tickcast_closed_total{reason="slow"}"#), 2.0);
    broker.assert_settles();
}

#[test]
fn a_client_that_keeps_up_gets_every_update_whatever_it_asked_for() {
    let broker = Running::with(&[("behind_bytes", "65536")]);
    for on_slow in ["conflate", "retain", "disconnect"] {
        let topic = format!("even.{on_slow}");
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","topics":[topic],"on_slow":on_slow}).to_string());
        let mut follower = Follower::default();
        follower.take(&client.expect("subscribed"));
        for n in 1..=200 {
            broker.publish(&topic, "state", &n.to_string());
            read_to(&mut client, &mut follower, &topic, n);
        }
        assert_eq!((follower.updates, follower.images), (200, 0));
    }
    assert_eq!(broker.metric("tickcast_fell_behind_total"), 0.0);
}

#[test]
fn answers_overtake_what_is_pending() {
    let broker = Running::with(&SETTINGS);
    let (mut client, mut follower) = asleep(&broker, &["busy", "busy.state"], "retain");
    flood(&broker, "busy", "event", 45);
    flood(&broker, "busy.state", "state", 45);
    client.say(r#"{"op":"ping","id":"overtaking"}"#);
    client.say(r#"{"op":"list","id":"too"}"#);
    client.say(r#"{"op":"publish","id":"last","topic":"elsewhere","kind":"event","data":1}"#);
    // All three are done before the client reads, and everything was published before them.
    until("the last request to be done", || broker.http("GET /v1/topics/elsewhere/history", "").status == 200);
    let mut answers = Vec::new();
    while answers.len() < 3 || follower.last("busy") < 45 || follower.last("busy.state") < 45 {
        let message = client.message();
        if matches!(message.op(), "pong" | "subscriptions" | "published") {
            answers.push((message.op().to_owned(), follower.updates));
        }
        follower.take(&message);
    }
    assert_eq!((follower.updates, follower.images, follower.gap_updates), (90, 0, 0));
    // Each answer overtook updates, and none of them another.
    let ops: Vec<&str> = answers.iter().map(|(op, _)| op.as_str()).collect();
    assert_eq!(ops, ["pong", "subscriptions", "published"]);
    assert!(answers.iter().all(|(_, updates)| *updates < 90), "{answers:?}");
}

#[test]
fn the_slowest_are_listed() {
    let broker = Running::with(&SETTINGS);
    let (client, _) = asleep(&broker, &["lag"], "conflate");
    let _healthy = broker.client();
    flood(&broker, "lag", "event", 200);
    let answer = crate::common::ask(broker.admin, "GET /v1/connections?slowest=1", &[], b"");
    let json = answer.json();
    let row = &json["connections"][0];
    assert_eq!(json["connections"].as_array().unwrap().len(), 1);
    assert_eq!(row["session"], client.hello["session"], "{row}");
    assert_eq!(row["remote"], client.stream.local_addr().unwrap().to_string());
    assert_eq!(row["subscriptions"], 1);
    assert!(row["lag_updates"].as_u64().unwrap() > 0 && row["lag_bytes"].as_u64().unwrap() > 0, "{row}");
    assert!(row["lagging_since"].as_u64().unwrap() >= row["connected_ts"].as_u64().unwrap(), "{row}");
}

#[test]
fn the_slowest_are_found_among_many_however_many_requests_there_are() {
    let broker = Running::with(&SETTINGS);
    // More than are reported in one round, before and after those that are slow.
    let mut rest: Vec<_> = (0..300).map(|_| broker.client()).collect();
    let slow: Vec<_> = ["lag.1", "lag.2", "lag.3"].map(|topic| asleep(&broker, &[topic], "conflate").0).into();
    rest.extend((0..300).map(|_| broker.client()));
    for (updates, topic) in [(10, "lag.1"), (45, "lag.2"), (30, "lag.3")] {
        flood(&broker, topic, "event", updates);
    }
    let sessions = |index: &[usize]| index.iter().map(|at| slow[*at].hello["session"].clone()).collect::<Vec<_>>();
    let ask = |count: usize| {
        let answer = crate::common::ask(broker.admin, &format!("GET /v1/connections?slowest={count}"), &[], b"");
        let json = answer.json();
        // With many requests at once a shard may take longer than they wait: then the answer names it.
        assert!(
            json["busy_shards"].is_null() || json["busy_shards"].as_array().is_some_and(|shards| !shards.is_empty())
        );
        (json["busy_shards"].is_null(), json["connections"].as_array().unwrap().clone())
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut whole = 0;
                until("three whole answers", || {
                    let (is_whole, rows) = ask(2);
                    if is_whole {
                        let found: Vec<_> = rows.iter().map(|row| row["session"].clone()).collect();
                        assert_eq!(found, sessions(&[1, 2]));
                        whole += 1;
                    }
                    whole == 3
                });
            });
        }
    });
    until("all of them", || {
        let (is_whole, rows) = ask(10_000);
        assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row["lag_bytes"].as_u64())));
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| row["session"].to_string()).collect();
        assert_eq!(names.len(), rows.len(), "some are listed twice");
        // The publishers' connections may not have ended yet.
        is_whole && rows.len() == rest.len() + slow.len()
    });
    assert!(ask(0).1.is_empty());
}

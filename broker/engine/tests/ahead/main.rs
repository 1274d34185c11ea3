//! A client that comes from a broker which has read more of the log than this one: it waits until this one has read as
//! much, and goes on; it is never told to begin anew for that.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod broker;
#[path = "../simulation/encoded.rs"]
mod encoded;
#[path = "../simulation/network.rs"]
mod network;

use broker_protocol::request::{From, OnSlow, Request, Subscribe, SubscribeEntry};

use broker::{Broker, HEARTBEAT_MS, Log, STALE_MS};

/// One broker that has read everything, and one that has read no update but the first of `t`.
fn two(shared: bool) -> (Log, Broker, Broker) {
    let mut log = Log::new();
    let mut first = Broker::start("a", shared, &mut log);
    let mut behind = Broker::start("b", shared, &mut log);
    first.publish(r#"{"topic":"t","data":1}"#);
    first.write(&mut log);
    behind.read(&log, 1);
    for line in [r#"{"topic":"t","data":2}"#, r#"{"topic":"u","kind":"state","data":{"x":1}}"#] {
        first.publish(line);
    }
    first.write(&mut log);
    while first.read(&log, 1) {}
    (log, first, behind)
}

/// An entry with all that a broker has of a topic.
fn entry(broker: &Broker, topic: &str, seq: u64) -> String {
    let epoch = broker.engine.topic(topic).expect("it has begun").epoch().to_owned();
    format!(r#"{{"topic":"{topic}","epoch":"{epoch}","seq":{seq}}}"#)
}

fn subscribe(entries: &[&str]) -> String {
    format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, entries.join(","))
}

fn id(broker: &Broker) -> u64 {
    1_000_000 + broker.engine.feed().ordinal()
}

fn stream(from: From) -> Request<'static> {
    Request::Subscribe(Subscribe {
        id: None,
        entries: vec![SubscribeEntry::Plain(">".into())],
        from,
        conflate_ms: 0,
        on_slow: OnSlow::default(),
        ready: false,
        positions: false,
        resume: None,
    })
}

#[test]
fn it_waits_until_the_log_is_read_and_goes_on() {
    let (mut log, first, mut behind) = two(true);
    let resumes = subscribe(&[&entry(&first, "t", 2), &entry(&first, "u", 1)]);
    let by_seq = behind.client(&[&resumes, r#"{"op":"list","id":2}"#, r#"{"op":"ping","id":3}"#]);
    let position = format!(r#"{{"op":"subscribe","id":1,"topics":[">"],"resume":"{}"}}"#, id(&first));
    let by_position = behind.client(&[&position]);
    assert!(by_seq.read_one().contains(r#""op":"pong","id":3"#), "only a sign of life overtakes");
    assert!(by_position.read().is_empty());
    assert_eq!(behind.write(&mut log), 1);
    first.publish(r#"{"topic":"t","data":3}"#);
    while behind.read(&log, 1) {}
    behind.run();
    let texts = by_seq.read();
    assert!(texts[0].matches(r#""start":"resumed""#).count() == 2 && !texts[0].contains("reset"), "{texts:#?}");
    assert!(texts[1].contains(r#""op":"subscriptions","id":2"#) && texts.len() == 2, "{texts:#?}");
    // It came when the barrier was on its way.
    assert!(by_position.read().is_empty());
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    let texts = by_position.read();
    assert!(texts[0].contains(r#""matched":2"#) && texts.len() == 3, "{texts:#?}");
    assert!(texts[1..].iter().all(|text| text.contains(r#""start":"resumed""#)), "{texts:#?}");
    assert_eq!((behind.engine.journal().expect("one").gathering().bytes(), behind.engine.budget().buffers()), (0, 0));
}

#[test]
fn many_cost_two_entries_of_the_log() {
    const CLIENTS: usize = 10_000;
    let (mut log, first, mut behind) = two(true);
    let resumes = subscribe(&[&entry(&first, "t", 2)]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| behind.client(&[&resumes])).collect();
    assert!(behind.engine.budget().buffers() > (CLIENTS * resumes.len()) as u64);
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    assert_eq!(behind.write(&mut log), 0);
    assert!(clients.iter().all(|client| client.read_one().contains(r#""start":"resumed""#)));
}

#[test]
fn what_is_ahead_is_unavailable_if_it_takes_too_long() {
    let (mut log, first, mut behind) = two(true);
    let entries = [&entry(&first, "t", 1), &entry(&first, "u", 1), r#""fresh""#, r#""a..b""#];
    let client = behind.client(&[&subscribe(&entries), r#"{"op":"publish","id":2,"topic":"v","data":1}"#]);
    behind.write(&mut log);
    behind.pass(STALE_MS - 200);
    let heartbeats = client.read_all().iter().filter(|text| text.contains(r#""op":"heartbeat""#)).count() as u64;
    assert_eq!(heartbeats, (STALE_MS - 200) / u64::from(HEARTBEAT_MS));
    assert!(client.read().is_empty());
    behind.pass(400);
    let text = client.read_one();
    assert!(text.contains(r#""topic":"t","#) && text.contains(r#""start":"resumed""#), "{text}");
    assert!(text.contains(r#""topic":"fresh","#) && !text.contains("reset"), "{text}");
    let (_, errors) = text.split_once(r#""errors":"#).expect("errors");
    assert!(errors.contains(r#"{"topic":"u","code":"unavailable","message":"this broker has not"#), "{errors}");
    assert!(errors.contains(r#""retry":true"#) && errors.matches("code").count() == 2, "{errors}");
    // The barrier comes back late, and the publish behind the subscription is on its way.
    behind.write(&mut log);
    while behind.read(&log, 1) {}
    behind.run();
    assert!(client.read().iter().any(|text| text.contains(r#""op":"published","id":2"#)));
    behind.shard.handle(behind.now(), client.conn, &subscribe(&[&entry(&first, "u", 1)]));
    behind.run();
    assert!(client.read_one().contains(r#""start":"resumed""#));
}

#[test]
fn a_barrier_that_is_too_late_counts_for_nobody() {
    let (mut log, mut first, mut behind) = two(true);
    let client = behind.client(&[&subscribe(&[&entry(&first, "t", 2)])]);
    behind.write(&mut log);
    behind.pass(STALE_MS + 200);
    assert!(client.read_one().contains("unavailable"));
    let late = log.clone();
    first.publish(r#"{"topic":"t","data":3}"#);
    first.write(&mut log);
    while first.read(&log, 1) {}
    // Behind the barrier that is still on its way.
    behind.shard.handle(behind.now(), client.conn, &subscribe(&[&entry(&first, "t", 3)]));
    while behind.read(&late, 1) {}
    behind.run();
    assert!(client.read().is_empty());
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    assert!(client.read_one().contains(r#""start":"resumed""#));
}

#[test]
fn it_is_unavailable_if_the_log_takes_nothing() {
    let (mut log, first, mut behind) = two(true);
    let resumes = subscribe(&[&entry(&first, "t", 2)]);
    let on_its_way = behind.client(&[&resumes]);
    behind.write(&mut log);
    let next = behind.client(&[&resumes]);
    behind.refuse();
    behind.run();
    let at_once = behind.client(&[&resumes]);
    for client in [on_its_way, next, at_once] {
        let text = client.read_one();
        assert!(text.contains("unavailable") && !text.contains("reset"), "{text}");
    }
    // What was on its way counts all the same. Nobody waits for it any more.
    behind.forget_waiting(&log);
    behind.open(&mut log);
    let again = behind.client(&[&resumes]);
    assert!(again.read_one().contains(r#""start":"resumed""#));
}

#[test]
fn a_stream_keeps_its_id_and_ends_if_it_takes_too_long() {
    for is_read in [true, false] {
        let (mut log, first, mut behind) = two(true);
        let client = behind.connect(true);
        let from = From::After(behind.engine.ordinal_of(id(&first)));
        behind.shard.request(behind.now(), client.conn, stream(from));
        behind.run();
        behind.write(&mut log);
        behind.pass(1000);
        assert_eq!((client.read(), client.pipe.borrow().id), (Vec::new(), None), "an id of this broker");
        if is_read {
            while behind.read(&log, 1) {}
            behind.run();
            assert!(client.read().iter().filter(|text| text.contains(r#""start":"resumed""#)).count() == 2);
            assert_eq!(client.pipe.borrow().id, Some(id(&behind)));
        } else {
            behind.pass(STALE_MS);
            assert_eq!(client.read(), ["closed Some(1001)"]);
            assert_eq!(client.pipe.borrow().id, None);
        }
    }
}

#[test]
fn what_never_was_begins_anew_after_one_barrier() {
    let (mut log, _, mut behind) = two(true);
    let resumes = subscribe(&[&entry(&behind, "t", 5)]);
    let client = behind.client(&[&resumes]);
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    let texts = client.read();
    assert!(texts[0].contains(r#""start":"reset""#), "{texts:#?}");
}

#[test]
fn what_is_of_another_log_begins_anew_at_once() {
    let (mut log, _, mut behind) = two(true);
    // No epoch, one of another nonce, an id of another time.
    let entries = [r#"{"topic":"t","epoch":"no epoch","seq":1}"#, r#"{"topic":"t","epoch":"LzQ1WqKk","seq":1}"#];
    for entry in entries {
        let client = behind.client(&[&subscribe(&[entry])]);
        assert!(client.read()[0].contains(r#""start":"reset""#));
    }
    let request = format!(r#"{{"op":"subscribe","id":1,"topics":["t"],"resume":"{}"}}"#, 1u64 << 52);
    let client = behind.client(&[&request]);
    assert!(client.read()[0].contains(r#""start":"history""#));
    assert_eq!(behind.write(&mut log), 0);
}

#[test]
fn alone_on_a_log_nobody_is_ahead() {
    let (mut log, first, mut behind) = two(false);
    let client = behind.client(&[&subscribe(&[&entry(&first, "t", 2)])]);
    assert!(client.read()[0].contains(r#""start":"reset""#));
    assert_eq!(behind.engine.ordinal_of(id(&first)), 0);
    assert_eq!(behind.write(&mut log), 0);
}

#[test]
fn one_that_hangs_up_leaves_nothing_behind() {
    let (mut log, first, mut behind) = two(true);
    let resumes = subscribe(&[&entry(&first, "t", 2)]);
    let gone = behind.client(&[&resumes]);
    behind.write(&mut log);
    behind.shard.disconnect(gone.conn);
    behind.run();
    // Its number is another client's by now, which has nothing to wait for, and then has.
    let client = behind.client(&[&subscribe(&[&entry(&first, "t", 1)])]);
    assert_eq!(client.conn, gone.conn);
    assert!(client.read_one().contains(r#""start":"resumed""#));
    behind.shard.handle(behind.now(), client.conn, &resumes);
    while behind.read(&log, 1) {}
    behind.run();
    let texts = client.read();
    assert!(!texts.iter().any(|text| text.contains("subscribed")), "the barrier of another: {texts:#?}");
    assert_eq!(behind.write(&mut log), 1);
    while behind.read(&log, 1) {}
    behind.run();
    assert!(client.read_one().contains(r#""start":"resumed""#));
    behind.shard.disconnect(client.conn);
    behind.run();
    assert_eq!(behind.engine.budget().buffers(), 0);
}

//! Resuming from an id.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::common::{Message, Running};
use crate::source::{Block, Source};

/// Returns an id that covers everything published so far, as a client of these topics gets it.
fn id_now(broker: &Running, query: &str) -> String {
    let mut source = Source::open(broker.listen, query, "");
    source.expect("hello");
    source.expect("subscribed");
    loop {
        broker.publish("marker", "event", "0");
        loop {
            let before = source.last_id.clone();
            match source.block() {
                Block::Event(text) if text.contains("\"topic\":\"marker\"") && text.contains("\"op\":\"update\"") => {
                    // If the marker was not the last of its turn, the next one will be.
                    if source.last_id != before {
                        return source.last_id;
                    }
                    break;
                }
                block => assert_ne!(block, Block::End),
            }
        }
    }
}

#[test]
fn every_topic_resumes_where_it_was() {
    let broker = Running::with(&[("retain_updates", "3")]);
    for topic in ["few", "many", "quiet", "fewstate", "manystate"] {
        broker.publish(topic, if topic.ends_with("state") { "state" } else { "event" }, "0");
    }
    let query = "topic=few&topic=many&topic=quiet&topic=fewstate&topic=manystate&topic=new&topic=newstate&topic=marker";
    let id = id_now(&broker, query);
    for n in 1..=2 {
        for (topic, kind) in [("few", "event"), ("fewstate", "state"), ("new", "event"), ("newstate", "state")] {
            broker.publish(topic, kind, &n.to_string());
        }
    }
    for n in 1..=10 {
        broker.publish("many", "event", &n.to_string());
        broker.publish("manystate", "state", &n.to_string());
    }
    for (query, header) in [(query.to_owned(), id.as_str()), (format!("{query}&resume={id}"), "")] {
        let mut source = Source::open(broker.listen, &query, header);
        source.expect("hello");
        let answer = source.expect("subscribed");
        let starts: BTreeMap<&str, &str> = answer.json["topics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["topic"].as_str().unwrap(), row["start"].as_str().unwrap()))
            .collect();
        assert_eq!(
            starts,
            BTreeMap::from([
                ("few", "resumed"),
                ("fewstate", "resumed"),
                ("many", "reset"),
                ("manystate", "reset"),
                ("quiet", "resumed"),
                ("new", "history"),
                ("newstate", "image"),
                ("marker", "resumed"),
            ])
        );
        broker.publish("marker", "event", "1");
        let mut received: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        // Twelve messages, in order within each topic only, and the marker's among them.
        while received.values().map(Vec::len).sum::<usize>() < 12 {
            let message = source.message();
            if message.json["topic"] == "marker" {
                continue;
            }
            received.entry(message.str("topic")).or_default().push(match message.op() {
                "gap" => json!([message.num("from"), message.num("to")]),
                "image" => json!({"image": message.json["data"]}),
                _ => message.json["data"].clone(),
            });
        }
        assert_eq!(
            json!(received),
            json!({
                "few": [1, 2], "fewstate": [1, 2], "new": [1, 2], "newstate": [{"image": 2}],
                // The last three of eleven are retained. The id does not say which of the others the client has.
                "many": [[1, 8], 8, 9, 10], "manystate": [{"image": 10}],
            })
        );
    }
}

#[test]
fn updates_without_subscribers_have_positions_too() {
    let broker = Running::start();
    broker.publish("s", "state", "1");
    broker.publish("s", "state", "2");
    let mut source = Source::open(broker.listen, "topic=later", "");
    source.expect("hello");
    source.expect("subscribed");
    let id = source.last_id;
    broker.publish("s", "state", "3");
    let mut source = Source::open(broker.listen, "topic=s", &id);
    source.expect("hello");
    assert!(source.expect("subscribed").has(&json!({"topics":[{"start":"resumed"}]})));
    assert!(source.expect("update").has(&json!({"seq":3,"data":3})));
}

#[test]
fn ids_of_other_runs_or_of_no_run_begin_anew() {
    let broker = Running::start();
    for n in 1..=3 {
        broker.publish("e", "event", &n.to_string());
        broker.publish("s", "state", &n.to_string());
    }
    for id in ["0", "1", "1700000000000000", "9007199254740991", "18446744073709551615"] {
        let mut source = Source::open(broker.listen, "topic=e&topic=s", id);
        source.last_id.clear();
        source.expect("hello");
        assert!(source.expect("subscribed").has(&json!({"topics":[{"start":"history"},{"start":"image"}]})), "{id}");
        let mut received: Vec<Value> = (0..4).map(|_| source.message().json["data"].clone()).collect();
        received.sort_by_key(|data| data.as_u64());
        assert_eq!(json!(received), json!([1, 2, 3, 3]), "{id}");
    }
}

/// A client's knowledge of a topic.
#[derive(Default)]
struct Known {
    epoch: String,
    seq: u64,
    /// The data of the last update or image.
    state: Option<u64>,
}

/// Checks continuity as `docs/protocol.md` defines it, over all of a client's connections.
#[derive(Default)]
struct Continuity {
    topics: BTreeMap<String, Known>,
    updates: u64,
    images: u64,
    lost: u64,
}

impl Continuity {
    fn start(&mut self, row: &Value) {
        let known = self.topics.entry(row["topic"].as_str().unwrap().to_owned()).or_default();
        let epoch = row["epoch"].as_str().unwrap_or_default();
        if known.epoch != epoch {
            *known = Known { epoch: epoch.to_owned(), ..Known::default() };
        }
        match row["start"].as_str().unwrap() {
            "resumed" => assert!(row["seq"].as_u64().unwrap() >= known.seq, "{row} with {}", known.seq),
            // Only a client that had nothing begins with these.
            "history" => assert_eq!(known.seq, 0, "{row}"),
            "live" if known.seq == 0 => known.seq = row["seq"].as_u64().unwrap(),
            _ => {}
        }
    }

    fn take(&mut self, message: &Message) {
        match message.op() {
            "hello" | "closed" => return,
            "subscribed" => return message.json["topics"].as_array().unwrap().iter().for_each(|row| self.start(row)),
            "topic" => return self.start(&message.json),
            _ => {}
        }
        let known = self.topics.get_mut(&message.str("topic")).expect("it was introduced");
        match message.op() {
            "update" => {
                assert_eq!(message.num("seq"), known.seq + 1, "{message:?}");
                known.seq += 1;
                known.state = message.json["data"].as_u64();
                self.updates += 1;
            }
            "image" => {
                assert!(message.num("seq") > known.seq, "{message:?} after {}", known.seq);
                known.seq = message.num("seq");
                known.state = message.json["data"].as_u64();
                self.images += 1;
            }
            "gap" => {
                // From an id alone the broker does not know what the client has: the gap may begin before that.
                assert!(message.num("from") <= known.seq + 1, "{message:?} after {}", known.seq);
                self.lost += message.num("to") - known.seq;
                known.seq = message.num("to");
            }
            _ => panic!("{message:?}"),
        }
    }
}

#[test]
fn everything_comes_once_however_often_the_connection_is_lost() {
    for (seed, retain) in [(1, "1000"), (2, "5")] {
        let broker = Running::with(&[("retain_updates", retain)]);
        let done = AtomicBool::new(false);
        let names = ["e.0", "e.1", "e.2", "s.0", "s.1", "s.2"];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = StdRng::seed_from_u64(seed);
                let mut publisher = broker.client();
                for n in 0..6_000 {
                    let name = names[random.random_range(0..names.len())];
                    let kind = if name.starts_with('e') { "event" } else { "state" };
                    publisher.say(&format!(r#"{{"op":"publish","topic":"{name}","kind":"{kind}","data":{n}}}"#));
                    if random.random_range(0..400) == 0 {
                        let name = names[random.random_range(0..names.len())];
                        broker.http(&format!("DELETE /v1/topics/{name}"), "");
                    }
                    if n % 20 == 0 {
                        publisher.say(r#"{"op":"ping"}"#);
                        publisher.expect("pong");
                    }
                }
                // Set before the last updates, so that a client that gets those sees it.
                done.store(true, Ordering::Release);
                for name in names {
                    let kind = if name.starts_with('e') { "event" } else { "state" };
                    publisher.say(&format!(r#"{{"op":"publish","topic":"{name}","kind":"{kind}","data":999999}}"#));
                }
                publisher.say(r#"{"op":"ping"}"#);
                publisher.expect("pong");
            });
            let mut random = StdRng::seed_from_u64(seed + 100);
            let mut continuity = Continuity::default();
            let (mut last_id, mut connections) = (String::new(), 0);
            loop {
                connections += 1;
                let mut source = Source::open(broker.listen, "topic=e.*&topic=s.0&topic=s.1&topic=s.2", &last_id);
                let mut left = random.random_range(1..300);
                // A client that is cut off gets again what came after its last id. This one leaves only when it has
                // just got an id.
                loop {
                    let before = source.last_id.clone();
                    match source.block() {
                        Block::Event(text) => continuity.take(&Message::parse(text)),
                        Block::Comment(_) | Block::Id => {}
                        Block::End => panic!("ended"),
                    }
                    left -= 1;
                    let at_an_id = source.last_id != before;
                    let finish = done.load(Ordering::Acquire);
                    let all = || {
                        names
                            .iter()
                            .all(|name| continuity.topics.get(*name).is_some_and(|known| known.state == Some(999_999)))
                    };
                    if finish && all() {
                        return assert!(
                            continuity.updates > 1_000 && connections > 5,
                            "{connections} connections, {} updates, {} images, {} lost",
                            continuity.updates,
                            continuity.images,
                            continuity.lost
                        );
                    }
                    if at_an_id && left <= 0 && !finish {
                        break;
                    }
                }
                last_id = source.last_id;
            }
        });
        broker.assert_settles();
    }
}

#[test]
fn an_id_in_the_url_resumes_like_one_in_the_header() {
    let broker = Running::start();
    broker.publish("away", "event", "0");
    let id = id_now(&broker, "topic=away&topic=marker");
    broker.publish("away", "event", "1");
    let latest = id_now(&broker, "topic=away&topic=marker");
    broker.publish("away", "event", "2");
    for (query, header, first) in [
        (format!("topic=away&resume={id}"), "", 2),
        (format!("topic=away&lastEventId={id}"), "", 2),
        // The id that a client sends by itself is newer than the one in the page's URL.
        (format!("topic=away&resume={id}&lastEventId={latest}"), "", 3),
        (format!("topic=away&lastEventId={id}"), latest.as_str(), 3),
        // An empty `lastEventId` means that there was no event yet.
        (format!("topic=away&resume={id}&lastEventId="), "", 2),
    ] {
        let mut source = Source::open(broker.listen, &query, header);
        source.expect("hello");
        let subscribed = source.expect("subscribed");
        assert_eq!(subscribed["topics"][0]["start"], "resumed", "{query} {header}");
        assert_eq!(source.expect("update")["seq"], first, "{query} {header}");
    }
}

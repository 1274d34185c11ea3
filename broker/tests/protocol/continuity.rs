//! "Continuity" of `docs/protocol.md`, as a client checks it: nothing of a topic is missing silently.

use std::collections::HashMap;

use crate::common::Message;

/// One client's knowledge of the topics that it follows.
#[derive(Default)]
pub(crate) struct Follower {
    topics: HashMap<String, Topic>,
    /// Updates that gaps named as lost, and those that images replaced.
    pub(crate) gap_updates: u64,
    pub(crate) skipped_updates: u64,
    pub(crate) images: u64,
    pub(crate) updates: u64,
}

#[derive(Debug)]
struct Topic {
    /// Everything up to this `seq` is known, or known to be lost. `None` if the next message decides.
    last: Option<u64>,
    /// An image of at least this `seq` has to come first.
    image_from: Option<u64>,
    data: String,
}

impl Follower {
    /// Takes the answer to a `subscribe`, or any message of a topic. Ignores other answers and heartbeats.
    #[track_caller]
    pub(crate) fn take(&mut self, message: &Message) {
        match message.op() {
            "subscribed" => {
                for start in message["topics"].as_array().unwrap() {
                    self.start(start);
                }
            }
            "topic" => self.start(&message.json),
            "image" => {
                let (seq, topic) = (message.num("seq"), self.topic(message));
                assert!(topic.image_from.is_none_or(|from| seq >= from), "{message:?} after {topic:?}");
                if let Some(last) = topic.last {
                    assert!(seq > last, "{message:?} after {last}");
                    let skipped = seq - last - 1;
                    topic.set(seq, message.data());
                    self.skipped_updates += skipped;
                } else {
                    topic.set(seq, message.data());
                }
                self.images += 1;
            }
            "update" | "patch" => {
                let seq = message.num("seq");
                let from = message["from"].as_u64().unwrap_or(seq);
                let topic = self.topic(message);
                assert!(topic.image_from.is_none(), "{message:?} instead of an image: {topic:?}");
                assert!(from <= seq, "{message:?}");
                if let Some(last) = topic.last {
                    assert_eq!(from, last + 1, "{message:?} after {last}");
                }
                topic.set(seq, message.data());
                self.updates += 1;
            }
            "gap" => {
                let (from, to) = (message.num("from"), message.num("to"));
                assert!(["slow", "expired"].contains(&message.str("reason").as_str()), "{message:?}");
                assert!(from <= to, "{message:?}");
                let topic = self.topic(message);
                if let Some(last) = topic.last {
                    assert_eq!(from, last + 1, "{message:?} after {last}");
                }
                topic.last = Some(to);
                self.gap_updates += to - from + 1;
            }
            "closed" => {}
            "pong" | "heartbeat" | "published" | "unsubscribed" | "subscriptions" | "goaway" => {}
            other => panic!("{other}: {message:?}"),
        }
    }

    fn start(&mut self, start: &serde_json::Value) {
        let name = start["topic"].as_str().unwrap().to_owned();
        let seq = start["seq"].as_u64().unwrap();
        let (last, image_from) = match start["start"].as_str().unwrap() {
            "live" => (Some(seq), None),
            "image" => (None, Some(seq)),
            "history" | "resumed" | "reset" => (None, None),
            other => panic!("{other}: {start}"),
        };
        self.topics.insert(name, Topic { last, image_from, data: String::new() });
    }

    #[track_caller]
    fn topic(&mut self, message: &Message) -> &mut Topic {
        self.topics.get_mut(&message.str("topic")).unwrap_or_else(|| panic!("before its start: {message:?}"))
    }

    /// Returns the last known `seq` of a topic, 0 if there is none.
    pub(crate) fn last(&self, topic: &str) -> u64 {
        self.topics.get(topic).and_then(|topic| topic.last).unwrap_or(0)
    }

    /// Returns the data of the topic's last message.
    pub(crate) fn data(&self, topic: &str) -> &str {
        &self.topics[topic].data
    }
}

impl Topic {
    fn set(&mut self, seq: u64, data: String) {
        (self.last, self.image_from, self.data) = (Some(seq), None, data);
    }
}

//! Random updates and requests.

use serde_json::json;

use super::asked::Request;
use super::offer::{Offer, Update};
use super::world::World;

const TOPICS: [&str; 6] = ["a", "b", "s.x", "s.y", "fixed.z", "e.long.name"];
/// Messages that are no requests, and their errors.
const WRONG: [(&str, &str); 3] =
    [("bad_json", r#"{"op":"#), ("unknown_op", r#""op":"sing""#), ("bad_request", r#""op":"publish","topic":"a""#)];

impl World {
    pub fn topic(&mut self) -> &'static str {
        self.dice.pick(&TOPICS)
    }

    /// An update, and its number.
    pub fn offer(&mut self) -> (usize, Offer) {
        let update = self.updates.len();
        let topic = match self.dice.range(0..40) {
            0 => "$SYS.own",
            1 => "a..b",
            _ => self.topic(),
        };
        let is_state = topic.starts_with('s') || topic.starts_with("fixed");
        let kind = match (self.dice.range(0..20), is_state) {
            (0, _) => Some(self.dice.pick(&["event", "state", "patch"])),
            (1..10, false) | (0..2, true) => None,
            (_, false) => Some("event"),
            (..10, true) => Some("state"),
            (_, true) => Some("patch"),
        };
        let data = match self.dice.range(0..10) {
            0 => json!({ "n": update, "long": "x".repeat(280) }),
            1 => json!({ "n": update, "x": null, "y": { "z": 1 } }),
            2 => json!({ "n": update, "y": { "z": null, "w": update } }),
            _ => json!({ "n": update, "x": self.dice.range(0..100) }),
        };
        let source = self.dice.percent(40).then(|| (format!("s{}", self.dice.range(0..3)), self.dice.range(0..60)));
        self.updates.push(Update {
            topic: topic.to_owned(),
            told: None,
            never: false,
            at_once: false,
            passed_us: None,
        });
        (update, Offer { topic: topic.to_owned(), kind, source, data, is_torn: false })
    }

    /// A request of a client.
    pub fn request(&mut self, id: usize) -> Request {
        let topic = self.topic().to_owned();
        match self.dice.range(0..24) {
            0..13 => {
                let (update, offer) = self.offer();
                Request::Publish(update, offer)
            }
            13..17 => {
                let len = self.dice.range(1..6);
                let mut lines: Vec<_> = (0..len).map(|_| self.offer()).collect();
                for (_, offer) in &mut lines {
                    offer.is_torn = self.dice.percent(8);
                }
                Request::Batch(lines)
            }
            17 | 18 => Request::Ping,
            19 => Request::List,
            20 => {
                let (code, fields) = self.dice.pick(&WRONG);
                Request::Wrong(code, fields)
            }
            _ if self.clients[id].planned.remove(&topic) => Request::Unsubscribe(vec![topic]),
            _ => {
                self.clients[id].planned.insert(topic.clone());
                Request::Subscribe(vec![topic])
            }
        }
    }
}

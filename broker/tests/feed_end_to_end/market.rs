//! The published feed, and the state that subscribers have to hold at the end, computed by running the scenario without
//! a broker.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use feed_player::publication::Kind;
use feed_scenarios::{Simulated, find};
use serde_json::Value;

const SEED: u64 = 11;
/// The number of matches at once; there are five times as many stocks.
const MATCHES: u32 = 8;

/// One topic after the whole run.
pub(crate) struct Topic {
    /// The number of its updates, which the broker numbers from 1.
    pub(crate) updates: u64,
    /// The merged state; for events the last one.
    pub(crate) state: Value,
    /// The fingerprint of each update of an `event` topic.
    pub(crate) events: Option<Vec<u64>>,
}

/// The simulator's own end state.
pub(crate) struct Market {
    pub(crate) topics: HashMap<String, Topic>,
}

impl Market {
    pub(crate) fn new(updates: u64) -> Market {
        let mut topics: HashMap<String, Topic> = HashMap::new();
        for timed in Market::feed_of_seed().take(updates as usize) {
            let publication = timed.expect("a simulated feed has no bad records").publication;
            let is_event = publication.kind == Kind::Event;
            let topic = topics.entry(publication.topic).or_insert_with(|| Topic {
                updates: 0,
                state: Value::Null,
                events: is_event.then(Vec::new),
            });
            topic.updates += 1;
            match publication.kind {
                Kind::Patch => merge(&mut topic.state, parse(&publication.data)),
                Kind::State => topic.state = parse(&publication.data),
                Kind::Event => {
                    topic.events.as_mut().expect("a topic is of one kind").push(fingerprint(&publication.data))
                }
            }
        }
        Market { topics }
    }

    /// The patterns that match every topic: one for each first segment.
    pub(crate) fn patterns(&self) -> BTreeSet<String> {
        let first = |topic: &String| topic.split('.').next().map(|segment| format!("{segment}.>"));
        self.topics.keys().filter_map(first).collect()
    }

    pub(crate) fn feed(&self) -> Simulated {
        Market::feed_of_seed()
    }

    fn feed_of_seed() -> Simulated {
        Simulated(find("demo").expect("in the catalogue").build(SEED, Some(MATCHES)))
    }
}

/// A hash that distinguishes texts.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Merges as the pseudo-code of RFC 7396 does.
pub(crate) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let object = target.as_object_mut().expect("made one above");
    for (name, value) in patch {
        if value.is_null() {
            object.shift_remove(&name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}

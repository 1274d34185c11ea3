//! What is published, and what there is to hold at the end: computed by running the scenario without a broker.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use feed_player::publication::Kind;
use feed_scenarios::{Simulated, find};
use serde_json::Value;

const SEED: u64 = 11;
/// Matches at once, and five times as many stocks.
const MATCHES: u32 = 8;

/// One topic after the whole run.
pub(crate) struct Topic {
    /// How many updates it had: the broker numbers them from 1.
    pub(crate) updates: u64,
    /// The merged state; of events the last one.
    pub(crate) state: Value,
    /// Of an `event` topic what each update says.
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

    /// What matches every topic: one pattern for each first segment.
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

/// Tells one text from another.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// RFC 7396, as its pseudo-code has it.
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

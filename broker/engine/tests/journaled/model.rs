//! The commands of the log, applied naively.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::offer::{Offer, Told};

/// One life of a topic.
#[derive(Debug)]
pub struct Epoch {
    pub name: String,
    pub is_event: bool,
    pub closed: bool,
    /// The data of its updates, and the state after each of them.
    pub updates: Vec<Value>,
    pub states: Vec<Value>,
    sources: HashMap<String, u64>,
    /// When it was last published to, on the monotonic clock in µs.
    pub last_us: u64,
}

impl Epoch {
    pub fn seq(&self) -> u64 {
        self.updates.len() as u64
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Published { seq: u64, duplicate: bool, begins: bool },
    Ended { seq: u64 },
    WentOn,
    Refused(&'static str),
}

/// All topics that ever were.
#[derive(Default)]
pub struct Model {
    pub topics: BTreeMap<String, Vec<Epoch>>,
    /// Every update in order: the topic and its `seq`.
    pub order: Vec<(String, u64)>,
    /// The settings stand in the log.
    pub has_settings: bool,
    names: BTreeSet<String>,
}

/// Maximum bytes of an image, by the settings.
pub const IMAGE_BYTES: u64 = 300;
/// The topics that are states by the settings.
pub const FIXED: &str = "fixed.";

impl Model {
    pub fn live(&self, topic: &str) -> Option<&Epoch> {
        self.topics.get(topic)?.last().filter(|epoch| !epoch.closed)
    }

    pub fn live_len(&self) -> u64 {
        self.topics.keys().filter(|name| self.live(name).is_some()).count() as u64
    }

    /// The index of an epoch among those of its topic.
    pub fn epoch(&self, topic: &str, name: &str) -> Result<usize, String> {
        let at = self.topics.get(topic).and_then(|epochs| epochs.iter().position(|epoch| epoch.name == name));
        at.ok_or_else(|| format!("{topic} never had the epoch {name}"))
    }

    pub fn publish(&mut self, offer: &Offer, now_us: u64) -> Outcome {
        let fixed = (self.has_settings && offer.topic.starts_with(FIXED)).then_some(false);
        let image_bytes = if self.has_settings { IMAGE_BYTES } else { u64::MAX };
        let given = offer.kind.map(|kind| kind == "event");
        let epochs = self.topics.entry(offer.topic.clone()).or_default();
        let live = epochs.last_mut().filter(|epoch| !epoch.closed);
        let own = live.as_ref().map(|epoch| epoch.is_event).or(fixed);
        if own.is_some() && given.is_some() && own != given {
            return Outcome::Refused("kind_mismatch");
        }
        let is_event = own.or(given).unwrap_or(true);
        if let (Some(epoch), Some((source, number))) = (&live, &offer.source)
            && epoch.sources.get(source).is_some_and(|last| number <= last)
        {
            return Outcome::Published { seq: epoch.seq(), duplicate: true, begins: false };
        }
        let before = live.as_ref().and_then(|epoch| epoch.states.last());
        let state = match (offer.kind, before) {
            (Some("patch"), None) => return Outcome::Refused("no_state"),
            (Some("patch"), Some(before)) => merged(before, &offer.data),
            _ => offer.data.clone(),
        };
        if !is_event && state.to_string().len() as u64 > image_bytes {
            return Outcome::Refused("too_large");
        }
        let begins = live.is_none();
        if begins {
            let (updates, states, sources) = Default::default();
            let name = String::new();
            epochs.push(Epoch { name, is_event, closed: false, updates, states, sources, last_us: 0 });
        }
        let Some(epoch) = epochs.last_mut() else { unreachable!("one was added") };
        epoch.updates.push(offer.data.clone());
        epoch.states.push(state);
        epoch.last_us = now_us;
        if let Some((source, number)) = &offer.source {
            epoch.sources.insert(source.clone(), *number);
        }
        let seq = epoch.seq();
        self.order.push((offer.topic.clone(), seq));
        Outcome::Published { seq, duplicate: false, begins }
    }

    pub fn end(&mut self, topic: &str, only: Option<(&str, u64)>) -> Outcome {
        let live = self.topics.get_mut(topic).and_then(|epochs| epochs.last_mut()).filter(|epoch| !epoch.closed);
        let Some(epoch) = live else { return Outcome::Refused("not_found") };
        if only.is_some_and(|only| only != (epoch.name.as_str(), epoch.seq())) {
            return Outcome::WentOn;
        }
        epoch.closed = true;
        Outcome::Ended { seq: epoch.seq() }
    }

    /// Learns the name of a topic's newest epoch, which nothing else ever had.
    pub fn learn(&mut self, topic: &str, name: &str) -> Result<(), String> {
        let newest = self.topics.get_mut(topic).and_then(|epochs| epochs.last_mut()).ok_or("no such topic")?;
        newest.name = name.to_owned();
        if self.names.insert(name.to_owned()) { Ok(()) } else { Err(format!("{topic} has the epoch of another")) }
    }

    /// What the publisher of an update is told.
    pub fn told(&self, topic: &str, outcome: &Outcome) -> Told {
        match outcome {
            Outcome::Published { seq, duplicate, .. } => {
                let epoch = self.topics[topic].last().map(|epoch| epoch.name.clone()).unwrap_or_default();
                Told::Done { epoch, seq: *seq, duplicate: *duplicate }
            }
            Outcome::Refused(code) => Told::Refused(code),
            Outcome::Ended { .. } | Outcome::WentOn => unreachable!("it is no end"),
        }
    }
}

/// RFC 7396.
fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = target.as_object().cloned().unwrap_or_else(Map::new);
    for (key, value) in patch {
        if value.is_null() {
            merged.remove(key);
        } else {
            let before = merged.remove(key).unwrap_or(Value::Null);
            merged.insert(key.clone(), self::merged(&before, value));
        }
    }
    Value::Object(merged)
}

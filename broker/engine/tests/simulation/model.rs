//! The truth about every topic, kept naively: every update and every merged state of every epoch.

use std::collections::BTreeMap;

use broker_engine::{Limits, Now, Retain};
use broker_protocol::kind::Kind;
use serde_json::Value;

/// One accepted update.
pub struct Update {
    pub kind: Kind,
    /// As it must arrive: compact.
    pub data: String,
    /// The merged state after it, if the topic has one.
    pub state: Option<Value>,
    /// The wall clock when it was taken, but never less than the topic's update before it.
    pub ts: u64,
    /// The monotonic clock when it was taken: lifetimes are counted from here.
    mono_us: u64,
    pub source_ts: Option<u64>,
    /// Its number among the updates of all topics.
    pub index: u64,
}

/// One incarnation of a topic.
pub struct Epoch {
    /// Its name on the wire; empty until the model learns it.
    pub name: String,
    pub kind: Kind,
    pub updates: Vec<Update>,
    pub closed: bool,
    /// The oldest update that is retained, if neither bytes nor a shared sum bound the history.
    pub oldest: u64,
    sources: Vec<(String, u64)>,
}

impl Epoch {
    pub fn seq(&self) -> u64 {
        self.updates.len() as u64
    }

    pub fn has_image(&self) -> bool {
        self.kind != Kind::Event
    }

    pub fn update(&self, seq: u64) -> Option<&Update> {
        self.updates.get(seq.checked_sub(1)? as usize)
    }

    /// Whether a patch is among the updates up to `seq`.
    pub fn has_patches(&self, seq: u64) -> bool {
        self.updates.iter().take(seq as usize).any(|update| update.kind == Kind::Patch)
    }

    fn last_ts(&self) -> u64 {
        self.updates.last().map_or(0, |update| update.ts)
    }

    fn is_idle(&self, now_us: u64, idle_ms: u64) -> bool {
        let last_us = self.updates.last().map_or(0, |update| update.mono_us);
        idle_ms > 0 && now_us - last_us > idle_ms * 1000
    }

    /// Drops what is too old, or more than is kept.
    fn trim(&mut self, retain: &Retain, now_us: u64) {
        let too_old = |update: &&Update| retain.ms > 0 && now_us - update.mono_us > retain.ms * 1000;
        let too_old = self.updates.iter().take_while(too_old).count() as u64;
        self.oldest = self.oldest.max(too_old.max(self.seq().saturating_sub(retain.updates)) + 1);
    }
}

/// An update offered to the broker.
#[derive(Clone, Debug)]
pub struct Offer {
    pub topic: String,
    pub kind: Option<Kind>,
    pub data: Value,
    pub source: Option<(String, u64)>,
    pub source_ts: Option<u64>,
    /// Written with white space.
    pub pretty: bool,
}

impl Offer {
    /// The fields of the update, as written in `publish`, in a batch or on a line.
    pub fn fields(&self) -> String {
        let data =
            if self.pretty { serde_json::to_string_pretty(&self.data) } else { serde_json::to_string(&self.data) };
        let mut text = format!("\"topic\":\"{}\",\"data\":{}", self.topic, data.expect("a value is JSON"));
        if let Some(kind) = self.kind {
            text += &format!(",\"kind\":\"{}\"", kind.as_str());
        }
        if let Some((source, seq)) = &self.source {
            text += &format!(",\"source\":\"{source}\",\"source_seq\":{seq}");
        }
        if let Some(ts) = self.source_ts {
            text += &format!(",\"source_ts\":{ts}");
        }
        text
    }
}

/// The expected result of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken { seq: u64 },
    Duplicate { seq: u64 },
    Refused(&'static str),
}

#[derive(Default)]
pub struct Model {
    pub topics: BTreeMap<String, Vec<Epoch>>,
    /// Updates of all topics so far.
    pub updates: u64,
}

impl Model {
    /// The live incarnation of a name.
    pub fn live(&self, name: &str) -> Option<&Epoch> {
        self.topics.get(name)?.last().filter(|epoch| !epoch.closed)
    }

    fn live_mut(&mut self, name: &str) -> Option<&mut Epoch> {
        self.topics.get_mut(name)?.last_mut().filter(|epoch| !epoch.closed)
    }

    /// The incarnation of a name with this epoch on the wire, and its index.
    pub fn epoch(&self, name: &str, epoch: &str) -> Option<(usize, &Epoch)> {
        self.topics.get(name)?.iter().enumerate().find(|(_, held)| held.name == epoch)
    }

    pub fn live_names(&self) -> impl Iterator<Item = &String> {
        self.topics.keys().filter(|name| self.live(name).is_some())
    }

    /// Accepts an offer, or returns why not.
    pub fn publish(&mut self, limits: &Limits, now: Now, offer: &Offer) -> Outcome {
        let rule = limits.topics.iter().find(|rule| super::subscriptions::matches(rule.pattern.as_str(), &offer.topic));
        let own = self.live(&offer.topic).map(|epoch| epoch.kind);
        let new = own.is_none();
        // A topic has the kind of events or of states, which patches change.
        let own = own.or(rule.and_then(|rule| rule.kind)).or(offer.kind).unwrap_or(Kind::Event);
        let own = if own == Kind::Patch { Kind::State } else { own };
        let kind = offer.kind.unwrap_or(own);
        if (kind == Kind::Event) != (own == Kind::Event) {
            return Outcome::Refused("kind_mismatch");
        }
        if new && kind == Kind::Patch {
            return Outcome::Refused("no_state");
        }
        let held = self.live(&offer.topic);
        if let (Some(epoch), Some((source, seq))) = (held, &offer.source)
            && epoch.sources.iter().any(|(name, last)| name == source && seq <= last)
        {
            let seq = epoch.seq();
            self.use_source(&offer.topic, source, None);
            return Outcome::Duplicate { seq };
        }
        let state = match kind {
            Kind::Event => None,
            Kind::State => Some(offer.data.clone()),
            Kind::Patch => {
                let mut state = held.and_then(|epoch| epoch.updates.last()?.state.clone()).unwrap_or(Value::Null);
                merge(&mut state, &offer.data);
                Some(state)
            }
        };
        if state.as_ref().is_some_and(|state| state.to_string().len() as u64 > limits.image_bytes) {
            return Outcome::Refused("too_large");
        }
        if new && self.live_names().count() as u64 >= limits.topics_max {
            return Outcome::Refused("limit");
        }
        if new {
            let (name, updates, sources) = (String::new(), Vec::new(), Vec::new());
            let epoch = Epoch { name, kind: own, updates, closed: false, oldest: 1, sources };
            self.topics.entry(offer.topic.clone()).or_default().push(epoch);
        }
        if let Some((source, seq)) = &offer.source {
            self.use_source(&offer.topic, source, Some(*seq));
        }
        self.updates += 1;
        let (index, data, source_ts) = (self.updates, offer.data.to_string(), offer.source_ts);
        let epoch = self.live_mut(&offer.topic).expect("it is live by now");
        let (ts, mono_us) = (now.wall_us.max(epoch.last_ts()), now.mono_us);
        epoch.updates.push(Update { kind, data, state, ts, mono_us, source_ts, index });
        epoch.trim(retain(limits, &offer.topic), mono_us);
        Outcome::Taken { seq: epoch.seq() }
    }

    /// Moves the source to the end of the sixteen most recently used.
    fn use_source(&mut self, topic: &str, source: &str, seq: Option<u64>) {
        let Some(epoch) = self.live_mut(topic) else { return };
        let at = epoch.sources.iter().position(|(name, _)| name == source);
        let held = at.map(|at| epoch.sources.remove(at).1).unwrap_or_default();
        epoch.sources.push((source.to_owned(), seq.unwrap_or(held)));
        if epoch.sources.len() > 16 {
            epoch.sources.remove(0);
        }
    }

    /// Learns the epoch of a name's newest incarnation.
    pub fn learn(&mut self, name: &str, epoch: &str) -> Result<(), String> {
        let epochs = self.topics.get_mut(name).ok_or_else(|| format!("{name} was never published"))?;
        if let Some(held) = epochs.iter().rev().skip(1).find(|held| held.name == epoch) {
            return Err(format!("{name} began again under its old epoch {}", held.name));
        }
        let last = epochs.last_mut().expect("an entry has an epoch");
        if last.name.is_empty() {
            last.name = epoch.to_owned();
        }
        if last.name == epoch { Ok(()) } else { Err(format!("{name} is in epoch {}, not {epoch}", last.name)) }
    }

    /// Ends a topic; returns its newest `seq` if there was one.
    pub fn delete(&mut self, name: &str) -> Option<u64> {
        let epoch = self.live_mut(name)?;
        epoch.closed = true;
        Some(epoch.seq())
    }

    /// Drops what is too old of the next `count` topics after `after`, and ends those that were idle for too long.
    pub fn tidy(&mut self, limits: &Limits, now: Now, after: Option<&str>, count: usize) {
        let names: Vec<String> = self
            .live_names()
            .filter(|name| after.is_none_or(|after| name.as_str() > after))
            .take(count)
            .cloned()
            .collect();
        for name in names {
            let epoch = self.live_mut(&name).expect("it was listed as live");
            epoch.trim(retain(limits, &name), now.mono_us);
            epoch.closed |= epoch.is_idle(now.mono_us, limits.topic_idle_ms);
        }
    }
}

/// How much is kept of a topic.
pub fn retain<'a>(limits: &'a Limits, topic: &str) -> &'a Retain {
    let rule = limits.topics.iter().find(|rule| super::subscriptions::matches(rule.pattern.as_str(), topic));
    rule.map_or(&limits.retain, |rule| &rule.retain)
}

/// RFC 7396, word for word.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let members = target.as_object_mut().expect("it was made one");
    for (key, value) in patch {
        if value.is_null() {
            members.shift_remove(key);
        } else {
            merge(members.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

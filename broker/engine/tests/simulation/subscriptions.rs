//! What a connection is subscribed to, and which of its subscriptions applies to a topic: PROTOCOL §3, naively.

use broker_protocol::kind::Kind;

use super::permit::Permit;

/// The options of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub from: From,
    /// As it was asked for.
    pub asked_ms: u64,
    /// As it takes effect: a step of the ladder.
    pub conflate_ms: u64,
    pub on_slow: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Image,
    Live,
    Last(u64),
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub entry: String,
    pub options: Options,
    order: u64,
}

impl Subscription {
    /// The interval in effect on a topic of this kind.
    pub fn conflate_ms(&self, kind: Kind) -> u64 {
        if kind == Kind::Event { 0 } else { self.options.conflate_ms }
    }
}

#[derive(Clone, Default)]
pub struct Subscriptions {
    pub all: Vec<Subscription>,
    /// What the client may do, if it may not do everything.
    pub permit: Option<Permit>,
    next: u64,
}

impl Subscriptions {
    /// Adds or replaces; returns false if there would be more than `max`.
    pub fn put(&mut self, entry: &str, options: Options, max: u64) -> bool {
        let held = self.all.iter().position(|held| held.entry == entry);
        if held.is_none() && self.all.len() as u64 >= max {
            return false;
        }
        if let Some(at) = held {
            self.all.remove(at);
        }
        self.all.push(Subscription { entry: entry.to_owned(), options, order: self.next });
        self.next += 1;
        true
    }

    pub fn remove(&mut self, entry: &str) {
        self.all.retain(|held| held.entry != entry);
    }

    /// The most specific subscription that covers a topic.
    pub fn best(&self, topic: &str) -> Option<&Subscription> {
        if self.denies(topic) {
            return None;
        }
        self.all.iter().filter(|held| matches(&held.entry, topic)).max_by_key(|held| (rank(&held.entry), held.order))
    }

    pub fn denies(&self, topic: &str) -> bool {
        self.permit.as_ref().is_some_and(|permit| permit.denies(topic))
    }

    pub fn may_subscribe(&self, entry: &str) -> bool {
        self.permit.as_ref().is_none_or(|permit| permit.may_subscribe(entry))
    }

    /// Applies other permissions. Returns the entries that end.
    pub fn permit(&mut self, permit: Permit) -> Vec<String> {
        let (kept, ended) = self.all.drain(..).partition(|held| permit.may_subscribe(&held.entry));
        (self.all, self.permit) = (kept, Some(permit));
        ended.into_iter().map(|held: Subscription| held.entry).collect()
    }

    /// The number of subscriptions that cover a topic.
    pub fn count(&self, topic: &str) -> u64 {
        self.all.iter().filter(|held| matches(&held.entry, topic)).count() as u64
    }
}

pub fn is_pattern(entry: &str) -> bool {
    entry.contains(['*', '>'])
}

/// A full name ranks above a pattern, then more literal segments, then the leftmost literal.
fn rank(entry: &str) -> (bool, usize, Vec<bool>) {
    let literals: Vec<bool> = entry.split('.').map(|segment| segment != "*" && segment != ">").collect();
    let mut padded = literals.clone();
    padded.resize(16, false);
    (!is_pattern(entry), literals.iter().filter(|literal| **literal).count(), padded)
}

/// Whether an entry matches a topic.
pub fn matches(entry: &str, topic: &str) -> bool {
    let (entry, topic): (Vec<&str>, Vec<&str>) = (entry.split('.').collect(), topic.split('.').collect());
    if topic[0].starts_with('$') && entry[0] != topic[0] {
        return false;
    }
    for (at, segment) in entry.iter().enumerate() {
        match (*segment, topic.get(at)) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (literal, Some(name)) if literal == *name => {}
            _ => return false,
        }
    }
    entry.len() == topic.len()
}

/// An interval as it takes effect.
pub fn round_up(conflate_ms: u64) -> u64 {
    const LADDER: [u64; 12] = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];
    match conflate_ms {
        0 => 0,
        _ => LADDER.into_iter().find(|step| *step >= conflate_ms).unwrap_or(60_000),
    }
}

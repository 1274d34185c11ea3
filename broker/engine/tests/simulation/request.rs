//! What clients ask, and what the answer must be as of the time when the broker read it.

use broker_engine::{Ask, Engine, Limits};

use super::model::{Model, Offer, Outcome};
use super::permit::Permit;
use super::start::{resume, start};
use super::stream::Expect;
use super::subscriptions::{From, Options, Subscriptions, is_pattern, matches};

#[derive(Clone, Debug)]
pub enum Entry {
    Plain(String),
    Resume { topic: String, epoch: String, seq: u64 },
}

impl Entry {
    pub fn name(&self) -> &str {
        match self {
            Entry::Plain(name) | Entry::Resume { topic: name, .. } => name,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Request {
    Subscribe { entries: Vec<Entry>, options: Options },
    Unsubscribe(Vec<String>),
    Publish(Offer),
    Batch(Vec<Offer>),
    List,
    Ping,
}

impl Request {
    pub fn text(&self, id: u64) -> String {
        let body = match self {
            Request::Subscribe { entries, options } => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| match entry {
                        Entry::Plain(name) => format!("\"{name}\""),
                        Entry::Resume { topic, epoch, seq } => {
                            format!("{{\"topic\":\"{topic}\",\"epoch\":\"{epoch}\",\"seq\":{seq}}}")
                        }
                    })
                    .collect();
                let from = match options.from {
                    From::Image => "\"image\"".to_owned(),
                    From::Live => "\"live\"".to_owned(),
                    From::Last(updates) => format!("{{\"last\":{updates}}}"),
                };
                let (conflate_ms, on_slow) = (options.asked_ms, options.on_slow);
                let topics = entries.join(",");
                format!(
                    "\"op\":\"subscribe\",\"topics\":[{topics}],\"from\":{from},\"conflate_ms\":{conflate_ms},\
                     \"on_slow\":\"{on_slow}\""
                )
            }
            Request::Unsubscribe(entries) => {
                format!("\"op\":\"unsubscribe\",\"topics\":[\"{}\"]", entries.join("\",\""))
            }
            Request::Publish(offer) => format!("\"op\":\"publish\",{}", offer.fields()),
            Request::Batch(offers) => {
                let offers: Vec<String> = offers.iter().map(|offer| format!("{{{}}}", offer.fields())).collect();
                format!("\"op\":\"publish\",\"batch\":[{}]", offers.join(","))
            }
            Request::List => "\"op\":\"list\"".to_owned(),
            Request::Ping => "\"op\":\"ping\"".to_owned(),
        };
        format!("{{{body},\"id\":{id}}}")
    }
}

/// A topic's start as the answer must give it.
#[derive(Clone, Debug)]
pub struct Begun {
    pub name: String,
    /// The index of the incarnation, and its name; `None` if the topic is waited for.
    pub epoch: Option<(usize, String)>,
    pub kind: Option<&'static str>,
    pub seq: u64,
    pub oldest: u64,
    pub start: &'static str,
    pub expect: Expect,
    pub conflate_ms: u64,
}

/// The expected answer.
#[derive(Debug)]
pub enum Answer {
    Subscribed {
        /// Entries that took effect, in order.
        effective: Vec<String>,
        options: Options,
        topics: Vec<Begun>,
        patterns: Vec<(String, u64)>,
        errors: Vec<(String, &'static str)>,
        /// The entries of `topics`, if the broker did not execute the request at once: then they count from a later
        /// time.
        deferred: Option<Vec<Entry>>,
        /// A sum of all connections may have had no room for some of them.
        may_lack_room: bool,
    },
    Unsubscribed(Vec<String>),
    Published {
        topic: String,
        epoch: String,
        seq: u64,
        duplicate: bool,
    },
    Refused(&'static str),
    Batch {
        accepted: u64,
        duplicates: u64,
        rejected: Vec<(u64, &'static str)>,
    },
    List(Vec<(String, u64, &'static str)>),
    Pong,
    /// Other permissions, after an error for everything that ended by them.
    Authenticated(Permit),
}

/// What the answer must be to a `subscribe` that is being read now. The new subscriptions are added to `held`.
pub fn subscribed(
    model: &Model,
    engine: &Engine,
    limits: &Limits,
    held: &mut Subscriptions,
    entries: &[Entry],
    options: Options,
) -> Answer {
    let (mut effective, mut topics, mut patterns, mut errors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let name = entry.name().to_owned();
        if name.split('.').any(str::is_empty) || name.contains(">.") {
            errors.push((name.clone(), if is_pattern(&name) { "bad_pattern" } else { "bad_topic" }));
        } else if !held.may_subscribe(&name) {
            errors.push((name, "forbidden"));
        } else if !held.put(&name, options, limits.subscriptions) {
            errors.push((name, "limit"));
        } else {
            effective.push(name.clone());
            if is_pattern(&name) {
                let matched =
                    model.live_names().filter(|topic| matches(&name, topic) && !held.denies(topic)).count() as u64;
                patterns.push((name, matched));
            } else {
                topics.push(begun(model, engine, entry, name, options));
            }
        }
    }
    Answer::Subscribed { effective, options, topics, patterns, errors, deferred: None, may_lack_room: false }
}

fn begun(model: &Model, engine: &Engine, entry: &Entry, name: String, options: Options) -> Begun {
    let oldest = engine.history(&name, Ask::Last(0)).map_or(1, |page| page.oldest);
    let live = model.live(&name).map(|epoch| (model.topics[&name].len() - 1, epoch.seq(), oldest));
    begun_at(model, live, entry, name, options)
}

/// How an entry begins if its topic is in an incarnation at some `seq`, with some `oldest`.
pub fn begun_at(
    model: &Model,
    live: Option<(usize, u64, u64)>,
    entry: &Entry,
    name: String,
    options: Options,
) -> Begun {
    let Some((at, seq, oldest)) = live else {
        let start = if matches!(entry, Entry::Resume { .. }) { "reset" } else { "live" };
        let (conflate_ms, expect) = (options.conflate_ms, Expect::Next(1));
        return Begun { name, epoch: None, kind: None, seq: 0, oldest: 1, start, expect, conflate_ms };
    };
    let epoch = &model.topics[&name][at];
    let conflate_ms = if epoch.has_image() { options.conflate_ms } else { 0 };
    let (start, expect) = match entry {
        Entry::Plain(_) => start(epoch, seq, oldest, options.from, conflate_ms),
        Entry::Resume { epoch: had, seq: has, .. } => resume(epoch, seq, oldest, (had, *has), conflate_ms),
    };
    let (epoch, kind) = (Some((at, epoch.name.clone())), Some(epoch.kind.as_str()));
    Begun { name, epoch, kind, seq, oldest, start, expect, conflate_ms }
}

/// What the answer to a single publish must be.
pub fn published(model: &Model, offer: &Offer, outcome: &Outcome) -> Answer {
    let (seq, duplicate) = match outcome {
        Outcome::Taken { seq } => (*seq, false),
        Outcome::Duplicate { seq } => (*seq, true),
        Outcome::Refused(code) => return Answer::Refused(code),
    };
    let epoch = model.live(&offer.topic).map(|epoch| epoch.name.clone()).unwrap_or_default();
    Answer::Published { topic: offer.topic.clone(), epoch, seq, duplicate }
}

/// What the answer to a batch must be.
pub fn batch(outcomes: &[Outcome]) -> Answer {
    let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Taken { .. } => accepted += 1,
            Outcome::Duplicate { .. } => (accepted, duplicates) = (accepted + 1, duplicates + 1),
            Outcome::Refused(code) => rejected.push((index as u64, *code)),
        }
    }
    Answer::Batch { accepted, duplicates, rejected }
}

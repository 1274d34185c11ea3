//! What is published and requested: topics of a small tree, so that patterns overlap; data of every kind and size.

use broker_engine::{Limits, Retain, TopicRule};
use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::dice::Dice;
use super::model::Offer;
use super::request::{Entry, Request};
use super::subscriptions::{From, Options, round_up};

pub const NAMES: [&str; 11] = ["a", "a.b", "a.c", "a.b.x", "a.c.x", "b.a", "b.b", "b.b.x", "c", "c.d.e.f", "a.b.y"];
const PATTERNS: [&str; 15] =
    [">", "*", "a.*", "a.>", "*.b", "*.*", "*.b.>", "a.*.x", "*.b.x", "b.>", "b.*", "*.c.x", "c.>", "*.*.x", "a.b.>"];

/// What stays the same throughout a history.
pub struct Habits {
    kinds: Vec<Kind>,
    /// Number of names in use: few, so that much happens to each.
    names: usize,
    /// Bytes of a long text.
    long_bytes: u64,
    source_seq: u64,
}

impl Habits {
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            kinds: NAMES.iter().map(|_| dice.pick(&[Kind::Event, Kind::State, Kind::Patch])).collect(),
            names: dice.range(2..NAMES.len() as u64 + 1) as usize,
            long_bytes: dice.pick(&[100, 600, 3000]),
            source_seq: 0,
        }
    }

    pub fn name(&self, dice: &mut Dice) -> String {
        NAMES[dice.index(self.names)].to_owned()
    }

    pub fn offer(&mut self, dice: &mut Dice) -> Offer {
        let at = dice.index(self.names);
        let own = self.kinds[at];
        let kind = match dice.range(0..20) {
            0 => Some(dice.pick(&[Kind::Event, Kind::State, Kind::Patch])),
            1 | 2 => None,
            3 | 4 if own != Kind::Event => Some(dice.pick(&[Kind::State, Kind::Patch])),
            // A topic that grows by patches begins with a state.
            5..8 if own == Kind::Patch => Some(Kind::State),
            _ => Some(own),
        };
        let data = match kind {
            Some(Kind::Patch) => self.object(dice, 0, true),
            _ if dice.percent(85) => self.object(dice, 0, false),
            _ => self.leaf(dice),
        };
        let source = dice.percent(12).then(|| {
            self.source_seq += 1;
            let seq = if dice.percent(30) { self.source_seq.saturating_sub(dice.range(0..8)) } else { self.source_seq };
            (format!("s{}", dice.range(0..18)), seq)
        });
        let source_ts = dice.percent(10).then(|| dice.range(0..1 << 50));
        Offer { topic: NAMES[at].to_owned(), kind, data, source, source_ts, pretty: dice.percent(5) }
    }

    fn leaf(&self, dice: &mut Dice) -> Value {
        match dice.range(0..8) {
            0 => json!(true),
            1 => json!([1, null, {"k": null}]),
            2 => json!("é\"\\\n"),
            3 if dice.percent(40) => json!("x".repeat(dice.range(0..self.long_bytes) as usize)),
            // More digits than a machine number would keep.
            _ => serde_json::from_str(&format!("{}.{}0", dice.range(0..200), dice.range(0..100))).expect("a number"),
        }
    }

    fn object(&self, dice: &mut Dice, level: u32, patch: bool) -> Value {
        let mut members = Map::new();
        for _ in 0..dice.range(0..4) {
            let key = format!("k{}", dice.range(0..5));
            let value = match dice.range(0..10) {
                0..3 if patch => Value::Null,
                3 if !patch => Value::Null,
                4 | 5 if level < 2 => self.object(dice, level + 1, patch),
                _ => self.leaf(dice),
            };
            members.insert(key, value);
        }
        Value::Object(members)
    }

    pub fn request(&mut self, dice: &mut Dice, client: &Client) -> Request {
        match dice.weighted(&[40, 18, 22, 6, 7, 7]) {
            0 => Request::Subscribe {
                entries: (0..dice.range(1..4)).map(|_| self.entry(dice, client)).collect(),
                options: options(dice),
            },
            1 => Request::Unsubscribe(
                (0..dice.range(1..3))
                    .map(|_| match client.held.all.is_empty() || dice.percent(15) {
                        true => self.entry(dice, client).name().to_owned(),
                        false => client.held.all[dice.index(client.held.all.len())].entry.clone(),
                    })
                    .filter(|entry| !entry.contains("..") && !entry.contains(">."))
                    .collect(),
            ),
            2 => Request::Publish(self.offer(dice)),
            3 => Request::Batch((0..dice.range(1..5)).map(|_| self.offer(dice)).collect()),
            4 => Request::List,
            _ => Request::Ping,
        }
    }

    fn entry(&self, dice: &mut Dice, client: &Client) -> Entry {
        match dice.range(0..20) {
            0 => Entry::Plain(dice.pick(&["a..b", ">.a"]).to_owned()),
            1..9 => Entry::Plain(dice.pick(&PATTERNS).to_owned()),
            9..13 => resuming(dice, client).unwrap_or_else(|| Entry::Plain(self.name(dice))),
            _ => Entry::Plain(self.name(dice)),
        }
    }
}

/// An entry that usually continues from what the client has.
fn resuming(dice: &mut Dice, client: &Client) -> Option<Entry> {
    let known: Vec<_> =
        client.streams.iter().chain(&client.remembered).filter(|(_, stream)| !stream.epoch.is_empty()).collect();
    if known.is_empty() {
        return None;
    }
    let (topic, stream) = known[dice.index(known.len())];
    let epoch = if dice.percent(5) { "never".to_owned() } else { stream.epoch.clone() };
    let seq = if dice.percent(15) { dice.range(0..stream.last + 4) } else { stream.last };
    Some(Entry::Resume { topic: topic.clone(), epoch, seq })
}

/// The entries with which a client that lost its connection comes back.
pub fn resume_entries(client: &Client) -> Vec<Entry> {
    let entry = |entry: &String| match client.streams.get(entry).filter(|stream| !stream.epoch.is_empty()) {
        Some(stream) => Entry::Resume { topic: entry.clone(), epoch: stream.epoch.clone(), seq: stream.last },
        None => Entry::Plain(entry.clone()),
    };
    client.known.all.iter().map(|held| entry(&held.entry)).collect()
}

pub fn options(dice: &mut Dice) -> Options {
    let from = match dice.range(0..20) {
        0..9 => From::Image,
        9..13 => From::Live,
        _ => From::Last(dice.range(0..9)),
    };
    let asked_ms = if dice.percent(65) { 0 } else { dice.pick(&[1, 10, 15, 50, 100, 150, 500, 1000, 3000]) };
    let on_slow = ["conflate", "retain", "disconnect"][dice.weighted(&[60, 25, 15])];
    Options { from, asked_ms, conflate_ms: round_up(asked_ms), on_slow }
}

/// The bound on all images together, if it is to be reached.
pub const IMAGES_FEW: u64 = 1500;

/// From this seed on the ring is so small that it wraps around again and again, under readers for which much may wait.
pub const SMALL_RING_FROM: u64 = 100_000;

/// From this seed on the sums that all connections share are so small that a connection has to pay now and then.
pub const SMALL_SUMS_FROM: u64 = 200_000;

/// The bound on all sources together, if it is to be reached.
pub const SOURCES_FEW: u64 = 600;

/// A bound on the bytes of a history that none reaches.
pub const RETAIN_ROOMY: u64 = 1 << 20;

/// The bound on all names that are waited for, if it is to be reached.
const NAMES_FEW: u64 = 1500;

/// The bound on all subscriptions and patterns, if it is to be reached.
const SUBSCRIPTIONS_FEW: u64 = 6000;

/// The limits of a seed: so small that all of them are reached.
pub fn limits(seed: u64, dice: &mut Dice) -> Limits {
    let limits = drawn(dice);
    match seed {
        0..SMALL_RING_FROM => limits,
        SMALL_SUMS_FROM.. => {
            // Separate dice: the histories of the other seeds stay what they are.
            let mut dice = Dice::new(!seed);
            let mut limits = Limits {
                behind_bytes_max: dice.pick(&[600, 3000, 20_000]),
                images_encoded_bytes_max: dice.pick(&[0, 300, 2000]),
                images_partial_bytes_max: dice.pick(&[300, 2000, 20_000]),
                buffers_bytes_max: dice.pick(&[1000, 8000, 50_000]),
                sources_bytes_max: dice.pick(&[SOURCES_FEW, 64 << 20]),
                names_waited_bytes_max: dice.pick(&[NAMES_FEW, 64 << 20]),
                subscriptions_bytes_max: dice.pick(&[SUBSCRIPTIONS_FEW, 256 << 20]),
                // The model does not know which topics may not end yet.
                topic_idle_ms: 0,
                ..limits
            };
            if has_few_names(&limits) {
                // The model does not know which of two limits refuses an entry.
                limits.subscriptions = 1024;
            }
            limits
        }
        _ => Limits { ring_bytes: if seed.is_multiple_of(2) { 2048 } else { 4096 }, behind_bytes: 65_536, ..limits },
    }
}

/// Whether entries may be refused because all names or subscriptions together are too many.
pub fn has_few_names(limits: &Limits) -> bool {
    limits.names_waited_bytes_max == NAMES_FEW || limits.subscriptions_bytes_max == SUBSCRIPTIONS_FEW
}

fn drawn(dice: &mut Dice) -> Limits {
    let retain = |dice: &mut Dice| Retain {
        updates: dice.pick(&[1, 3, 10, 50, 1000]),
        bytes: dice.pick(&[600, 3000, 20_000, RETAIN_ROOMY]),
        ms: dice.pick(&[0, 0, 0, 50, 2000]),
    };
    let mut topics = Vec::new();
    if dice.percent(20) {
        let pattern = Pattern::parse(dice.pick(&["b.>", "a.*", "c"])).expect("a pattern");
        let kind = dice.pick(&[None, Some(Kind::Event), Some(Kind::State), Some(Kind::Patch)]);
        topics.push(TopicRule { pattern, kind, retain: retain(dice) });
    }
    Limits {
        topics_max: dice.pick(&[1_000_000, 1_000_000, 1_000_000, 5]),
        image_bytes: dice.pick(&[1 << 20, 1 << 20, 400]),
        images_bytes_max: dice.pick(&[1 << 30, 1 << 30, 1 << 30, IMAGES_FEW]),
        retain: retain(dice),
        retain_bytes_max: dice.pick(&[1 << 30, 1 << 30, 40_000, 5000]),
        topics,
        subscriptions: dice.pick(&[1024, 1024, 1024, 4]),
        behind_bytes: dice.pick(&[500, 1000, 4000, 65_536]),
        turn_bytes_max: dice.pick(&[300, 1500, 4000, 65_536]),
        answers_bytes_max: dice.pick(&[500, 262_144]),
        ring_bytes: dice.pick(&[8192, 16_384, 65_536, 1 << 20]),
        write_gap_us: dice.pick(&[0, 0, 0, 1000, 5000]),
        heartbeat_ms: dice.pick(&[2000, 25_000]),
        stall_ms: dice.pick(&[4000, 60_000]),
        close_ms: dice.pick(&[50, 1000]),
        feed_bytes_max: dice.pick(&[3000, 64 << 20, 64 << 20]),
        topic_idle_ms: dice.pick(&[0, 0, 300, 3000]),
        ..Limits::default()
    }
}

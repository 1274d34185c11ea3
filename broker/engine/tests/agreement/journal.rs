//! Brokers that write to one log and read it, over a network that loses, repeats and delays records. They stop and
//! start again, with a session of their own, from the whole log or from a checkpoint; the log is cut behind that.
//!
//! A broker resends from the first record that it has not seen in the log. At the same position all brokers have the
//! same topics and digests, and each update that a broker was given is applied once and in its order, unless the broker
//! stopped before it was in the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use broker_engine::log::{Entry, NodeSession, RecordWriter, Sessions};
use broker_engine::{Applied, Logged, Verdict};
use broker_engine::{Now, SavedTopic};
use broker_protocol::request::parse_line;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::broker::{Broker, common};
use crate::commands::{Known, Random, command, known, shown};

const NODES: [&str; 3] = ["n0", "n1", "n2"];
/// Records of a broker that are on their way.
const IN_FLIGHT: usize = 4;

/// A record in the log, or on its way there.
#[derive(Clone)]
struct Stored {
    node: usize,
    bytes: Arc<[u8]>,
}

/// The log, and the network before it.
#[derive(Default)]
struct Log {
    /// What it was given so far; of this, what is before `first` is cut off.
    stored: Vec<Stored>,
    first: usize,
    late: Vec<Stored>,
}

impl Log {
    /// Sends a record: it may be lost, arrive twice, or arrive later, behind records that were sent after it.
    fn send(&mut self, random: &mut StdRng, record: Stored) {
        match random.random_range(0..8) {
            0 => {}
            1 => self.late.push(record),
            2 => {
                self.late.push(record.clone());
                self.stored.push(record);
            }
            _ => self.stored.push(record),
        }
    }

    /// Lets one that is late arrive.
    fn arrive(&mut self, random: &mut StdRng) {
        if !self.late.is_empty() {
            let record = self.late.swap_remove(random.random_range(0..self.late.len()));
            self.stored.push(record);
        }
    }
}

/// A checkpoint that is complete.
#[derive(Clone)]
struct Checkpoint {
    /// The first record that it does not have.
    from: usize,
    sessions: Vec<NodeSession>,
    commands: u64,
    topics: Vec<SavedTopic>,
    ended: Vec<(Box<str>, u64)>,
    complete_at: u64,
}

/// One broker while it runs.
struct Node {
    index: usize,
    broker: Broker,
    applied: Applied,
    /// The next record to read.
    position: usize,
    session: u64,
    number: u64,
    given: VecDeque<Random>,
    unseen: VecDeque<(u64, Arc<[u8]>)>,
    saving: Option<Checkpoint>,
    saved_to: Option<Arc<str>>,
}

/// What all brokers must have come to.
#[derive(Default)]
struct Truth {
    /// By position: the topics, and the digest.
    states: BTreeMap<usize, Vec<String>>,
    /// The numbers of the updates that were applied, by the broker that was given them.
    applied: [Vec<u64>; NODES.len()],
    seen: Vec<Known>,
}

/// What a run has met.
#[derive(Default, Debug)]
pub struct Met {
    pub resent: usize,
    pub dropped: usize,
    pub restarted: usize,
    pub restored: usize,
    pub cut: usize,
}

impl Node {
    fn start(index: usize, session: u64, log: &Log, checkpoint: Option<&Checkpoint>) -> Self {
        let broker = Broker::new(common(), 1);
        let (mut applied, mut position) = (Applied::default(), 0);
        if let Some(from) = checkpoint {
            let now = Now::default();
            from.topics.iter().for_each(|topic| broker.engine.restore_topic(now, 0, topic));
            broker.engine.restore_ended(from.ended.clone());
            let sessions = Sessions::restore(from.sessions.clone()).expect("what was listed");
            applied = Applied::from_checkpoint(&broker.engine, sessions, from.commands, from.complete_at);
            position = from.from;
        }
        assert!(position >= log.first, "the log is cut behind the checkpoint");
        let (given, unseen) = (VecDeque::new(), VecDeque::new());
        Self { index, broker, applied, position, session, number: 0, given, unseen, saving: None, saved_to: None }
    }

    /// Sends the next record, with some of what was given, if not too many are on their way.
    fn write(&mut self, random: &mut StdRng, log: &mut Log) {
        if self.unseen.len() >= IN_FLIGHT || (self.given.is_empty() && self.number > 0) {
            return;
        }
        let mut record = RecordWriter::new(self.session, self.number);
        if self.number == 0 {
            record.add(&Entry::Open { node: NODES[self.index], session: self.session }).expect("it opens");
        }
        for _ in 0..random.random_range(1..5) {
            match self.given.pop_front() {
                None => {}
                Some(Random::Publish(line)) => {
                    record.push(&parse_line(&line).expect("a line of NDJSON")).expect("there is room");
                }
                Some(Random::End { topic, only }) => {
                    let only = only.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
                    record.add(&Entry::End { topic, only }).expect("there is room");
                }
            }
        }
        if self.number > 0 && random.random_range(0..4) == 0 {
            let (position, digest) = (self.position as u64, self.applied.digest());
            record.add(&Entry::Beat { node: NODES[self.index], position, digest }).expect("there is room");
        }
        let bytes: Arc<[u8]> = record.finish().into();
        self.unseen.push_back((self.number, bytes.clone()));
        self.number += 1;
        log.send(random, Stored { node: self.index, bytes });
    }

    /// Sends again what it has not seen.
    fn resend(&self, random: &mut StdRng, log: &mut Log, met: &mut Met) {
        for (_, bytes) in &self.unseen {
            met.resent += 1;
            log.send(random, Stored { node: self.index, bytes: bytes.clone() });
        }
    }

    /// Reads and applies the next record of the log, and compares with the others.
    fn read(&mut self, log: &Log, truth: &mut Truth, met: &mut Met) {
        let Some(Stored { node, bytes }) = log.stored.get(self.position) else { return };
        let position = self.position as u64;
        let logged = Logged { node: NODES[*node], position, ts_us: 1_000_000 + position / 3, bytes };
        let is_first = !truth.states.contains_key(&self.position);
        let verdict = self.applied.apply(&self.broker.engine, position * 1000, logged, |entry, result| {
            if let (true, Entry::Publish { topic, data, .. }) = (is_first, entry)
                && let Some(node) = topic.strip_prefix("ids.n")
            {
                let mut number = Vec::new();
                data.append_compact(&mut number);
                let number = String::from_utf8(number).expect("digits").parse().expect("a number");
                truth.applied[node.parse::<usize>().expect("a digit")].push(number);
            }
            truth.seen.extend(result.as_ref().and_then(|result| known(&shown(result))));
        });
        match verdict.expect("a record that one of them wrote") {
            Verdict::Dropped(_) => met.dropped += 1,
            Verdict::Counted(_) if *node == self.index => {
                // It is a record of this session, unless this broker is still reading what was before it.
                if self.unseen.front().is_some_and(|(_, front)| front == bytes) {
                    self.unseen.pop_front();
                }
            }
            Verdict::Counted(_) => {}
        }
        if self.applied.is_complete() {
            let mut state = self.broker.state();
            state.push(format!("{:?} {}", self.applied.sessions().list(), self.applied.commands()));
            let known = truth.states.entry(self.position).or_insert_with(|| state.clone());
            assert_eq!(*known, state, "{} at {position}", NODES[self.index]);
        }
        assert_eq!(self.applied.differing(), 0, "digests differ");
        self.position += 1;
    }

    /// Saves the next topics, or begins to. Returns the checkpoint when it is complete.
    fn save(&mut self) -> Option<Checkpoint> {
        if !self.applied.is_complete() {
            return None;
        }
        let Some(saving) = &mut self.saving else {
            self.broker.engine.begin_saving();
            self.saved_to = None;
            self.saving = Some(Checkpoint {
                from: self.position,
                sessions: self.applied.sessions().list(),
                commands: self.applied.commands(),
                topics: Vec::new(),
                ended: Vec::new(),
                complete_at: 0,
            });
            return None;
        };
        let (topics, at) = self.broker.engine.save_topics(Now::default(), self.saved_to.as_deref(), 1);
        saving.topics.extend(topics);
        self.saved_to = at;
        if self.saved_to.is_some() {
            return None;
        }
        let mut complete = self.saving.take()?;
        complete.ended = self.broker.engine.end_saving();
        complete.complete_at = self.applied.commands();
        Some(complete)
    }
}

/// Runs one history.
pub fn run(seed: u64, steps: usize, met: &mut Met) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut log, mut truth) = (Log::default(), Truth::default());
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    let mut nodes: Vec<Node> = (0..NODES.len()).map(|index| Node::start(index, 1, &log, None)).collect();
    let mut given: [u64; NODES.len()] = [0; NODES.len()];
    // What a broker was given that may not have reached the log.
    let mut unknown: [Vec<u64>; NODES.len()] = Default::default();
    for step in 0..steps {
        let index = random.random_range(0..NODES.len());
        match random.random_range(0..100) {
            0..20 => {
                let own = format!(r#"{{"topic":"ids.n{index}","data":{}}}"#, given[index]);
                given[index] += 1;
                nodes[index].given.push_back(Random::Publish(own));
            }
            20..35 => nodes[index].given.push_back(command(&mut random, &truth.seen)),
            35..55 => nodes[index].write(&mut random, &mut log),
            55..60 => nodes[index].resend(&mut random, &mut log, met),
            60..63 => log.arrive(&mut random),
            63..90 => (0..random.random_range(1..4)).for_each(|_| nodes[index].read(&log, &mut truth, met)),
            90..99 => {
                // One that took longer than a newer one is of no use.
                let newest = checkpoints.last().map_or(0, |newest| newest.from);
                if let Some(complete) = nodes[index].save().filter(|complete| complete.from > newest) {
                    checkpoints.push(complete);
                    // The older of the newest two stays, and what follows it.
                    if let [.., older, _] = &checkpoints[..]
                        && older.from > log.first
                    {
                        log.first = older.from;
                        met.cut += 1;
                    }
                }
            }
            _ => {
                let newest = checkpoints.last().filter(|_| log.first > 0 || random.random_range(0..2) == 0);
                unknown[index].extend(not_applied(&truth, index, given[index]));
                met.restarted += 1;
                met.restored += usize::from(newest.is_some());
                nodes[index] = Node::start(index, step as u64 + 2, &log, newest);
            }
        }
        for node in &mut nodes {
            if node.position < log.first {
                // It lags behind the cut, and starts again.
                unknown[node.index].extend(not_applied(&truth, node.index, given[node.index]));
                *node = Node::start(node.index, step as u64 + 2, &log, checkpoints.last());
            }
        }
    }
    // In the end everything arrives.
    for _ in 0..steps {
        nodes.iter_mut().for_each(|node| node.write(&mut random, &mut log));
        nodes.iter().for_each(|node| node.resend(&mut random, &mut log, met));
        log.arrive(&mut random);
        for node in &mut nodes {
            while node.position < log.stored.len() {
                node.read(&log, &mut truth, met);
            }
        }
        if log.late.is_empty() && nodes.iter().all(|node| node.given.is_empty() && node.unseen.is_empty()) {
            break;
        }
    }
    for (index, node) in nodes.iter().enumerate() {
        assert!(node.unseen.is_empty() && node.given.is_empty(), "seed {seed}: {} is stuck", NODES[index]);
        let applied = &truth.applied[index];
        assert!(applied.is_sorted_by(|one, next| one < next), "seed {seed}: twice, or out of order: {applied:?}");
        let is_missing = |number: &u64| !applied.contains(number) && !unknown[index].contains(number);
        let missing: Vec<_> = (0..given[index]).filter(is_missing).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} of {} are lost", NODES[index]);
    }
}

/// The updates that a broker was given and that nobody has applied yet.
fn not_applied(truth: &Truth, index: usize, given: u64) -> Vec<u64> {
    (0..given).filter(|number| !truth.applied[index].contains(number)).collect()
}

//! One broker while it runs: its engine, a shard with clients, and whoever drives its journal. It resends from the first
//! record that it has not seen in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use broker_engine::journal::{Answers, JournalOptions, ReplyTo, Waiting, unknown};
use broker_engine::log::{Entry, Fit, NodeSession, Seen, Sessions, Settings, continues, fit};
use broker_engine::{
    Applied, Engine, Limits, Meanwhile, Now, Outcome, SavedTopic, Shard, ShardStats, Verdict, carry_epoch,
};
use broker_protocol::request::{Refusal, parse_line};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::broker::{common, state_of};
use crate::cluster::Met;
use crate::commands::Random;
use crate::log::{Log, NODES};
use crate::network::SimSink;
use crate::truth::Truth;

/// Records of a broker that are on their way.
const IN_FLIGHT: usize = 4;
/// How long a client that is ahead may wait, in ms.
pub const STALE_MS: u64 = 300;
/// Fewer than there are names: programs that publish to the log themselves come to this bound.
const TOPICS_MAX: u64 = 7;
/// The distance between the ids of two generations.
const IDS: u64 = 1 << 32;

/// A checkpoint that is complete.
#[derive(Clone)]
pub struct Checkpoint {
    generation: u64,
    pub begin: Seen,
    end: Option<Seen>,
    sessions: Vec<NodeSession>,
    settings: Option<Settings>,
    commands: u64,
    topics: Vec<SavedTopic>,
    meanwhile: Meanwhile,
    complete_at: u64,
}

impl Checkpoint {
    pub fn continues(&self, log: &Log) -> bool {
        self.end.is_some_and(|end| {
            let found = [self.begin, end].map(|seen| log.seen(seen.position));
            continues(self.begin, end, log.extent(), found)
        })
    }

    /// The position behind all that it knows of.
    pub fn end(&self) -> usize {
        self.end.map_or(0, |end| end.position as usize + 1)
    }
}

/// A record on its way, and who waits.
struct Sent {
    bytes: Arc<[u8]>,
    waiting: Vec<Waiting>,
}

pub struct Node {
    pub index: usize,
    pub generation: u64,
    pub engine: Arc<Engine>,
    /// Once the log is read.
    pub shard: Option<Shard<SimSink>>,
    /// The end of the log when it started.
    ready_at: usize,
    applied: Applied,
    last: Option<Seen>,
    /// The next record to read.
    pub position: usize,
    session: u64,
    /// Its session is open: it takes in updates.
    is_open: bool,
    unseen: VecDeque<Sent>,
    answers: Answers,
    saving: Option<Checkpoint>,
    saved_to: Option<Arc<str>>,
}

fn nonce(generation: u64) -> u64 {
    (generation + 7).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

impl Node {
    pub fn start(index: usize, session: u64, log: &Log, checkpoint: Option<&Checkpoint>) -> Self {
        let generation = log.generation;
        let order_base = (generation + 1) * IDS;
        let limits =
            Limits { order_base, order_age_us: 1 << 50, heartbeat_ms: 400, topics_max: TOPICS_MAX, ..common() };
        let options = JournalOptions {
            nonce: nonce(generation),
            record_bytes: 300,
            queue_bytes: 1 << 20,
            unavailable_ms: 1000,
            shared: true,
            stale_ms: STALE_MS,
            wake: Box::new(|| {}),
        };
        let engine = Engine::with_journal(limits, session, vec![Box::new(|| {})], options);
        let (mut applied, mut position) = (Applied::default(), 0);
        if let Some(from) = checkpoint {
            for topic in &from.topics {
                let epoch = carry_epoch(nonce(from.generation), nonce(generation), &topic.epoch).expect("an epoch");
                engine.restore_topic(Now::default(), 0, &SavedTopic { epoch, ..topic.clone() });
            }
            engine.restore_meanwhile(from.meanwhile.clone());
            from.settings.iter().for_each(|settings| engine.adopt_settings(settings));
            let sessions = Sessions::restore(from.sessions.clone()).expect("what was listed");
            applied = Applied::from_checkpoint(&engine, sessions, from.commands, from.complete_at);
            position = from.begin.position as usize + 1;
        }
        let mut node = Self {
            index,
            generation,
            engine,
            shard: None,
            ready_at: log.next(),
            applied,
            last: checkpoint.map(|from| from.begin),
            position,
            session,
            is_open: false,
            unseen: VecDeque::new(),
            answers: Answers::default(),
            saving: None,
            saved_to: None,
        };
        node.open(session);
        node
    }

    /// Begins a session: once its first record is back, updates are taken in.
    fn open(&mut self, session: u64) {
        let journal = self.engine.journal().expect("it has one");
        let opening = journal.gathering().open(NODES[self.index], session).expect("a name");
        self.unseen.push_back(Sent { bytes: opening.bytes.into(), waiting: opening.waiting });
        (self.session, self.is_open) = (session, false);
    }

    /// Whether nothing of it is on its way.
    pub fn is_idle(&self) -> bool {
        let bytes = self.engine.journal().expect("it has one").gathering().bytes();
        self.is_open && self.unseen.is_empty() && bytes == 0 && self.shard.is_some()
    }

    /// Whether it takes nothing in at present.
    pub fn is_closed(&self) -> bool {
        !self.is_open
    }

    /// What the log is to what it has read.
    pub fn fit(&self, log: &Log) -> Fit {
        match self.last {
            Some(last) => fit(last, log.extent(), log.seen(last.position)),
            None if log.first > 0 => Fit::CutBeyond,
            None => Fit::GoesOn,
        }
    }

    /// Gives it a command. Returns whether it took it.
    pub fn give(&self, command: &Random) -> bool {
        let journal = self.engine.journal().expect("it has one");
        let submitted = match command {
            Random::Publish(line) => {
                let update = parse_line(line).expect("a line of NDJSON");
                self.engine.submit_publish(journal, &update, ReplyTo::Nobody)
            }
            Random::End { topic, only } => {
                let only = only.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
                journal.gathering().submit(&Entry::End { topic, only }, ReplyTo::Nobody)
            }
        };
        submitted.is_ok()
    }

    /// Sends the next record, if not too many are on their way.
    pub fn write(&mut self, random: &mut StdRng, log: &mut Log) {
        if !self.is_open || self.unseen.len() >= IN_FLIGHT {
            return;
        }
        let gathering = self.engine.journal().expect("it has one").gathering();
        if random.random_range(0..4) == 0 {
            let beat =
                Entry::Beat { node: NODES[self.index], position: self.position as u64, digest: self.applied.digest() };
            gathering.submit(&beat, ReplyTo::Nobody).expect("it is open");
        }
        if let Some(gathered) = gathering.take() {
            let bytes: Arc<[u8]> = gathered.bytes.into();
            self.unseen.push_back(Sent { bytes: bytes.clone(), waiting: gathered.waiting });
            log.send(random, self.index, bytes);
        }
    }

    /// Sends again what it has not seen.
    pub fn resend(&self, random: &mut StdRng, log: &mut Log, met: &mut Met) {
        for sent in &self.unseen {
            met.resent += 1;
            log.send(random, self.index, sent.bytes.clone());
        }
    }

    /// The log refuses what it is sent: nothing is taken in until the next session is open.
    pub fn refuse(&mut self, session: u64) {
        let engine = self.engine.clone();
        let journal = engine.journal().expect("it has one");
        let waiting = journal.gathering().refuse("it refuses");
        let sent = self.unseen.drain(..).flat_map(|sent| sent.waiting);
        for waiting in sent.chain(waiting) {
            self.answers.push(journal, waiting, Err(unknown()));
        }
        self.answers.flush(journal, engine.feed());
        self.open(session);
    }

    /// Reads and applies the next record of the log, and compares with the others.
    pub fn read(&mut self, log: &Log, truth: &mut Truth, met: &mut Met) {
        self.become_ready(log);
        let Some(stored) = log.at(self.position) else {
            // A reader that is told of no hole goes on behind it.
            self.position = self.position.max(log.first);
            return;
        };
        let engine = self.engine.clone();
        let position = self.position as u64;
        if let Some(inbound) = stored.inbound() {
            let result = self.applied.apply_inbound(&engine, position * 1000, &inbound);
            truth.take_inbound(&inbound, &result);
            met.count_inbound(&result);
        } else {
            self.applied.written_under(nonce(log.generation_at(self.position)));
            let mut results = Vec::new();
            let verdict = self.applied.apply(&engine, position * 1000, stored.logged(position), |entry, result| {
                truth.take(entry, result.as_ref());
                results.push(result);
            });
            match verdict.expect("a record that one of them wrote") {
                Verdict::Dropped(_) => met.dropped += 1,
                // It is a record of this session, unless this broker is still reading what was before it.
                Verdict::Counted(_) if self.unseen.front().is_some_and(|front| front.bytes == stored.bytes) => {
                    self.answer(results);
                }
                Verdict::Counted(_) => {}
            }
        }
        if self.applied.is_complete() {
            let mut state = state_of(&engine);
            state.push(format!("{:?} {}", self.applied.sessions().list(), self.applied.commands()));
            truth.compare(self.generation, self.position, NODES[self.index], state);
        }
        assert_eq!(self.applied.differing(), 0, "digests differ");
        self.last = Some(stored.seen(position));
        self.position += 1;
        self.become_ready(log);
    }

    /// Answers a record that is back.
    fn answer(&mut self, results: Vec<Option<Result<Outcome, Refusal>>>) {
        let engine = self.engine.clone();
        let journal = engine.journal().expect("it has one");
        let Some(sent) = self.unseen.pop_front() else { return };
        if !self.is_open {
            journal.gathering().begin(self.session);
            self.is_open = true;
            engine.submit_settings(journal).expect("it is open");
            return;
        }
        for (waiting, result) in sent.waiting.into_iter().zip(results) {
            match result {
                Some(result) => self.answers.push(journal, waiting, result),
                None => self.answers.settle(journal, &waiting),
            }
        }
        self.answers.flush(journal, engine.feed());
    }

    /// Lets clients in once all is read that was in the log when it started.
    fn become_ready(&mut self, log: &Log) {
        if self.shard.is_none() && self.position >= self.ready_at.min(log.next()) && self.applied.is_complete() {
            self.engine.end_reading();
            self.shard = Some(Shard::new(self.engine.clone(), 0, Arc::<ShardStats>::default()));
        }
    }

    /// Saves the next topics, or begins to. Returns the checkpoint when it is complete.
    pub fn save(&mut self) -> Option<Checkpoint> {
        let (begin, true) = (self.last?, self.applied.is_complete()) else { return None };
        let Some(saving) = &mut self.saving else {
            self.engine.begin_saving();
            self.saved_to = None;
            self.saving = Some(Checkpoint {
                generation: self.generation,
                begin,
                end: None,
                sessions: self.applied.sessions().list(),
                settings: self.engine.journal().and_then(|journal| journal.settings()),
                commands: self.applied.commands(),
                topics: Vec::new(),
                meanwhile: Meanwhile::default(),
                complete_at: 0,
            });
            return None;
        };
        let (topics, at) = self.engine.save_topics(Now::default(), self.saved_to.as_deref(), 1);
        saving.topics.extend(topics);
        self.saved_to = at;
        if self.saved_to.is_some() {
            return None;
        }
        let mut complete = self.saving.take()?;
        complete.meanwhile = self.engine.end_saving();
        complete.complete_at = self.applied.commands();
        complete.end = self.last;
        Some(complete)
    }
}

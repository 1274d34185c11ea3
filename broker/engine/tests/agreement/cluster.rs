//! Brokers that write to one log and read it, over a network that loses, repeats and delays records. The log refuses
//! records for a while; it is cut behind checkpoints; and it loses its end. Brokers stop and start again, with a session
//! of their own, from the whole log or from a checkpoint. Clients move between them.
//!
//! At the same position all brokers have the same topics and digests, and each update that a broker was given is applied
//! once and in its order, unless the broker stopped before it was in the log, or the log lost it.

use broker_engine::log::{Fit, cut_before};
use broker_engine::{Ask, Now, Outcome};
use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::commands::{self, Random, command};
use crate::log::{Log, NODES};
use crate::node::{Checkpoint, Node};
use crate::reader::{Reader, Way};
use crate::truth::Truth;

/// Checkpoints that are kept: two, and one that was forgotten where they are.
const CHECKPOINTS_KEPT: usize = 3;
/// Rounds of a shard in which it comes to rest.
const ROUNDS: usize = 6;

/// What a run has met.
#[derive(Default, Debug)]
pub struct Met {
    pub resent: usize,
    pub dropped: usize,
    pub restarted: usize,
    pub restored: usize,
    pub cut: usize,
    pub refused: usize,
    pub went_back: usize,
    pub unnoticed: usize,
    /// Clients that came to a broker; those that were ahead of it, by their way; and answers that had to wait.
    pub came: usize,
    pub ahead: [usize; 3],
    pub waited: usize,
    pub unavailable: usize,
    pub reset: usize,
    /// What programs published to the log themselves: taken, invalid, refused by a bound that is full.
    pub inbound: [usize; 3],
}

impl Met {
    pub fn count_inbound(&mut self, result: &Result<Outcome, Refusal>) {
        let index = match result {
            Ok(Outcome::Published(_)) => 0,
            Ok(_) => return,
            Err(refusal) if refusal.code == ErrorCode::Limit => 2,
            Err(_) => 1,
        };
        self.inbound[index] += 1;
    }
}

struct Cluster {
    random: StdRng,
    now_us: u64,
    /// The number of the next session.
    session: u64,
    log: Log,
    truth: Truth,
    checkpoints: Vec<Checkpoint>,
    nodes: Vec<Node>,
    readers: Vec<Reader>,
    /// Up to where brokers had applied the log that have stopped since.
    known_to: usize,
    given: [u64; NODES.len()],
    /// What a broker was given that may not have reached the log, or that it lost.
    unknown: [Vec<u64>; NODES.len()],
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let log = Log::default();
        let ways = [Way::Seq, Way::Seq, Way::Position, Way::Position, Way::Position, Way::Stream, Way::Stream];
        Self {
            random: StdRng::seed_from_u64(seed),
            now_us: 1_000_000,
            session: 2,
            nodes: (0..NODES.len()).map(|index| Node::start(index, 1, &log, None)).collect(),
            log,
            truth: Truth::default(),
            checkpoints: Vec::new(),
            readers: ways.into_iter().map(Reader::new).collect(),
            known_to: 0,
            given: Default::default(),
            unknown: Default::default(),
        }
    }

    fn now(&self) -> Now {
        Now { mono_us: self.now_us, wall_us: self.now_us }
    }

    fn next_session(&mut self) -> u64 {
        self.session += 1;
        self.session
    }

    /// The updates that a broker was given and that are not applied there. They may be lost if it stops.
    fn forget(&mut self, index: usize) {
        let applied = numbers(&self.nodes[index], index);
        let missing = (0..self.given[index]).filter(|number| !applied.contains(number));
        self.unknown[index].extend(missing);
    }

    /// Starts a broker again.
    fn restart(&mut self, index: usize, met: &mut Met) {
        self.forget(index);
        self.known_to = self.known_to.max(self.nodes[index].position);
        for reader in self.readers.iter_mut().filter(|reader| reader.node() == Some(index)) {
            reader.leave(None);
        }
        let session = self.next_session();
        // Any of those that are there, if it can be continued; the newest may be damaged.
        let mut candidates: Vec<_> = self.checkpoints.iter().collect();
        let at = self.random.random_range(0..candidates.len().max(1));
        candidates.rotate_left(at);
        let checkpoint = candidates.into_iter().find(|one| one.continues(&self.log));
        let checkpoint = checkpoint.filter(|_| self.log.first > 0 || self.random.random_range(0..2) == 0);
        assert!(self.log.first == 0 || checkpoint.is_some(), "no checkpoint continues the log");
        met.restarted += 1;
        met.restored += usize::from(checkpoint.is_some());
        self.nodes[index] = Node::start(index, session, &self.log, checkpoint);
    }

    /// A checkpoint is complete: what only older ones need is cut off.
    fn completed(&mut self, complete: Checkpoint, met: &mut Met) {
        // One that took longer than a newer one is of no use.
        if self.checkpoints.last().is_some_and(|newest| newest.begin.position >= complete.begin.position) {
            return;
        }
        self.checkpoints.push(complete);
        let begins: Vec<_> = self.checkpoints.iter().map(|one| one.begin.position).collect();
        if let Some(before) = cut_before(&begins)
            && before as usize > self.log.first
        {
            self.log.first = before as usize;
            met.cut += 1;
        }
        // One of them may be damaged.
        let whole = self.checkpoints.iter().rev().take(2).all(|one| one.continues(&self.log));
        assert!(whole, "a checkpoint that is to be kept does not continue the log");
        if self.checkpoints.len() > CHECKPOINTS_KEPT {
            self.checkpoints.remove(0);
        }
    }

    /// The log loses its end. All brokers look at it when they are connected again, before anybody writes.
    fn go_back(&mut self, met: &mut Met) {
        // The older checkpoint stays whole.
        let least = match &self.checkpoints[..] {
            [.., older, _] => older.end(),
            [only] => only.end(),
            [] => 0,
        };
        // And what only a broker knows that has stopped: nobody could notice that.
        let least = least.max(self.log.first).max(self.known_to);
        if least >= self.log.next() {
            return;
        }
        let next = self.log.next() - self.random.random_range(1..=(self.log.next() - least).min(12));
        let lost = self.log.go_back(next);
        for index in 0..NODES.len() {
            if lost.iter().any(|record| record.is_of(index)) {
                self.forget(index);
                // What was applied of it is lost, too.
                let applied = numbers(&self.nodes[index], index);
                self.unknown[index].extend(applied.iter().rev().take(60));
            }
        }
        self.checkpoints.retain(|one| one.continues(&self.log));
        if self.nodes.iter().all(|node| node.fit(&self.log) != Fit::WentBack) {
            met.unnoticed += 1;
            return;
        }
        met.went_back += 1;
        self.log.begin_generation();
        (0..NODES.len()).for_each(|index| self.restart(index, met));
        self.known_to = 0;
    }

    /// Lets a shard and its clients do what there is to do.
    fn run(&mut self, index: usize, met: &mut Met) {
        let now = self.now();
        let Some(shard) = &mut self.nodes[index].shard else { return };
        self.readers.iter().filter_map(|reader| reader.conn(index)).for_each(|conn| shard.heard(conn));
        for _ in 0..ROUNDS {
            shard.take_in(now);
            shard.take_answers(now);
            shard.turn(&mut || now);
            for reader in self.readers.iter_mut().filter(|reader| reader.node() == Some(index)) {
                match reader.read(&self.log, &self.truth, met) {
                    Ok(false) => {}
                    Ok(true) => reader.ends = true,
                    Err(error) => panic!("{error}, at {}", NODES[index]),
                }
            }
            shard.begin_requests();
            let here = self.readers.iter_mut().filter(|reader| reader.node() == Some(index));
            here.for_each(|reader| reader.ask(now, shard));
            while let Some(conn) = shard.next_released() {
                while shard.has_released(conn) && shard.may_read(conn) {
                    shard.handle_released(now, conn);
                }
            }
            shard.tick(now);
        }
        for at in 0..self.readers.len() {
            if std::mem::take(&mut self.readers[at].ends) {
                self.readers[at].leave(Some(&mut self.nodes[index]));
            }
        }
    }

    /// A client goes to a broker.
    fn go_to(&mut self, at: usize, index: usize, met: &mut Met) {
        let now = self.now();
        if self.nodes[index].shard.is_none() {
            return;
        }
        let before = self.readers[at].node();
        self.readers[at].leave(before.map(|node| &mut self.nodes[node]));
        self.readers[at].come(now, &mut self.nodes[index], met);
    }

    fn step(&mut self, met: &mut Met) {
        let index = self.random.random_range(0..NODES.len());
        match self.random.random_range(0..200) {
            0..40 => {
                let own = format!(r#"{{"topic":"ids.n{index}","data":{}}}"#, self.given[index]);
                if self.nodes[index].give(&Random::Publish(own)) {
                    self.given[index] += 1;
                }
            }
            40..65 => {
                let command = command(&mut self.random, &self.truth.seen);
                self.nodes[index].give(&command);
            }
            65..100 => self.nodes[index].write(&mut self.random, &mut self.log),
            100..112 => self.nodes[index].resend(&mut self.random, &mut self.log, met),
            112..114 => self.log.arrive(&mut self.random),
            114..116 => {
                let (program, data) = commands::program(&mut self.random);
                self.log.publish(&mut self.random, program, data);
            }
            116..150 => {
                for _ in 0..self.random.random_range(1..5) {
                    self.nodes[index].read(&self.log, &mut self.truth, met);
                }
            }
            150..163 => {
                if let Some(complete) = self.nodes[index].save() {
                    self.completed(complete, met);
                }
            }
            163 => self.restart(index, met),
            164 => {
                self.log.refuses = !self.log.refuses;
                met.refused += usize::from(self.log.refuses);
            }
            165..170 if self.log.refuses && !self.nodes[index].is_closed() => {
                self.forget(index);
                let session = self.next_session();
                self.nodes[index].refuse(session);
            }
            170 if self.random.random_range(0..3) == 0 => self.go_back(met),
            171..177 => self.now_us += self.random.random_range(0..400_000),
            177..187 => {
                let at = self.random.random_range(0..self.readers.len());
                self.go_to(at, index, met);
            }
            _ => self.run(index, met),
        }
        for index in 0..NODES.len() {
            if self.nodes[index].fit(&self.log) == Fit::CutBeyond && self.nodes[index].position < self.log.next() {
                // It lags behind the cut, and starts again.
                self.restart(index, met);
            }
        }
    }

    /// In the end everything arrives, and everybody has it.
    fn settle(&mut self, steps: usize, met: &mut Met) {
        self.log.refuses = false;
        for _ in 0..steps {
            self.now_us += 100_000;
            self.nodes.iter_mut().for_each(|node| node.write(&mut self.random, &mut self.log));
            self.nodes.iter().for_each(|node| node.resend(&mut self.random, &mut self.log, met));
            self.log.arrive(&mut self.random);
            for node in &mut self.nodes {
                while node.position < self.log.next() {
                    node.read(&self.log, &mut self.truth, met);
                }
            }
            (0..NODES.len()).for_each(|index| self.run(index, met));
            for at in 0..self.readers.len() {
                if self.readers[at].node().is_none() {
                    let index = self.random.random_range(0..NODES.len());
                    self.go_to(at, index, met);
                }
            }
            let has_all = |reader: &Reader| reader.node().is_some_and(|at| reader.is_complete(&self.nodes[at]).is_ok());
            let is_done = self.nodes.iter().all(Node::is_idle) && self.readers.iter().all(has_all);
            if !self.log.has_late() && is_done {
                break;
            }
        }
    }
}

/// The numbers that a broker has applied of those that `index` was given.
fn numbers(node: &Node, index: usize) -> Vec<u64> {
    let Some(page) = node.engine.history(&format!("ids.n{index}"), Ask::Last(u64::MAX)) else { return Vec::new() };
    let (_, updates) = page.updates(page.first, usize::MAX, usize::MAX);
    let number = |text: &str| text.rsplit_once(r#""data":"#)?.1.trim_end_matches('}').parse().ok();
    let text = |bytes: &[u8]| number(&String::from_utf8_lossy(bytes)).expect("a number");
    updates.iter().map(|frame| text(frame.payload())).collect()
}

/// Runs one history.
pub fn run(seed: u64, steps: usize, met: &mut Met) {
    let mut cluster = Cluster::new(seed);
    (0..steps).for_each(|_| cluster.step(met));
    cluster.settle(steps, met);
    for (index, name) in NODES.iter().enumerate() {
        let node = &cluster.nodes[index];
        assert!(node.is_idle(), "seed {seed}: {name} is stuck");
        let applied = numbers(node, index);
        assert!(applied.is_sorted_by(|one, next| one < next), "seed {seed}: twice, or out of order: {applied:?}");
        let is_missing = |number: &u64| !applied.contains(number) && !cluster.unknown[index].contains(number);
        let missing: Vec<_> = (0..cluster.given[index]).filter(is_missing).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} of {name} are lost");
    }
    for reader in &cluster.readers {
        let node = &cluster.nodes[reader.node().expect("it is somewhere")];
        reader.is_complete(node).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

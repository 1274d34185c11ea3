//! A log, and the network before it, which loses, repeats and delays records. The log may refuse them for a while, it is
//! cut at its front, and it may lose its end.

use std::sync::Arc;

use broker_engine::Logged;
use broker_engine::log::{Extent, Inbound, Seen};
use rand::RngExt as _;
use rand::rngs::StdRng;

pub const NODES: [&str; 3] = ["n0", "n1", "n2"];

/// What wrote a message of the log.
#[derive(Clone)]
pub enum By {
    /// A broker, by its index.
    Node(usize),
    /// A program that publishes to the log itself; the message is its `data`.
    Program(Arc<Program>),
}

/// What such a program says beside its `data`.
#[derive(Clone, Debug)]
pub struct Program {
    pub topic: &'static str,
    pub kind: Option<&'static str>,
    pub source: Option<(&'static str, String)>,
}

/// A message in the log, or on its way there.
#[derive(Clone)]
pub struct Stored {
    pub by: By,
    pub bytes: Arc<[u8]>,
    ts_us: u64,
}

/// The log, and the network before it.
#[derive(Default)]
pub struct Log {
    /// What it was given so far; of this, what is before `first` is cut off.
    stored: Vec<Stored>,
    pub first: usize,
    late: Vec<Stored>,
    clock_us: u64,
    pub refuses: bool,
    /// How often it went back, and somebody noticed: what a broker finds as the newest `generation`.
    pub generation: u64,
    /// Where each of them begins: a later one wins.
    begins: Vec<usize>,
}

impl Log {
    /// Sends a record: it may be lost, arrive twice, or arrive later, behind records that were sent after it.
    pub fn send(&mut self, random: &mut StdRng, node: usize, bytes: Arc<[u8]>) {
        let record = Stored { by: By::Node(node), bytes, ts_us: 0 };
        match random.random_range(0..8) {
            0 => {}
            1 => self.late.push(record),
            2 => {
                self.late.push(record.clone());
                self.store(random, record);
            }
            _ => self.store(random, record),
        }
    }

    /// A program publishes to it: that is not sent again.
    pub fn publish(&mut self, random: &mut StdRng, program: Program, data: &str) {
        self.store(random, Stored { by: By::Program(program.into()), bytes: data.as_bytes().into(), ts_us: 0 });
    }

    /// Lets one that is late arrive.
    pub fn arrive(&mut self, random: &mut StdRng) {
        if !self.late.is_empty() {
            let record = self.late.swap_remove(random.random_range(0..self.late.len()));
            self.store(random, record);
        }
    }

    fn store(&mut self, random: &mut StdRng, record: Stored) {
        if !self.refuses {
            self.clock_us += random.random_range(0..3);
            self.stored.push(Stored { ts_us: 1_000_000 + self.clock_us, ..record });
        }
    }

    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// The position behind the last record.
    pub fn next(&self) -> usize {
        self.stored.len()
    }

    pub fn extent(&self) -> Extent {
        Extent { first: self.first as u64, next: self.stored.len() as u64 }
    }

    /// What it has at a position.
    pub fn at(&self, position: usize) -> Option<&Stored> {
        self.stored.get(position).filter(|_| position >= self.first)
    }

    /// The same, as a broker knows it again.
    pub fn seen(&self, position: u64) -> Option<Seen> {
        let stored = self.at(position as usize)?;
        Some(stored.seen(position))
    }

    /// A new generation begins with the next record.
    pub fn begin_generation(&mut self) {
        self.generation += 1;
        self.begins.push(self.stored.len());
    }

    /// The generation under which the record at a position was written.
    pub fn generation_at(&self, position: usize) -> u64 {
        self.begins.iter().rposition(|begin| *begin <= position).map_or(0, |at| at as u64 + 1)
    }

    /// Loses what is behind a position.
    pub fn go_back(&mut self, next: usize) -> Vec<Stored> {
        self.begins.iter_mut().for_each(|begin| *begin = next.min(*begin));
        self.stored.split_off(next)
    }
}

impl Stored {
    pub fn seen(&self, position: u64) -> Seen {
        Seen::of(&self.logged(position))
    }

    pub fn logged(&self, position: u64) -> Logged<'_> {
        let node = if let By::Node(node) = self.by { NODES[node] } else { "" };
        Logged { node, position, ts_us: self.ts_us, bytes: &self.bytes }
    }

    /// Whether a broker wrote it, and which.
    pub fn is_of(&self, index: usize) -> bool {
        matches!(self.by, By::Node(node) if node == index)
    }

    /// The update of a program, if one wrote it.
    pub fn inbound(&self) -> Option<Inbound<'_>> {
        let By::Program(program) = &self.by else { return None };
        let source = program.source.as_ref();
        Some(Inbound {
            ts_us: self.ts_us,
            topic: program.topic,
            kind: program.kind,
            source: source.map(|(source, _)| *source),
            source_seq: source.map(|(_, number)| number.as_str()),
            source_ts: None,
            data: &self.bytes,
        })
    }
}

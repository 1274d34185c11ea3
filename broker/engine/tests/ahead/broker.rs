//! A broker on a log that another one writes, too, and that moves only when it is told to.

use std::collections::VecDeque;
use std::sync::Arc;

use broker_engine::journal::{Answers, JournalOptions, ReplyTo, Waiting, unknown};
use broker_engine::log::{Entry, Record};
use broker_engine::{Applied, ConnId, Engine, Limits, Logged, Now, Shard, ShardStats};
use broker_protocol::request::parse_line;

use super::network::{Incoming, SharedPipe, SimSink, pipe};

pub const STALE_MS: u64 = 3000;
pub const HEARTBEAT_MS: u32 = 1600;

/// The records, each with its broker.
pub type Log = Vec<(&'static str, Vec<u8>)>;

pub struct Broker {
    node: &'static str,
    pub engine: Arc<Engine>,
    pub shard: Shard<SimSink>,
    applied: Applied,
    read_to: usize,
    answers: Answers,
    /// Who waits for its records, oldest first.
    waiting: VecDeque<Vec<Waiting>>,
    now_us: u64,
    session: u64,
}

/// A client's connection.
pub struct Client {
    pub conn: ConnId,
    pub pipe: SharedPipe,
}

impl Client {
    /// The messages that have come, without greetings and heartbeats.
    pub fn read(&self) -> Vec<String> {
        self.read_all().into_iter().filter(|text| !text.contains(r#""op":"he"#)).collect()
    }

    /// All that has come.
    pub fn read_all(&self) -> Vec<String> {
        let next = || self.pipe.borrow_mut().take().expect("frames");
        let texts = std::iter::from_fn(next).filter_map(|incoming| match incoming {
            Incoming::Text(text) => Some(text),
            Incoming::Close(code) => Some(format!("closed {code:?}")),
            Incoming::Ping | Incoming::Pong | Incoming::Heartbeat => None,
        });
        texts.collect()
    }

    /// The only message that has come.
    pub fn read_one(&self) -> String {
        let mut texts = self.read();
        assert_eq!(texts.len(), 1, "{texts:#?}");
        texts.remove(0)
    }
}

impl Broker {
    /// Starts a broker, whose session is open.
    pub fn start(node: &'static str, shared: bool, log: &mut Log) -> Self {
        let options = JournalOptions {
            nonce: 77,
            record_bytes: 4096,
            queue_bytes: 1 << 20,
            unavailable_ms: 1000,
            shared,
            stale_ms: STALE_MS,
            wake: Box::new(|| {}),
        };
        let limits =
            Limits { heartbeat_ms: HEARTBEAT_MS, order_base: 1_000_000, order_age_us: 1 << 50, ..Limits::default() };
        let engine = Engine::with_journal(limits, 1, vec![Box::new(|| {})], options);
        engine.end_reading();
        let shard = Shard::new(engine.clone(), 0, Arc::<ShardStats>::default());
        let mut broker = Self {
            node,
            engine,
            shard,
            applied: Applied::default(),
            read_to: 0,
            answers: Answers::default(),
            waiting: VecDeque::new(),
            now_us: 1_000_000,
            session: 0,
        };
        broker.open(log);
        broker
    }

    /// Opens the next session.
    pub fn open(&mut self, log: &mut Log) {
        self.session += 1;
        let engine = self.engine.clone();
        let gathering = engine.journal().expect("it has one").gathering();
        let opening = gathering.open(self.node, self.session).expect("a name");
        log.push((self.node, opening.bytes));
        self.waiting.push_back(opening.waiting);
        while self.read(log, 1) {}
        gathering.begin(self.session);
    }

    pub fn now(&self) -> Now {
        Now { mono_us: self.now_us, wall_us: self.now_us }
    }

    pub fn publish(&self, line: &str) {
        let update = parse_line(line).expect("a line");
        let journal = self.engine.journal().expect("it has one");
        self.engine.submit_publish(journal, &update, ReplyTo::Nobody).expect("it is taken");
    }

    /// Writes what is gathered. Returns how many barriers are among it.
    pub fn write(&mut self, log: &mut Log) -> usize {
        let engine = self.engine.clone();
        let mut barriers = 0;
        while let Some(gathered) = engine.journal().expect("it has one").gathering().take() {
            let record = Record::decode(&gathered.bytes).expect("a record");
            barriers += record.commands.iter().filter(|entry| matches!(entry, Entry::Barrier)).count();
            log.push((self.node, gathered.bytes));
            self.waiting.push_back(gathered.waiting);
        }
        barriers
    }

    /// Reads so many records. Returns whether there was one.
    pub fn read(&mut self, log: &Log, records: usize) -> bool {
        let (engine, before) = (self.engine.clone(), self.read_to);
        let journal = engine.journal().expect("it has one");
        for (node, bytes) in log.iter().skip(before).take(records) {
            let logged = Logged { node, position: self.read_to as u64, ts_us: 5, bytes };
            let mut results = Vec::new();
            self.applied
                .apply(&engine, self.now_us, logged, |_, result| results.push(result))
                .expect("a record of this version");
            self.read_to += 1;
            if *node != self.node {
                continue;
            }
            let waiting = self.waiting.pop_front().expect("it is its own");
            for (waiting, result) in waiting.into_iter().zip(results) {
                match result {
                    Some(result) => self.answers.push(journal, waiting, result),
                    None => self.answers.settle(journal, &waiting),
                }
            }
        }
        self.answers.flush(journal, engine.feed());
        self.read_to > before
    }

    /// The log takes nothing any more.
    pub fn refuse(&mut self) {
        let engine = self.engine.clone();
        let journal = engine.journal().expect("it has one");
        let gathered = journal.gathering().refuse("it is full");
        for waiting in std::mem::take(&mut self.waiting).into_iter().flatten().chain(gathered) {
            self.answers.push(journal, waiting, Err(unknown()));
        }
        self.answers.flush(journal, engine.feed());
    }

    /// What it has written is read, and nobody waits for it any more.
    pub fn forget_waiting(&mut self, log: &Log) {
        let own = log.iter().skip(self.read_to).filter(|(node, _)| *node == self.node);
        self.waiting = own.map(|_| Vec::new()).collect();
        while self.read(log, 1) {}
    }

    /// Lets the shard work until it would sleep.
    pub fn run(&mut self) {
        let mut more = true;
        while more {
            let now = self.now();
            more = self.shard.take_in(now);
            more |= self.shard.take_answers(now);
            while let Some(conn) = self.shard.next_released() {
                while self.shard.has_released(conn) && self.shard.may_read(conn) {
                    self.shard.handle_released(now, conn);
                }
            }
            more |= self.shard.turn(&mut || now);
            self.shard.begin_requests();
            more |= self.shard.tick(now);
            more |= self.shard.has_answers() || self.shard.has_entries();
        }
        assert_eq!(self.shard.next_released(), None, "it would sleep");
    }

    /// Lets time pass, and the shard work when it wants to be woken.
    pub fn pass(&mut self, ms: u64) {
        let until_us = self.now_us + ms * 1000;
        loop {
            self.now_us = self.shard.next_tick_us().clamp(self.now_us, until_us);
            for conn in self.shard.connections(0).collect::<Vec<_>>() {
                self.shard.heard(conn);
            }
            self.run();
            if self.now_us == until_us {
                return;
            }
        }
    }

    pub fn connect(&mut self, is_stream: bool) -> Client {
        let pipe = pipe(is_stream);
        let conn = self.shard.connect(self.now(), SimSink(pipe.clone()));
        Client { conn, pipe }
    }

    /// Connects a client that sends these messages.
    pub fn client(&mut self, messages: &[&str]) -> Client {
        let client = self.connect(false);
        for message in messages {
            self.shard.handle(self.now(), client.conn, message);
        }
        self.run();
        client
    }
}

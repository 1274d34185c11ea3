//! A broker without sockets: an engine, and the journal that it is driven by.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use broker_engine::journal::{JournalOptions, ReplyTo, Waiter};
use broker_engine::{Engine, Limits, Now, Outcome, SavedTopic};
use broker_journal::{Drive, JournalError, LastEnd, Opened, Options, Pause, Status};
use broker_protocol::data::Data;
use broker_protocol::kind::Kind;
use broker_protocol::request::{Publication, Refusal};

/// What came of updates, in the order in which that was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<(u64, Answer)>>);

/// The epoch and the `seq` of an update, or why it was refused.
type Answer = Result<(Box<str>, u64), Refusal>;

impl Waiter for Told {
    fn answered(&self, number: u64, result: Result<Outcome, Refusal>) {
        let told = result.map(|outcome| {
            let published = outcome.published().expect("an update, or the end of a topic");
            (published.topic.epoch().into(), published.seq)
        });
        self.0.lock().unwrap().push((number, told));
    }
}

pub struct Broker {
    pub engine: Arc<Engine>,
    pub drive: Drive,
    pub status: Arc<Status>,
    pub last_end: LastEnd,
    pub told: Arc<Told>,
    submitted: u64,
}

pub fn clock() -> Now {
    let wall_us = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    Now { mono_us: wall_us - 1_000_000_000, wall_us }
}

pub fn options(dir: &Path) -> Options {
    Options { dir: dir.join("journal"), sync_ms: 10, bytes_max: 64 << 20, checkpoint_bytes: 1 << 20 }
}

impl Broker {
    pub fn start(options: Options, limits: Limits) -> Result<Self, JournalError> {
        let opened = Opened::open(options, &limits, clock)?;
        let (status, last_end) = (opened.status().clone(), opened.last_end());
        let order = opened.order();
        let limits = Limits { order_base: order.base, order_first: order.first, ..limits };
        let journal = JournalOptions {
            nonce: opened.nonce(),
            record_bytes: 4096,
            queue_bytes: 1 << 20,
            unavailable_ms: 1000,
            shared: false,
            stale_ms: 0,
            wake: Box::new(|| {}),
        };
        let engine = Engine::with_journal(limits, 7, Vec::new(), journal);
        let drive = opened.read(engine.clone())?;
        engine.end_reading();
        Ok(Self { engine, drive, status, last_end, told: Arc::default(), submitted: 0 })
    }

    pub fn publish(&mut self, topic: &str, kind: Kind, data: &str, source: Option<(&str, u64)>) -> Result<(), Refusal> {
        let source = source.map(|(source, number)| (Cow::Borrowed(source), number));
        let data = Data::check(data).unwrap();
        let update = Publication { topic: Cow::Borrowed(topic), kind: Some(kind), data, source, source_ts: None };
        self.submitted += 1;
        let reply_to = ReplyTo::Waiter(self.told.clone(), self.submitted);
        self.engine.submit_publish(self.engine.journal().unwrap(), &update, reply_to)
    }

    pub fn end(&mut self, topic: &str) -> Result<(), Refusal> {
        self.submitted += 1;
        let reply_to = ReplyTo::Waiter(self.told.clone(), self.submitted);
        self.engine.submit_end(self.engine.journal().unwrap(), topic, reply_to)
    }

    /// Lets the journal do all that there is to do.
    pub fn run(&mut self) {
        while self.drive.round().unwrap() == Pause::None {}
    }

    /// Takes out what was told of updates, in order.
    pub fn told(&self) -> Vec<Answer> {
        let told = std::mem::take(&mut *self.told.0.lock().unwrap());
        assert!(told.is_sorted_by_key(|(number, _)| *number));
        told.into_iter().map(|(_, told)| told).collect()
    }

    /// All that a client could see, but for the age of it.
    pub fn topics(&self) -> Vec<SavedTopic> {
        let (mut topics, rest) = self.engine.save_topics(clock(), None, usize::MAX);
        assert!(rest.is_none());
        for topic in &mut topics {
            // A refused command has a place, too.
            (topic.age_us, topic.place) = (0, 0);
            topic.updates.iter_mut().for_each(|update| update.age_us = 0);
        }
        topics
    }
}

//! The engine, its clients, its log, and the model beside them, on a virtual clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_engine::journal::{Journal, JournalOptions};
use broker_engine::{Engine, Granted, Limits, Now, Publishes, Rates, Retain, TopicRule};
use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;

use super::asked::Request;
use super::client::{Client, Counts, Truth, count};
use super::dice::Dice;
use super::driver::Driver;
use super::log::Log;
use super::model::{FIXED, IMAGE_BYTES, Model};
use super::network::{Incoming, SimSink, pipe};
use super::offer::Update;

/// What sets the epochs of the log apart from those of another.
pub const NONCE: u64 = 7;
/// What an engine with a journal that waits for ever has to wait, in ms.
const PATIENT_MS: u64 = 1_000_000_000;
/// Rounds within which the first subscriptions take effect.
const ROUNDS_MAX: usize = 1000;

pub struct World {
    pub dice: Dice,
    pub now_us: u64,
    trace: bool,
    pub limits: Limits,
    /// How long a publish waits for its answer, if that is not for ever. Then all of them have ids.
    pub gives_up_us: Option<u64>,
    pub engine: Arc<Engine>,
    pub drivers: Vec<Driver>,
    pub clients: Vec<Client>,
    pub model: Model,
    pub updates: Vec<Update>,
    pub log: Log,
    pub met: Counts,
}

/// Makes the limits of a history.
fn limits(dice: &mut Dice) -> Limits {
    let retain = Retain { updates: 10_000, bytes: 1 << 24, ms: 0 };
    let fixed = Pattern::parse(&format!("{FIXED}>")).expect("a pattern");
    Limits {
        topics_max: dice.pick(&[2, 4, 1000, 1000]),
        image_bytes: IMAGE_BYTES,
        topics: vec![TopicRule { pattern: fixed, kind: Some(Kind::State), retain }],
        retain,
        // Nobody falls behind here: another simulation is about that.
        behind_bytes: 1 << 22,
        ring_bytes: 4 << 20,
        heartbeat_ms: 400,
        topic_idle_ms: dice.pick(&[0, 100]),
        ..Limits::default()
    }
}

/// An engine with a journal, and a flag that it sets when something waits for the log.
pub fn engine(
    limits: &Limits,
    options: (usize, u64, u64),
    notified: &[Arc<AtomicBool>],
) -> (Arc<Engine>, Arc<AtomicBool>) {
    let set = |flag: &Arc<AtomicBool>| -> Box<dyn Fn() + Send + Sync> {
        let flag = flag.clone();
        Box::new(move || flag.store(true, Ordering::Relaxed))
    };
    let (woken, (record_bytes, queue_bytes, unavailable_ms)) = (Arc::default(), options);
    let options = JournalOptions {
        nonce: NONCE,
        record_bytes,
        queue_bytes,
        unavailable_ms,
        shared: false,
        stale_ms: 0,
        wake: set(&woken),
    };
    (Engine::with_journal(limits.clone(), 5, notified.iter().map(set).collect(), options), woken)
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Result<Self, String> {
        let mut dice = Dice::new(seed);
        let (limits, shards) = (limits(&mut dice), dice.range(1..4));
        let notified: Vec<Arc<AtomicBool>> = (0..shards).map(|_| Arc::default()).collect();
        let gives_up_ms = dice.pick(&[None, Some(30), Some(200)]);
        let options = (dice.pick(&[1, 200, 2000]), dice.pick(&[600, 5000, 1 << 20]), gives_up_ms.unwrap_or(PATIENT_MS));
        let (engine, woken) = engine(&limits, options, &notified);
        engine.end_reading();
        let drivers = notified.into_iter().enumerate();
        let drivers = drivers.map(|(index, notified)| Driver::new(&engine, index, notified)).collect();
        let mut world = Self {
            dice,
            now_us: 1_000_000,
            trace,
            limits,
            gives_up_us: gives_up_ms.map(|ms| ms * 1000),
            engine,
            drivers,
            clients: Vec::new(),
            model: Model::default(),
            updates: Vec::new(),
            log: Log::new(woken),
            met: Counts::default(),
        };
        // One on each shard sees everything from the beginning.
        for shard in 0..shards as usize {
            let id = world.connect(shard);
            world.clients[id].watched = Some(0);
            world.clients[id].outgoing.push_back(Request::Subscribe(vec![">".to_owned()]));
        }
        let asks = |client: &Client| !client.asked.is_empty() || !client.outgoing.is_empty();
        for _ in 0..ROUNDS_MAX {
            if !world.clients.iter().any(asks) {
                break;
            }
            (0..world.drivers.len()).try_for_each(|shard| world.step(shard).map(|_| ()))?;
        }
        if world.clients.iter().any(asks) {
            return Err("a subscription does not take effect".to_owned());
        }
        Ok(world)
    }

    /// Prints what happens, if tracing is on.
    pub fn log(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>10} {}", self.now_us, what());
        }
    }

    pub fn met(&self, what: &'static str) {
        count(&self.met, what);
    }

    pub fn now(&self) -> Now {
        Now { mono_us: self.now_us, wall_us: self.now_us + 1_000_000_000 }
    }

    pub fn journal(&self) -> &Journal {
        self.engine.journal().expect("it has one")
    }

    /// Clients whose connection is open, without those that only watch.
    pub fn open(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|id| !self.clients[*id].over && self.clients[*id].watched.is_none()).collect()
    }

    /// Notes which connections the broker has dropped.
    fn note_dropped(&mut self) {
        for client in self.clients.iter_mut().filter(|client| !client.over && client.pipe.borrow().dropped) {
            client.over = true;
            self.drivers[client.shard].released.remove(&client.conn);
        }
    }

    pub fn connect(&mut self, shard: usize) -> usize {
        self.note_dropped();
        let (now, pipe) = (self.now(), pipe(false));
        self.drivers[shard].wake(shard);
        let conn = self.drivers[shard].shard.connect(now, SimSink(pipe.clone()));
        let mut client = Client::new(self.clients.len() as u64, shard, conn, pipe);
        if self.clients.len() >= self.drivers.len() && self.dice.percent(25) {
            let rates = Rates { publishes: self.dice.pick(&[1, 5]) as u32, ..Rates::default() };
            self.drivers[shard].shard.grant(conn, Granted { rates, publishes: None });
            client.quota = Some((Publishes::default(), rates));
        }
        if self.clients.iter().any(|other| other.over && (other.shard, other.conn) == (shard, conn)) {
            self.met("numbers used again");
        }
        self.clients.push(client);
        self.log(|| format!("client {} is number {conn} of shard {shard}", self.clients.len() - 1));
        self.clients.len() - 1
    }

    /// The broker notices that a client is gone.
    pub fn hang_up(&mut self, id: usize) {
        self.log(|| format!("client {id} hangs up"));
        let client = &mut self.clients[id];
        client.over = true;
        if client.asked.iter().any(|asked| !asked.updates.is_empty()) {
            count(&self.met, "hung up before an answer");
        }
        let (shard, conn) = (client.shard, client.conn);
        let driver = &mut self.drivers[shard];
        driver.wake(shard);
        driver.released.remove(&conn);
        driver.shard.disconnect(conn);
    }

    /// Lets the clients of a shard read what has arrived, and checks it.
    pub fn read(&mut self, shard: usize) -> Result<(), String> {
        self.note_dropped();
        for id in 0..self.clients.len() {
            if self.clients[id].shard != shard || self.clients[id].over {
                continue;
            }
            loop {
                let incoming = self.clients[id].pipe.borrow_mut().take()?;
                let Some(incoming) = incoming else { break };
                match incoming {
                    Incoming::Text(text) => {
                        self.log(|| format!("client {id} reads {text}"));
                        let truth = Truth {
                            model: &self.model,
                            updates: &self.updates,
                            now_us: self.now_us,
                            gives_up_us: self.gives_up_us,
                            met: &self.met,
                        };
                        let read = self.clients[id].take(truth, &text);
                        read.map_err(|error| format!("client {id}: {error}; it read {text}"))?;
                    }
                    Incoming::Close(code) if self.clients[id].quota.is_some() => self.clients[id].closed = Some(code),
                    Incoming::Close(code) => return Err(format!("client {id} was closed with {code:?}")),
                    Incoming::Ping | Incoming::Pong | Incoming::Heartbeat => {}
                }
            }
        }
        let (topics, max) = (self.engine.topics_len() as u64, self.limits.topics_max + self.log.late);
        if topics > max { Err(format!("there are {topics} topics, and topics_max is {max}")) } else { Ok(()) }
    }
}

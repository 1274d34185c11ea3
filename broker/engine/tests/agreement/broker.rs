//! A broker without sockets: its engine, and shards with clients.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use broker_engine::{Ask, Engine, Limits, Met, Now, Retain, Shard, ShardStats, Sink, Walk, Wrote};
use broker_protocol::pattern::Pattern;

/// What epochs are made from, the same on all brokers of a log.
const NONCE: u64 = 7;

/// A socket that takes everything.
#[derive(Clone, Default)]
pub struct Socket(Rc<RefCell<Vec<u8>>>);

impl Socket {
    /// What was written since the last call, as text; the heads of frames are no text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.0.borrow_mut())).into_owned()
    }
}

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        self.0.borrow_mut().extend_from_slice(bytes);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

/// One broker: its engine, and shards whose clients have it append to the feed.
pub struct Broker {
    pub engine: Arc<Engine>,
    shards: Vec<Shard<Socket>>,
}

impl Broker {
    pub fn new(limits: Limits, shards: usize) -> Self {
        let notify = (0..shards).map(|_| Box::new(|| {}) as Box<dyn Fn() + Send + Sync>).collect();
        let engine = Engine::new(limits, NONCE, notify);
        let shards = (0..shards).map(|index| Shard::new(engine.clone(), index, Arc::<ShardStats>::default())).collect();
        Self { engine, shards }
    }

    /// Connects a client to the first shard that subscribes to an entry: a name or an object, as JSON.
    pub fn subscribe(&mut self, now: Now, entry: &str) -> Socket {
        let socket = Socket::default();
        if let Some(shard) = self.shards.first_mut() {
            let id = shard.connect(now, socket.clone());
            shard.handle(now, id, &format!(r#"{{"op":"subscribe","topics":[{entry}]}}"#));
        }
        socket
    }

    /// Lets the shards do what there is to do.
    pub fn run(&mut self, now: Now) {
        for shard in &mut self.shards {
            for _ in 0..3 {
                shard.take_in(now);
                shard.turn(&mut || now);
                shard.begin_requests();
                shard.tick(now);
            }
        }
    }

    /// The updates that a topic retains.
    pub fn history(&self, topic: &str) -> Option<(u64, u64, Vec<Vec<u8>>)> {
        let page = self.engine.history(topic, Ask::Last(100))?;
        let (first, updates) = page.updates(page.first, 100, usize::MAX);
        Some((page.seq, first, updates.iter().map(|frame| frame.bytes().to_vec()).collect()))
    }

    /// What all brokers must have in common: every topic, with its image, and the last ordinal.
    pub fn state(&self) -> Vec<String> {
        state_of(&self.engine)
    }
}

/// What all brokers must have in common: every topic, with its image, and the last ordinal.
pub fn state_of(engine: &Engine) -> Vec<String> {
    let mut walk = Walk::new(Pattern::parse(">").expect("a pattern"), None);
    let mut state = vec![format!("ordinal {}", engine.feed().ordinal())];
    loop {
        match engine.next_row(&mut walk, &mut 1000) {
            Met::One(row) => {
                let image = engine.image(&row.topic).map(|image| image.encode());
                let image = image.map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned());
                state.push(format!("{} {} {:?} {} {} {image:?}", row.topic, row.epoch, row.kind, row.seq, row.last_ts));
            }
            Met::Pause => {}
            Met::End => return state,
        }
    }
}

/// The limits of a broker whose own bounds are so small that they would refuse nearly everything.
pub fn cramped() -> Limits {
    let retain = Retain { updates: 2, bytes: 100, ms: 1 };
    Limits { topics_max: 1, images_bytes_max: 1, sources_bytes_max: 1, retain, ..common() }
}

/// What brokers on one log have in common.
pub fn common() -> Limits {
    Limits { image_bytes: 120, ..Limits::default() }
}

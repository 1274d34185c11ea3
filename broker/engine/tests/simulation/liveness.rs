//! Progress under load: a publisher constantly keeps more in the feed than a round takes in, and everyone else must
//! make progress nevertheless, within the number of rounds given here.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use broker_engine::{ConnId, Engine, Limits, Now, Publisher, Shard, ShardStats};
use broker_protocol::request::parse_line;

use super::network::{Pipe, SharedPipe, SimSink};

/// Bytes that are always in the feed: more than a round takes in.
const BACKLOG_BYTES: u64 = 400_000;
/// Maximum number of updates of each busy topic in a round.
const PUBLISHED_PER_ROUND: usize = 1_000;
/// Quiet topics with an image, which a pattern introduces.
const QUIET: usize = 60;
/// Rounds within which a pattern introduces all of them, a few at a time.
const ROUNDS_OF_A_WALK: usize = 4_000;
/// Rounds within which a connection in step must get an update, once the shard has read it.
const ROUNDS_OF_AN_UPDATE: usize = 60;
/// Maximum number of entries that a round takes in, whoever else has a turn in it.
const ENTRIES_OF_A_ROUND: u64 = if cfg!(feature = "planted-faults") { 3 } else { 1_024 };
/// Connections that walk at the same time.
const WALKERS: usize = 64;
/// Minimum number of rounds for counting, if its work is counted: many patterns, each over all quiet topics.
const ROUNDS_OF_A_COUNT: usize = if cfg!(feature = "planted-faults") { 300 } else { 3 };

struct Load {
    engine: Arc<Engine>,
    shard: Shard<SimSink>,
    now: Now,
    published: u64,
    pipes: Vec<SharedPipe>,
    /// The most entries that a round took in.
    entries_max: u64,
}

impl Load {
    fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
        let shard = Shard::new(engine.clone(), 0, Arc::<ShardStats>::default());
        let now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };
        Self { engine, shard, now, published: 0, pipes: Vec::new(), entries_max: 0 }
    }

    fn publish(&mut self, topic: &str, kind: &str) {
        self.published += 1;
        let line = format!(r#"{{"topic":"{topic}","kind":"{kind}","data":{{"n":{}}}}}"#, self.published);
        let update = parse_line(&line).expect("a publish");
        self.engine.publish(self.now, &update, Publisher::Client).expect("it is taken");
    }

    fn connect(&mut self, room: usize) -> (ConnId, SharedPipe) {
        let pipe = Rc::new(RefCell::new(Pipe { room, ..Pipe::default() }));
        self.pipes.push(pipe.clone());
        (self.shard.connect(self.now, SimSink(pipe.clone())), pipe)
    }

    /// A round of the shard's loop, with the feed kept longer than the round takes in.
    fn round(&mut self) {
        // Updates of topics that nobody is subscribed to are not appended to the feed.
        for _ in 0..PUBLISHED_PER_ROUND {
            if self.engine.feed().backlog_bytes() < BACKLOG_BYTES {
                self.publish("busy.a", "event");
                self.publish("busy.b", "state");
            }
        }
        self.round_of_shard();
    }

    fn round_of_shard(&mut self) {
        self.now.mono_us += 1_000;
        self.now.wall_us += 1_000;
        let (now, entries) = (self.now, self.shard.stats().entries.get());
        self.shard.take_in(now);
        self.shard.turn(&mut || now);
        self.shard.begin_requests();
        self.shard.tick(now);
        self.entries_max = self.entries_max.max(self.shard.stats().entries.get() - entries);
    }

    /// Runs rounds until `count` messages that contain `what` have come; returns their number. What other connections
    /// get meanwhile is discarded.
    fn rounds_until(&mut self, pipe: &SharedPipe, what: &str, count: usize, at_most: usize) -> Result<usize, String> {
        let mut seen = 0;
        for round in 0..at_most {
            // A turn writes whole messages to a socket with room.
            let arrived = std::mem::take(&mut pipe.borrow_mut().arrived);
            seen += String::from_utf8_lossy(&arrived).matches(what).count();
            if seen >= count {
                return Ok(round);
            }
            self.pipes.iter().for_each(|pipe| pipe.borrow_mut().arrived.clear());
            self.round();
        }
        Err(format!("{seen} of {count} {what} within {at_most} rounds"))
    }
}

/// Runs all checks. Returns what went wrong, if anything.
pub fn check() -> Result<(), String> {
    let mut load = Load::new(Limits { feed_bytes_max: 64 << 20, ..Limits::default() });
    for number in 0..QUIET {
        load.publish(&format!("quiet.{number:02}"), "state");
    }
    let (busy, busy_pipe) = load.connect(usize::MAX);
    load.shard.handle(load.now, busy, r#"{"op":"subscribe","topics":["busy.a"]}"#);
    let (viewer, viewer_pipe) = load.connect(usize::MAX);
    load.shard.handle(load.now, viewer, r#"{"op":"subscribe","topics":["busy.b"],"conflate_ms":10}"#);
    let (step, step_pipe) = load.connect(usize::MAX);
    load.shard.handle(load.now, step, r#"{"op":"subscribe","topics":["quiet.00"]}"#);
    load.rounds_until(&step_pipe, r#""op":"image""#, 1, ROUNDS_OF_AN_UPDATE)?;
    load.rounds_until(&busy_pipe, r#""op":"update""#, 1, ROUNDS_OF_AN_UPDATE)?;

    // A pattern's images are sent although the feed is never read to its end, and `ready` after them.
    let (walker, walker_pipe) = load.connect(usize::MAX);
    load.shard.handle(load.now, walker, r#"{"op":"subscribe","id":1,"topics":["quiet.>"],"ready":true}"#);
    load.rounds_until(&walker_pipe, r#""op":"image","topic":"quiet."#, QUIET, ROUNDS_OF_A_WALK)?;
    load.rounds_until(&walker_pipe, r#"{"op":"ready","id":1}"#, 1, ROUNDS_OF_AN_UPDATE)?;

    // A connection in step gets an update soon after the shard has read it, even beside connections with much to catch
    // up.
    let backlog = load.engine.feed().backlog_bytes();
    load.publish("quiet.00", "state");
    let rounds = load.rounds_until(&step_pipe, r#""op":"update","topic":"quiet.00""#, 1, ROUNDS_OF_A_WALK)?;
    if rounds > ROUNDS_OF_AN_UPDATE + backlog as usize / 300 {
        return Err(format!("an update took {rounds} rounds, with {backlog} bytes before it"));
    }

    // A view continues at its interval.
    load.rounds_until(&viewer_pipe, r#""topic":"busy.b""#, 5, ROUNDS_OF_A_WALK)?;

    // An expensive request is spread over rounds, and answered.
    let wide = vec![r#""quiet.*""#; 400].join(",");
    let (counter, counter_pipe) = load.connect(usize::MAX);
    let request = format!(r#"{{"op":"subscribe","id":7,"topics":[{wide}]}}"#);
    load.shard.handle(load.now, counter, &request);
    let rounds = load.rounds_until(&counter_pipe, r#""op":"subscribed","id":7"#, 1, ROUNDS_OF_A_WALK)?;
    if rounds < ROUNDS_OF_A_COUNT {
        return Err(format!("400 patterns were counted in {rounds} rounds: the work is not counted"));
    }

    // However many walk, a round takes in no more than its part, and they get on.
    let walkers: Vec<_> = (0..WALKERS).map(|_| load.connect(usize::MAX)).collect();
    for (walker, _) in &walkers {
        load.shard.handle(load.now, *walker, r#"{"op":"subscribe","topics":["quiet.>"]}"#);
    }
    load.rounds_until(&walkers[WALKERS - 1].1, r#""op":"image","topic":"quiet."#, 1, ROUNDS_OF_A_WALK)?;
    if load.entries_max > ENTRIES_OF_A_ROUND {
        return Err(format!("a round took in {} entries, more than {ENTRIES_OF_A_ROUND}", load.entries_max));
    }

    // Clients that stop reading are bounded by their budget, whatever is published.
    let limits = Limits { behind_bytes: 500, behind_bytes_max: 20_000, ..Limits::default() };
    let mut load = Load::new(limits);
    for _ in 0..8 {
        let (stalled, _) = load.connect(400);
        load.shard.handle(load.now, stalled, r#"{"op":"subscribe","topics":["many.>"]}"#);
    }
    for number in 0..2_000 {
        load.publish(&format!("many.{}", number % 500), "state");
        if number % 20 == 0 {
            load.round_of_shard();
        }
    }
    for _ in 0..ROUNDS_OF_AN_UPDATE {
        load.round_of_shard();
    }
    let behind = load.engine.budget().behind();
    if behind > 20_000 { Err(format!("connections behind want {behind} bytes, more than 20000")) } else { Ok(()) }
}

//! The end of a history: the log goes on, and every socket is open. Everything is answered, nothing is held, everybody
//! has every update; and another engine that reads the same log comes to the same.

use broker_engine::{Applied, Engine, Limits, Logged, Met, Walk};
use broker_protocol::pattern::Pattern;

use super::driver::At;
use super::log::NODE;
use super::message::Message;
use super::world::{World, engine};

/// Rounds within which everything must come to rest.
const ROUNDS_MAX: usize = 4000;
/// Steps of a shard in which it must fall asleep.
const STEPS_MAX: usize = 20_000;
/// The time that a round takes, in µs.
const ROUND_US: u64 = 1000;
/// By how much giving up may be late, in µs: by a sweep over the connections.
const LATE_US: u64 = 60_000;

/// Lets everything come to rest.
pub fn settle(world: &mut World) -> Result<(), String> {
    world.log(|| "settle".to_owned());
    for client in &world.clients {
        client.pipe.borrow_mut().room = usize::MAX;
    }
    if world.gives_up_us.is_some() {
        give_up(world)?;
    }
    for _ in 0..ROUNDS_MAX {
        world.now_us += ROUND_US;
        if world.log.is_refused {
            world.open_session()?;
        }
        world.write(0);
        world.store(true);
        while world.apply()? {}
        world.flush();
        rest(world)?;
        let asks = world.clients.iter().any(|client| !client.over && !client.outgoing.is_empty());
        if world.log.is_at_rest() && !asks {
            return at_rest(world);
        }
    }
    Err("it never comes to rest".to_owned())
}

/// The log stands still: what was asked is answered nevertheless.
fn give_up(world: &mut World) -> Result<(), String> {
    // Each of them may have to wait for the one before it.
    let longest =
        world.clients.iter().map(|client| client.asked.len() + client.outgoing.len()).max().unwrap_or(0) as u64;
    let until_us = world.now_us + (world.gives_up_us.unwrap_or(0) + LATE_US) * (longest + 1);
    while world.now_us < until_us {
        world.now_us += LATE_US / 4;
        rest(world)?;
    }
    unanswered(world)
}

/// Runs steps until every shard sleeps.
fn rest(world: &mut World) -> Result<(), String> {
    for _ in 0..STEPS_MAX {
        let mut moved = false;
        for shard in 0..world.drivers.len() {
            moved |= world.step(shard)?;
        }
        if !moved {
            return Ok(());
        }
    }
    let restless: Vec<_> =
        world.drivers.iter().filter(|driver| driver.at != At::Asleep).map(|driver| driver.at).collect();
    let events: Vec<_> = (0..world.drivers.len()).map(|shard| world.events(shard)).collect();
    Err(format!("shards never come to rest: {restless:?}, {events:?}"))
}

/// Checks that every request was answered.
fn unanswered(world: &mut World) -> Result<(), String> {
    for (id, client) in world.clients.iter().enumerate().filter(|(_, client)| !client.over) {
        let waits = client.asked.iter().find(|asked| !asked.is_silent(&world.updates));
        if let Some(asked) = waits {
            return Err(format!("client {id} has no answer to {asked:?}"));
        }
    }
    Ok(())
}

fn at_rest(world: &mut World) -> Result<(), String> {
    unanswered(world)?;
    let gathering = world.journal().gathering();
    let (bytes, beginning, buffers) = (gathering.bytes(), gathering.beginning(), world.engine.budget().buffers());
    if (bytes, beginning, buffers) != (0, 0, 0) {
        return Err(format!("at rest, {bytes} bytes wait, {beginning} topics begin, buffers hold {buffers}"));
    }
    for (id, client) in world.clients.iter().enumerate().filter(|(_, client)| !client.over) {
        for (topic, stream) in &client.streams {
            if !stream.is_complete(&world.model, topic) {
                return Err(format!("client {id} lacks something of {topic}: {stream:?}"));
            }
        }
        if client.watched.is_some_and(|watched| watched != world.model.order.len()) {
            return Err(format!("client {id} has {:?} of {} updates", client.watched, world.model.order.len()));
        }
    }
    let rows = state(&world.engine).1;
    if rows.len() as u64 != world.model.live_len() {
        return Err(format!("the topics are {rows:#?}"));
    }
    rows.iter().try_for_each(|row| {
        let epoch = world.model.live(&row.topic).ok_or_else(|| format!("{} has ended", row.topic))?;
        let image = row.image.as_deref().map(Message::parse).transpose()?;
        let state = image.map(|image| serde_json::from_str(image.raw("data")?).map_err(|error| error.to_string()));
        let right = (!epoch.is_event).then(|| epoch.states.last().cloned().unwrap_or_default());
        let same = state.transpose()? == right && row.epoch == epoch.name && row.seq == epoch.seq();
        if same { Ok(()) } else { Err(format!("{row:?} is not {epoch:?}")) }
    })
}

/// Checks that nothing is held when all have left.
pub fn all_leave(world: &mut World) -> Result<(), String> {
    for id in 0..world.clients.len() {
        if !world.clients[id].over {
            world.hang_up(id);
        }
    }
    world.now_us += ROUND_US * 1000;
    rest(world)?;
    let budget = world.engine.budget();
    let held = [budget.buffers(), budget.behind(), budget.subscriptions(), budget.names(), budget.leaving()];
    for client in &world.clients {
        if world.drivers[client.shard].shard.has_released(client.conn) || !client.pipe.borrow().dropped {
            return Err("a connection that is gone is held".to_owned());
        }
    }
    if held == [0; 5] { Ok(()) } else { Err(format!("when all have left, {held:?} is held")) }
}

/// Starts another engine with the same log.
pub fn again(world: &World) -> Result<(), String> {
    let limits = Limits { image_bytes: 1, topics_max: 1, topics: Vec::new(), ..world.limits.clone() };
    let (other, _) = engine(&limits, (1000, 1000, 1000), &[]);
    let mut applied = Applied::default();
    for (position, (ts_us, bytes)) in (0..).zip(&world.log.stored) {
        let logged = Logged { node: NODE, position, ts_us: *ts_us, bytes };
        applied.apply(&other, position, logged, |_, _| {}).map_err(|error| error.to_string())?;
    }
    other.end_reading();
    let (before, after) = (state(&world.engine), state(&other));
    if before != after {
        return Err(format!("after a restart the topics are {after:#?}, and not {before:#?}"));
    }
    let journal = other.journal().ok_or("it has no journal")?;
    if journal.settings() != world.journal().settings() || journal.settings() != Some(world.engine.own_settings()) {
        return Err(format!("after a restart the settings are {:?}", journal.settings()));
    }
    if applied.commands() != world.log.applied.commands() {
        return Err(format!("after a restart there are {} commands", applied.commands()));
    }
    // Its own settings are other ones; with the same, nothing would be submitted.
    let gathering = journal.gathering();
    let opening = gathering.open(NODE, world.log.session + 1).map_err(|flaw| flaw.to_string())?;
    gathering.begin(world.log.session + 1);
    other.submit_settings(journal).map_err(|refusal| refusal.message)?;
    let gathered = std::iter::once(opening).chain(std::iter::from_fn(|| gathering.take()));
    for (position, gathered) in (world.log.stored.len() as u64..).zip(gathered) {
        let logged = Logged { node: NODE, position, ts_us: 0, bytes: &gathered.bytes };
        applied.apply(&other, 0, logged, |_, _| {}).map_err(|error| error.to_string())?;
    }
    let same = journal.settings() == Some(other.own_settings());
    if same { Ok(()) } else { Err(format!("its own settings do not count: {:?}", journal.settings())) }
}

/// A topic as an engine has it.
#[derive(Debug, PartialEq)]
struct Row {
    topic: String,
    epoch: String,
    seq: u64,
    last_ts: u64,
    image: Option<String>,
}

/// The last ordinal, and every topic.
fn state(engine: &Engine) -> (u64, Vec<Row>) {
    let mut walk = Walk::new(Pattern::parse(">").expect("a pattern"), None);
    let mut topics = Vec::new();
    loop {
        match engine.next_row(&mut walk, &mut 1000) {
            Met::One(row) => {
                let image = engine.image(&row.topic).map(|image| image.encode());
                let image = image.map(|frame| String::from_utf8_lossy(frame.payload()).into_owned());
                let (topic, epoch) = (row.topic.to_string(), row.epoch.to_string());
                topics.push(Row { topic, epoch, seq: row.seq, last_ts: row.last_ts, image });
            }
            Met::Pause => {}
            Met::End => return (engine.feed().ordinal(), topics),
        }
    }
}

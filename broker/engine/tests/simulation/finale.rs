//! The end of a history: nothing is published any more and every socket is open. Every subscriber must have everything,
//! and when all have left, nothing must be held for any of them.

use broker_engine::{Met, Walk};
use broker_protocol::pattern::Pattern;

use super::client::Client;
use super::driver::At;
use super::model::Model;
use super::request::Request;
use super::stream::Phase;
use super::subscriptions::is_pattern;
use super::world::World;

/// Steps within which an idle broker must come to rest.
const STEPS_MAX: usize = 20_000;

/// Gaps between writes within which everything must have been written.
const GAPS_MAX: usize = 400;

/// Updates published one at a time while all shards sleep, before the history is complete.
const FINAL_UPDATES: usize = 4;

/// The intervals after each of which further conflated streams must be complete.
const LADDER_MS: [u64; 10] = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Lets everything come to rest, and checks that every subscriber knows all that it subscribed to.
pub fn settle(world: &mut World) -> Result<(), String> {
    world.log(|_| "settle".to_owned());
    for id in world.open() {
        let client = &world.clients[id];
        let mut pipe = client.pipe.borrow_mut();
        pipe.room = usize::MAX;
    }
    // A lost wake-up shows if every shard sleeps when one more update comes.
    for _ in 0..FINAL_UPDATES {
        drain(world)?;
        all_complete(world, 0)?;
        let offer = world.habits.offer(&mut world.dice);
        world.publish(&offer)?;
    }
    let began_us = world.now_us;
    for interval_ms in LADDER_MS {
        world.now_us = world.now_us.max(began_us + interval_ms * 1000);
        let quiet_ms = (world.now_us - began_us) / 1000;
        drain(world)?;
        all_complete(world, quiet_ms)?;
    }
    gauges(world)?;
    listing(world)
}

/// Writes everything that waits: at once, or a turn's worth of bytes per gap between two writes.
fn drain(world: &mut World) -> Result<(), String> {
    rest(world)?;
    let gap_us = world.limits.write_gap_us;
    for _ in 0..GAPS_MAX {
        let waits = |client: &&Client| !client.over && world.drivers[client.shard].shard.has_pending(client.conn);
        if gap_us == 0 || world.clients.iter().find(waits).is_none() {
            break;
        }
        world.now_us += gap_us;
        rest(world)?;
    }
    Ok(())
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
    let restless: Vec<_> = world.drivers.iter().enumerate().filter(|(_, driver)| driver.at != At::Asleep).collect();
    let restless: Vec<_> = restless.into_iter().map(|(index, _)| index).collect();
    Err(format!("shards {restless:?} never come to rest"))
}

/// Checks that every client got everything of subscriptions with intervals up to this one.
fn all_complete(world: &World, quiet_ms: u64) -> Result<(), String> {
    for id in world.open() {
        let client = &world.clients[id];
        if world.has_small_sums && world.drivers[client.shard].shard.is_closing(client.conn) {
            // It had to pay, and its slot waits until its entry in a queue comes up.
            continue;
        }
        complete(&world.clients[id], &world.model, quiet_ms)
            .map_err(|error| format!("client {id}, {quiet_ms} ms after the last publish: {error}"))?;
    }
    Ok(())
}

/// Checks that a client got everything of subscriptions with intervals up to this one.
fn complete(client: &Client, model: &Model, interval_ms: u64) -> Result<(), String> {
    if let Some((id, answer)) = client.awaited.front() {
        return Err(format!("no answer to {id}: {answer:?}"));
    }
    for (name, epochs) in &model.topics {
        let Some(best) = client.known.best(name) else { continue };
        let (at, epoch) = (epochs.len() - 1, &epochs[epochs.len() - 1]);
        if best.conflate_ms(epoch.kind) > interval_ms {
            continue;
        }
        let Some(stream) = client.streams.get(name) else {
            if epoch.closed {
                continue;
            }
            return Err(format!("{name} was not introduced"));
        };
        let right = match stream.phase {
            Phase::Running if epoch.closed => stream.forgotten && stream.epoch_at == Some(at),
            Phase::Running => stream.epoch_at == Some(at) && stream.is_current(epoch),
            _ => epoch.closed,
        };
        if !right {
            let (phase, last, expect) = (stream.phase, stream.last, stream.expect);
            let (seq, closed) = (epoch.seq(), epoch.closed);
            return Err(format!(
                "{name} is {phase:?} in {:?} at {last}, waits for {expect:?}; the topic is at {seq} in {at}, closed: {closed}",
                stream.epoch_at
            ));
        }
    }
    Ok(())
}

/// The counters match what exists.
fn gauges(world: &World) -> Result<(), String> {
    for (index, driver) in world.drivers.iter().enumerate() {
        let here = || world.clients.iter().filter(|client| client.shard == index && !client.over);
        let (open, held) = (here().count() as u64, here().map(|client| client.held.all.len() as u64).sum::<u64>());
        let stats = &driver.stats;
        let counted = [
            ("connections", stats.connections.get(), open),
            ("subscriptions", stats.subscriptions.get(), held),
            ("parked", stats.parked.get(), 0),
            ("pinned_bytes", stats.pinned_bytes.get(), 0),
        ];
        for (what, told, right) in counted {
            if told != right {
                return Err(format!("shard {index} counts {told} {what}, there are {right}"));
            }
        }
    }
    let (live, told) = (world.model.live_names().count(), world.engine.topics_len());
    if live == told { Ok(()) } else { Err(format!("{told} topics, there are {live}")) }
}

/// If no client is left and no topic lives, nothing is held.
fn budgets(world: &World) -> Result<(), String> {
    let budget = world.engine.budget();
    let counted = [
        ("histories", budget.histories()),
        ("images", budget.images()),
        ("encoded images", budget.encoded()),
        ("states for differences", budget.bases()),
        ("sources", budget.sources()),
        ("wants", budget.behind()),
        ("half-written frames", budget.partial()),
        ("buffers", budget.buffers()),
        ("what is leaving", budget.leaving()),
        ("names", budget.names()),
        ("subscriptions", budget.subscriptions()),
    ];
    match counted.iter().find(|(_, bytes)| *bytes > 0) {
        Some((what, bytes)) => Err(format!("{bytes} bytes of {what} are counted for nobody")),
        None => Ok(()),
    }
}

/// The listing shows each topic as it is.
fn listing(world: &World) -> Result<(), String> {
    let mut walk = Walk::new(Pattern::parse(">").expect("a pattern"), None);
    let mut rows = Vec::new();
    loop {
        // Very few steps, so that the walk is interrupted and resumed in the middle of everything.
        match world.engine.next_row(&mut walk, &mut 2) {
            Met::One(row) => rows.push(row),
            Met::Pause => {}
            Met::End => break,
        }
    }
    let names: Vec<&str> = rows.iter().map(|row| &*row.topic).collect();
    let right: Vec<&str> = world.model.live_names().map(String::as_str).collect();
    if names != right {
        return Err(format!("the listing has {names:?}, there are {right:?}"));
    }
    for row in rows {
        let epoch = world.model.live(&row.topic).expect("it was compared");
        let open = world.clients.iter().filter(|client| !client.over);
        let subscribers: u64 = open.map(|client| client.held.count(&row.topic)).sum();
        let last_ts = epoch.update(epoch.seq()).map_or(0, |update| update.ts);
        let right = (epoch.kind, &*epoch.name, epoch.seq(), subscribers, last_ts);
        let told = (row.kind, &*row.epoch, row.seq, row.subscribers, row.last_ts);
        if told != right {
            return Err(format!("the listing shows {} as {told:?}, it is {right:?}", row.topic));
        }
    }
    Ok(())
}

/// First half of the clients unsubscribe, then all hang up and every topic is deleted: nothing may be left.
pub fn all_leave(world: &mut World) -> Result<(), String> {
    for id in world.open() {
        if id % 2 == 0 {
            let (topics, patterns): (Vec<_>, Vec<_>) =
                world.clients[id].held.all.iter().map(|held| held.entry.clone()).partition(|entry| !is_pattern(entry));
            world.clients[id].outgoing.push_back(Request::Unsubscribe(topics));
            world.clients[id].outgoing.push_back(Request::Unsubscribe(patterns));
        }
    }
    rest(world)?;
    for name in world.model.live_names().cloned().collect::<Vec<_>>() {
        if world.dice.percent(50) {
            world.delete(&name)?;
        }
    }
    for id in world.open() {
        world.hang_up(id);
    }
    for name in world.model.live_names().cloned().collect::<Vec<_>>() {
        world.delete(&name)?;
        if world.model.live(&name).is_some() {
            // The shards had still to read of topics that ended earlier.
            rest(world)?;
            world.delete(&name)?;
        }
    }
    for _ in 0..5 {
        rest(world)?;
        world.now_us += 2_000_000;
    }
    gauges(world)?;
    budgets(world)?;
    for (index, driver) in world.drivers.iter().enumerate() {
        let local_topics = driver.stats.local_topics.get();
        if local_topics > 0 {
            return Err(format!("shard {index} still follows {local_topics} names for nobody"));
        }
    }
    if world.engine.feed().backlog_bytes() > world.limits.feed_bytes_max {
        return Err("the feed is not read".to_owned());
    }
    Ok(())
}

//! A random history: everything that can happen, in any order; then everything comes to rest and must be right.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::finale;
use super::world::World;

/// Minimum and maximum number of steps of a history.
const STEPS: std::ops::Range<u64> = 500..2500;
/// Maximum number of connections open at a time.
const CLIENTS_MAX: usize = 5;

/// A client sends no more while it has so many requests to be read.
const OUTGOING_MAX: usize = 6;

/// How often something was met.
pub type Met = BTreeMap<&'static str, u64>;

/// What the histories must meet.
pub const MUST_MEET: [&str; 27] = [
    "published",
    "duplicates",
    "batches",
    "kind_mismatch",
    "no_state",
    "too_large",
    "bad_topic",
    "forbidden",
    "limit",
    "unavailable",
    "rate_limited",
    "lines over a quota",
    "topics that would begin",
    "topics over topics_max",
    "idle topics",
    "topics ended",
    "updates of producers",
    "publishes held",
    "messages released",
    "pongs that overtook",
    "given up",
    "records of many",
    "refused by the log",
    "late records",
    "records dropped",
    "numbers used again",
    "hung up before an answer",
];

/// Runs the history of a seed to its end. Returns what it met, or what went wrong.
pub fn run(seed: u64, trace: bool) -> Result<Met, String> {
    let history = AssertUnwindSafe(|| {
        let mut world = World::new(seed, trace)?;
        world.open_session()?;
        live(&mut world)?;
        finale::settle(&mut world)?;
        finale::all_leave(&mut world)?;
        finale::again(&world)?;
        Ok(world.met.into_inner())
    });
    catch_unwind(history).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

fn live(world: &mut World) -> Result<(), String> {
    let weights = [
        world.dice.pick(&[40, 80, 120]), // a step of a shard
        world.dice.pick(&[10, 20]),      // a request
        world.dice.pick(&[2, 5]),        // a producer
        world.dice.pick(&[5, 15, 30]),   // a record is written
        world.dice.pick(&[5, 15, 30]),   // records are stored
        world.dice.pick(&[5, 15, 30]),   // records are applied
        world.dice.pick(&[5, 15]),       // answers are given to the shards
        world.dice.pick(&[0, 1]),        // the log refuses, or a record comes late
        world.dice.pick(&[1, 3]),        // topics end
        world.dice.pick(&[5, 15]),       // time
        world.dice.pick(&[2, 8]),        // the network
        2,                               // a connection opens or breaks
    ];
    for _ in 0..world.dice.range(STEPS) {
        let what = world.dice.weighted(&weights);
        step(world, what)?;
        if world.log.is_refused && world.dice.percent(4) {
            world.arrive();
            if world.dice.percent(60) {
                world.open_session()?;
            }
        }
    }
    Ok(())
}

fn step(world: &mut World, what: usize) -> Result<(), String> {
    let open = world.open();
    let somebody = (!open.is_empty()).then(|| world.dice.pick(&open));
    match (what, somebody) {
        (0, _) => {
            let shard = world.dice.index(world.drivers.len());
            for _ in 0..world.dice.range(1..8) {
                if !world.step(shard)? {
                    break;
                }
            }
        }
        (1, Some(id)) if world.clients[id].outgoing.len() < OUTGOING_MAX => {
            for _ in 0..world.dice.pick(&[1, 1, 3]) {
                let request = world.request(id);
                world.clients[id].outgoing.push_back(request);
            }
        }
        (2, _) => {
            let (update, offer) = world.offer();
            world.publish(update, offer)?;
        }
        (3, _) => {
            for _ in 0..world.dice.pick(&[1, 2, 9]) {
                let for_us = world.dice.pick(&[0, 0, 500, 20_000, 300_000]);
                world.write(for_us);
            }
        }
        (4, _) => world.store(false),
        (5, _) => {
            for _ in 0..world.dice.range(1..9) {
                world.apply()?;
            }
        }
        (6, _) => world.flush(),
        (7, _) if world.dice.percent(30) => world.refuse()?,
        (7, _) => world.arrive(),
        (8, _) if world.dice.percent(50) => {
            let topic = world.topic();
            world.end(topic)?;
            world.met("topics ended");
        }
        (8, _) => world.tidy()?,
        (9, _) => world.now_us += world.dice.pick(&[10, 300, 5000, 50_000]),
        (10, Some(id)) => {
            let room = world.dice.pick(&[0, 1, 60, 700, usize::MAX, usize::MAX]);
            world.log(|| format!("client {id} has room for {room}"));
            world.clients[id].pipe.borrow_mut().room = room;
        }
        (11, Some(id)) if open.len() >= CLIENTS_MAX || world.dice.percent(40) => {
            world.clients[id].pipe.borrow_mut().gone = true;
            if world.dice.percent(50) {
                world.hang_up(id);
            }
        }
        (11, _) => {
            let shard = world.dice.index(world.drivers.len());
            world.connect(shard);
        }
        _ => {}
    }
    Ok(())
}

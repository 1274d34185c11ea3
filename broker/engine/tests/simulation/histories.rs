//! A random history: everything that can happen to a broker, in any order; then everything comes to rest and must be
//! right.

use broker_engine::ShardStats;

use super::finale;
use super::request::Request;
use super::traffic::{SMALL_RING_FROM, options, resume_entries};
use super::world::World;

/// Minimum and maximum number of steps of a history.
const STEPS: std::ops::Range<u64> = 150..450;

/// Maximum number of connections open at a time.
const CLIENTS_MAX: usize = 6;

/// The probabilities of a history, drawn for each.
struct Profile {
    /// Weights of what may happen in a step, in the order of `step`.
    weights: [u32; 8],
    /// Chance in a hundred that a socket has little room.
    narrow: u32,
}

/// What a history encountered, by the engine's own counters: a simulation that never evicts proves nothing about
/// eviction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    pub deliveries: u64,
    pub cut_writes: u64,
    pub fell_behind: u64,
    pub paid: u64,
    pub evicted: u64,
    pub images: u64,
    pub gaps: u64,
    pub closed_slow: u64,
    pub duplicates: u64,
    pub lacked_room: u64,
    pub permitted: u64,
    pub times_set_back: u64,
}

impl Met {
    fn of(world: &World) -> Self {
        let sum = |count: fn(&ShardStats) -> u64| world.drivers.iter().map(|driver| count(&driver.stats)).sum();
        Self {
            deliveries: sum(|stats| stats.deliveries.get()),
            cut_writes: sum(|stats| stats.writes_short.get()),
            fell_behind: sum(|stats| stats.fell_behind.get()),
            paid: sum(|stats| stats.paid.get()),
            evicted: sum(|stats| stats.evicted.get()),
            images: sum(|stats| stats.images.get()),
            gaps: sum(|stats| stats.gaps.get()),
            closed_slow: sum(|stats| stats.closed.get(broker_protocol::CloseReason::Slow)),
            duplicates: world.engine.published().1,
            lacked_room: world.clients.iter().map(|client| client.lacked_room).sum(),
            permitted: world.permitted,
            times_set_back: world.times_set_back(),
        }
    }

    /// The counts, to be summed and examined one by one.
    pub fn counts(&self) -> [(&'static str, u64); 12] {
        [
            ("deliveries", self.deliveries),
            ("writes cut", self.cut_writes),
            ("times behind", self.fell_behind),
            ("connections that had to pay", self.paid),
            ("evictions", self.evicted),
            ("images", self.images),
            ("gaps", self.gaps),
            ("closed as slow", self.closed_slow),
            ("duplicates", self.duplicates),
            ("entries that lacked room", self.lacked_room),
            ("changed permissions", self.permitted),
            ("wall clocks set back", self.times_set_back),
        ]
    }
}

/// Runs the history of a seed to its end. Returns what it encountered, or what went wrong.
pub fn run(seed: u64, trace: bool) -> Result<Met, String> {
    let world = std::panic::AssertUnwindSafe(|| {
        let mut world = World::new(seed, trace);
        live(&mut world, seed >= SMALL_RING_FROM)?;
        finale::settle(&mut world)?;
        finale::all_leave(&mut world)?;
        Ok(Met::of(&world))
    });
    std::panic::catch_unwind(world).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

fn live(world: &mut World, tight: bool) -> Result<(), String> {
    let dice = &mut world.dice;
    let profile = Profile {
        weights: [
            dice.pick(&[20, 40, 80]), // a step of a shard
            dice.pick(&[10, 30, 60]), // a publish
            dice.pick(&[4, 10]),      // a request
            dice.pick(&[2, 8]),       // the network
            dice.pick(&[5, 15]),      // time
            dice.pick(&[0, 1, 3]),    // a topic's end
            dice.pick(&[0, 1, 3]),    // tidying topics
            3,                        // a connection opens or closes
        ],
        narrow: dice.pick(&[0, 20, 60]).max(if tight { 40 } else { 0 }),
    };
    for _ in 0..world.dice.range(STEPS) {
        step(world, &profile)?;
        world.open_doors();
    }
    Ok(())
}

fn step(world: &mut World, profile: &Profile) -> Result<(), String> {
    let open = world.open();
    let somebody = if open.is_empty() { None } else { Some(world.dice.pick(&open)) };
    match (world.dice.weighted(&profile.weights), somebody) {
        (0, _) => {
            let shard = world.dice.index(world.drivers.len());
            for _ in 0..world.dice.range(1..8) {
                if !world.step(shard)? {
                    break;
                }
            }
        }
        (1, _) => {
            for _ in 0..world.dice.pick(&[1, 1, 1, 2, 5, 20]) {
                let offer = world.habits.offer(&mut world.dice);
                world.publish(&offer)?;
            }
        }
        (2, Some(id)) if world.clients[id].outgoing.len() < 3 => {
            let request = world.habits.request(&mut world.dice, &world.clients[id]);
            world.clients[id].outgoing.push_back(request);
        }
        (3, Some(id)) => {
            let narrow = world.dice.percent(profile.narrow);
            let room = if narrow { world.dice.pick(&[0, 1, 7, 60, 700]) } else { usize::MAX };
            world.log(|_| format!("client {id} has room for {room}"));
            world.clients[id].pipe.borrow_mut().room = room;
        }
        (4, _) => {
            let us = match world.dice.range(0..20) {
                0..11 => world.dice.range(1..500),
                11..17 => world.dice.range(500..20_000),
                17..19 => world.dice.range(20_000..200_000),
                _ => world.dice.range(200_000..3_000_000),
            };
            world.pass(us);
        }
        (5, _) => {
            let name = world.habits.name(&mut world.dice);
            world.delete(&name)?;
        }
        (6, _) => {
            let after = world.dice.percent(30).then(|| world.habits.name(&mut world.dice));
            let count = world.dice.range(1..15) as usize;
            world.tidy(after.as_deref(), count)?;
        }
        (7, Some(id)) if open.len() >= CLIENTS_MAX || world.dice.percent(40) => lose(world, id),
        (7, _) => {
            let shard = world.dice.index(world.drivers.len());
            world.connect(shard);
        }
        _ => {}
    }
    Ok(())
}

/// A connection breaks, noticed by the broker or not; usually its client comes back and resumes.
fn lose(world: &mut World, id: usize) {
    world.log(|_| format!("client {id} loses its connection"));
    world.clients[id].pipe.borrow_mut().gone = true;
    if world.dice.percent(50) {
        world.hang_up(id);
    }
    if world.dice.percent(30) {
        return;
    }
    let shard = world.dice.index(world.drivers.len());
    let new = world.connect(shard);
    let entries = resume_entries(&world.clients[id]);
    let mut remembered = world.clients[id].remembered.clone();
    remembered.extend(world.clients[id].streams.clone());
    world.clients[new].remembered = remembered;
    if !entries.is_empty() {
        let options = options(&mut world.dice);
        world.clients[new].outgoing.push_back(Request::Subscribe { entries, options });
    }
}

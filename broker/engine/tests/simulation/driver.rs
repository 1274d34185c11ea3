//! The driver of a shard: its loop, one step at a time, so that anything may happen between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_engine::{Engine, Shard, ShardStats};

use super::network::SimSink;
use super::request::Request;
use super::world::World;

/// Where the driver of a shard is in its loop; see the crate's documentation of the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    TakeIn,
    Turn,
    Requests,
    Tick,
    /// It announced that it is about to sleep, and has to look once more.
    LastLook,
    Asleep,
}

/// A shard and its driver.
pub struct Driver {
    pub shard: Shard<SimSink>,
    pub stats: Arc<ShardStats>,
    pub at: At,
    /// Something was left to do in this round.
    pub more: bool,
    notified: Arc<AtomicBool>,
    /// Number of times that it took a connection out of step.
    pub out_of_step: u64,
}

impl Driver {
    /// Shard `index` of an engine that notifies through `notified`.
    pub fn new(engine: &Arc<Engine>, index: usize, notified: Arc<AtomicBool>) -> Self {
        let stats = Arc::<ShardStats>::default();
        let shard = Shard::new(engine.clone(), index, stats.clone());
        Self { shard, stats, at: At::TakeIn, more: false, notified, out_of_step: 0 }
    }

    pub fn is_notified(&self) -> bool {
        self.notified.load(Ordering::Relaxed)
    }

    fn wake_up(&mut self, index: usize) {
        self.notified.store(false, Ordering::Relaxed);
        self.shard.engine().feed().wake(index).woke();
        (self.at, self.more) = (At::Requests, true);
    }
}

/// The loop of a shard, one step at a time, with anything possible between two steps.
impl World {
    pub fn wake(&mut self, index: usize) {
        if matches!(self.drivers[index].at, At::Asleep | At::LastLook) {
            self.drivers[index].wake_up(index);
        }
    }

    /// Whether this client gives its shard something to do.
    fn has_event(&self, id: usize) -> bool {
        let client = &self.clients[id];
        if client.over {
            return false;
        }
        let pipe = client.pipe.borrow();
        let publishes = matches!(client.outgoing.front(), Some(Request::Publish(_) | Request::Batch(_)));
        pipe.gone
            || client.closed.is_some()
            || (pipe.waits && pipe.room > 0)
            || (!client.outgoing.is_empty()
                && !client.waits_for_subscribed()
                && self.drivers[client.shard].shard.may_read(client.conn)
                && (!publishes || self.engine.has_room()))
    }

    fn events(&self, shard: usize) -> Vec<usize> {
        (0..self.clients.len()).filter(|id| self.clients[*id].shard == shard && self.has_event(*id)).collect()
    }

    fn serve(&mut self, id: usize) -> Result<(), String> {
        let client = &self.clients[id];
        let (gone, writable) = {
            let pipe = client.pipe.borrow();
            (pipe.gone || client.closed.is_some(), pipe.waits && pipe.room > 0)
        };
        if gone {
            self.hang_up(id);
        } else if writable {
            let mut pipe = client.pipe.borrow_mut();
            pipe.waits = false;
            pipe.flush();
            drop(pipe);
            let (shard, conn) = (client.shard, client.conn);
            self.drivers[shard].shard.writable(conn);
        } else {
            self.handle(id)?;
        }
        Ok(())
    }

    /// Runs one step of a shard's loop. Returns false if it keeps sleeping.
    pub fn step(&mut self, index: usize) -> Result<bool, String> {
        let now = self.now();
        let events = self.events(index);
        if self.drivers[index].at != At::Asleep {
            self.log(|world| format!("shard {index} {:?}", world.drivers[index].at));
        }
        let driver = &mut self.drivers[index];
        match driver.at {
            At::TakeIn => {
                driver.more = driver.shard.take_in(now);
                driver.at = At::Turn;
            }
            At::Turn => {
                driver.more |= driver.shard.turn(&mut || now);
                driver.at = At::Requests;
            }
            At::Requests => {
                driver.more |= !events.is_empty();
                driver.at = At::Tick;
                if !events.is_empty() {
                    for _ in 0..self.dice.range(1..4) {
                        let events = self.events(index);
                        if !events.is_empty() {
                            let id = self.dice.pick(&events);
                            self.serve(id)?;
                        }
                    }
                }
            }
            At::Tick => {
                driver.more |= driver.shard.tick(now);
                driver.at = At::TakeIn;
                if !driver.more {
                    driver.shard.engine().feed().wake(index).about_to_sleep();
                    driver.at = At::LastLook;
                }
            }
            At::LastLook if driver.shard.has_entries() => driver.wake_up(index),
            At::LastLook => driver.at = At::Asleep,
            At::Asleep if driver.is_notified() || !events.is_empty() || driver.shard.next_tick_us() <= self.now_us => {
                driver.wake_up(index);
            }
            At::Asleep => return Ok(false),
        }
        self.read(index)?;
        Ok(true)
    }
}

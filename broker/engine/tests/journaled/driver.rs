//! The driver of a shard: its loop, one step at a time, so that anything may happen between two steps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_engine::{ConnId, Engine, Shard, ShardStats};

use super::network::SimSink;
use super::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    TakeIn,
    Turn,
    Answers,
    Requests,
    Tick,
    /// It announced that it is about to sleep, and has to look once more.
    LastLook,
    Asleep,
}

pub struct Driver {
    pub shard: Shard<SimSink>,
    pub at: At,
    more: bool,
    notified: Arc<AtomicBool>,
    /// Connections with messages that waited for answers.
    pub released: BTreeSet<ConnId>,
    /// The updates whose answers it was given and has not passed on.
    pub given: Vec<usize>,
}

impl Driver {
    pub fn new(engine: &Arc<Engine>, index: usize, notified: Arc<AtomicBool>) -> Self {
        let shard = Shard::new(engine.clone(), index, Arc::<ShardStats>::default());
        Self { shard, at: At::TakeIn, more: false, notified, released: BTreeSet::new(), given: Vec::new() }
    }

    /// Its socket has something for it.
    pub fn wake(&mut self, index: usize) {
        if matches!(self.at, At::Asleep | At::LastLook) {
            self.wake_up(index);
        }
    }

    fn wake_up(&mut self, index: usize) {
        self.notified.store(false, Ordering::Relaxed);
        self.shard.engine().feed().wake(index).woke();
        self.at = At::TakeIn;
    }

    fn note_released(&mut self) {
        while let Some(conn) = self.shard.next_released() {
            self.released.insert(conn);
        }
        self.released.retain(|conn| self.shard.has_released(*conn));
    }
}

impl World {
    /// What a client gives its shard to do, if anything.
    fn event(&self, id: usize) -> Option<Event> {
        let client = &self.clients[id];
        let (driver, conn) = (&self.drivers[client.shard], client.conn);
        let pipe = client.pipe.borrow();
        if client.over {
            None
        } else if pipe.gone || client.closed.is_some() {
            Some(Event::Gone)
        } else if pipe.waits && pipe.room > 0 {
            Some(Event::Writable)
        } else if !driver.shard.may_read(conn) {
            None
        } else if driver.released.contains(&conn) {
            Some(Event::Released)
        } else {
            let request = client.outgoing.front()?;
            (!request.publishes() || self.engine.has_room()).then_some(Event::Request)
        }
    }

    pub fn events(&self, shard: usize) -> Vec<(usize, Event)> {
        let ids = (0..self.clients.len()).filter(|id| self.clients[*id].shard == shard);
        ids.filter_map(|id| Some((id, self.event(id)?))).collect()
    }

    fn serve(&mut self, id: usize, event: Event) -> Result<(), String> {
        let (shard, conn) = (self.clients[id].shard, self.clients[id].conn);
        match event {
            Event::Gone => self.hang_up(id),
            Event::Writable => {
                self.clients[id].pipe.borrow_mut().waits = false;
                self.drivers[shard].shard.writable(conn);
            }
            // A driver may read what is new before what was held: that has to wait, too.
            Event::Released if self.clients[id].outgoing.is_empty() || self.dice.percent(80) => self.release(id)?,
            Event::Released | Event::Request => self.hand_over(id)?,
        }
        self.drivers[shard].note_released();
        Ok(())
    }

    /// Runs one step of a shard's loop. Returns false if it keeps sleeping.
    pub fn step(&mut self, index: usize) -> Result<bool, String> {
        let (now, events) = (self.now(), self.events(index));
        let driver = &mut self.drivers[index];
        for client in self.clients.iter().filter(|client| client.shard == index && !client.over) {
            driver.shard.heard(client.conn);
        }
        match driver.at {
            At::TakeIn => {
                driver.more = driver.shard.take_in(now);
                driver.at = At::Turn;
            }
            At::Turn => {
                driver.more |= driver.shard.turn(&mut || now);
                driver.at = At::Answers;
            }
            At::Answers => {
                let more = driver.shard.take_answers(now);
                driver.more |= more;
                driver.at = At::Requests;
                driver.note_released();
                if !more {
                    for update in driver.given.drain(..) {
                        self.updates[update].passed_us = Some(now.mono_us);
                    }
                }
            }
            At::Requests => {
                driver.more |= !events.is_empty();
                driver.at = At::Tick;
                driver.shard.begin_requests();
                for _ in 0..self.dice.range(1..5) {
                    let events = self.events(index);
                    if !events.is_empty() {
                        let (id, event) = events[self.dice.index(events.len())];
                        self.serve(id, event)?;
                    }
                }
            }
            At::Tick => {
                driver.more |= driver.shard.tick(now);
                driver.note_released();
                driver.at = At::TakeIn;
                if !driver.more {
                    driver.shard.engine().feed().wake(index).about_to_sleep();
                    driver.at = At::LastLook;
                }
            }
            At::LastLook if driver.shard.has_entries() || driver.shard.has_answers() => driver.wake_up(index),
            At::LastLook => driver.at = At::Asleep,
            At::Asleep
                if driver.notified.load(Ordering::Relaxed)
                    || !events.is_empty()
                    || driver.shard.next_tick_us() <= self.now_us =>
            {
                driver.wake_up(index);
            }
            At::Asleep => return Ok(false),
        }
        self.read(index)?;
        Ok(true)
    }
}

/// What a client may give its shard to do.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Gone,
    Writable,
    Released,
    Request,
}

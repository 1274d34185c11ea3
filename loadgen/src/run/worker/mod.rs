//! One thread of load: its subscribers, and in the first thread the publishers.

mod disturb;
mod ending;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use disturb::{Disturbance, Slowness};
use ending::{Ending, WindowCpu};

use super::publisher::Publisher;
use super::subscribers::Subscribers;
use super::{Shared, Target};
use crate::clock::mono_ns;
use crate::measure::tally::{Interval, Tally};
use crate::plan::Plan;
use crate::poll::Ready;
use crate::protocol::Protocol;
use crate::scenario::Scenario;

/// Sockets read before the publisher gets its turn again.
const READS_PER_TURN: usize = 4;
/// How often slow subscribers read, connections are counted and the publishers' connections are read.
const TICK_NS: u64 = 20_000_000;

/// The parameters of a worker.
pub(super) struct Part {
    pub(super) scenario: Arc<Scenario>,
    pub(super) protocol: Protocol,
    pub(super) target: Target,
    pub(super) plan: Arc<Plan>,
    pub(super) shared: Arc<Shared>,
    pub(super) verify: bool,
    /// Its number.
    pub(super) index: u32,
    /// The number of workers.
    pub(super) of: u32,
    pub(super) intervals: Sender<Interval>,
}

pub(super) struct Worker {
    part: Arc<Part>,
    subscribers: Subscribers,
    publisher: Option<Publisher>,
    disturbance: Disturbance,
    ending: Ending,
    cpu: WindowCpu,
    tick_ns: u64,
}

impl Worker {
    pub(super) fn new(part: Part) -> Result<Self, String> {
        let part = Arc::new(part);
        Ok(Self {
            subscribers: Subscribers::new(&part)?,
            publisher: None,
            disturbance: Disturbance::new(&part.scenario, part.index, part.of),
            ending: Ending::default(),
            cpu: WindowCpu::default(),
            tick_ns: 0,
            part,
        })
    }

    /// Runs until the run is over.
    pub(super) fn run(mut self) -> Result<Tally, String> {
        let result = self.serve();
        // Subscribers had all their time to drain, unless the run was cut short.
        let cut_short = result.is_err() || self.part.shared.stop.load(Ordering::Acquire);
        let missing = self.subscribers.missing();
        let tally = &mut self.subscribers.counts().tally;
        *(if cut_short { &mut tally.missing } else { &mut tally.undelivered }) += missing;
        if let Err(error) = result {
            // If another thread was first, its reason is kept.
            let _ = self.part.shared.why.set(error);
            self.part.shared.stop.store(true, Ordering::Release);
        }
        self.send_interval(0);
        Ok(self.subscribers.into_tally())
    }

    fn serve(&mut self) -> Result<(), String> {
        let mut ready: Vec<Ready> = Vec::new();
        while !self.part.shared.stop.load(Ordering::Acquire) {
            let now_ns = mono_ns();
            self.subscribers.connect_some(now_ns);
            self.begin(now_ns)?;
            let mut next_publish_ns = self.publish()?;
            if now_ns >= self.tick_ns {
                self.tick_ns = now_ns + TICK_NS;
                if self.tick(now_ns)? {
                    return Ok(());
                }
            }
            self.subscribers.wait(next_publish_ns.min(self.tick_ns), now_ns, &mut ready)?;
            for (index, ready) in ready.iter().enumerate() {
                self.subscribers.serve(*ready);
                // Due updates go out between two reads. A closed loop waits for the end of the round, so that several
                // of its updates share a write.
                if index % READS_PER_TURN == READS_PER_TURN - 1 && next_publish_ns <= mono_ns() {
                    next_publish_ns = self.publish()?;
                }
            }
        }
        Ok(())
    }

    /// Once every subscriber has tried: connects the publishers, and takes over the times when they are fixed.
    fn begin(&mut self, now_ns: u64) -> Result<(), String> {
        if let Some(times) = self.subscribers.times() {
            if let Some(cpu_ns) = self.cpu.look(&times, now_ns) {
                self.subscribers.counts().tally.window_cpu_ns = cpu_ns;
            }
            return Ok(());
        }
        if self.everybody_tried() && !self.part.shared.subscribed.load(Ordering::Acquire) {
            return Err("no subscriber could subscribe".to_owned());
        }
        let publishes = self.part.index == 0 && self.part.scenario.publishes();
        if publishes && self.publisher.is_none() && self.everybody_tried() {
            let Part { scenario, protocol, target, plan, shared, .. } = &*self.part;
            self.publisher = Some(Publisher::connect(scenario, protocol, target, plan, shared)?);
            self.part.shared.publishing.store(true, Ordering::Release);
        }
        if let Some(&times) = self.part.shared.times.get() {
            self.subscribers.counts().times = Some(times);
            if self.disturbance.begin(&times) {
                self.subscribers.pause_slow(true);
            }
        }
        Ok(())
    }

    fn everybody_tried(&self) -> bool {
        self.part.shared.tried.load(Ordering::Acquire) >= self.part.scenario.subscribers.count
    }

    /// Publishes due updates. Returns when the next one is due.
    fn publish(&mut self) -> Result<u64, String> {
        let (Some(publisher), Some(times)) = (&mut self.publisher, self.subscribers.times()) else {
            return Ok(u64::MAX);
        };
        let counts = self.subscribers.counts();
        let (next_ns, published) = publisher.publish(&times, &mut counts.tally)?;
        counts.interval.published += published;
        Ok(next_ns)
    }

    /// Does what is not done in every round. Returns whether the run is over.
    fn tick(&mut self, now_ns: u64) -> Result<bool, String> {
        if let Some(publisher) = &mut self.publisher {
            publisher.listen(&mut self.subscribers.counts().tally)?;
        }
        let Some(times) = self.subscribers.times() else { return Ok(false) };
        let second = (now_ns.saturating_sub(times.publish_ns) / 1_000_000_000) as u32;
        if second != self.subscribers.counts().interval.second {
            self.send_interval(second);
        }
        if now_ns >= times.publish_ns && now_ns < times.window_ns.1 {
            let (all, in_storm) = (self.subscribers.len(), self.subscribers.leaving());
            for leave in self.disturbance.leaving(&times, now_ns, all, in_storm) {
                self.subscribers.leave(leave.index, leave.back_ns, leave.in_storm);
            }
        }
        if now_ns < times.window_ns.1 {
            self.ending.check_deserted(&self.part, self.subscribers.are_gone())?;
        }
        match self.disturbance.slowness(now_ns) {
            Slowness::None => {}
            Slowness::Portion(bytes) => self.subscribers.read_slow(bytes),
            Slowness::Over => self.subscribers.pause_slow(false),
        }
        Ok(self.ending.is_over(&self.part, &times, now_ns, || self.subscribers.have_all()))
    }

    fn send_interval(&mut self, next_second: u32) {
        let interval = self.subscribers.counts().take_interval(next_second);
        // Fails only if the run has already ended.
        let _ = self.part.intervals.send(interval);
    }
}

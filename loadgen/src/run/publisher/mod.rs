//! Publishes due updates: on connections of their own, by the first worker's thread, which never waits for them.

mod closed_loop;
mod line;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use closed_loop::{ClosedLoop, LOOK_AGAIN_NS, Room};
use line::Line;

use super::{Shared, Target, Times};
use crate::clock::mono_ns;
use crate::measure::Schedule;
use crate::measure::tally::Tally;
use crate::payload::{self, Stamp};
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::scenario::{Drive, Scenario};

/// The most bytes that wait for a publisher's socket. Above this, nothing is published until there is room; the times
/// at which updates were due do not change.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// The most updates written before sockets are polled again.
const UPDATES_PER_TURN: u32 = 64;
/// An update is late when it is handed over this long after it was due.
const LATE_NS: u64 = 1_000_000;

pub(super) struct Publisher {
    lines: Vec<Line>,
    protocol: Protocol,
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    drive: Drive,
    schedule: Schedule,
    kind: String,
    bytes: usize,
    batch: u32,
    /// The topics' names, as the server writes them.
    names: Vec<String>,
    /// The number of subscribers of each topic.
    followers: Vec<u64>,
    /// Updates of each topic so far.
    counts: Vec<u64>,
    random: StdRng,
    published: u64,
    /// Deliveries due for the published updates.
    due: u64,
    closed_loop: ClosedLoop,
    payload: Vec<u8>,
    text: Vec<u8>,
}

impl Publisher {
    /// Connects, and waits until that is done: nothing is measured yet.
    pub(super) fn connect(
        scenario: &Scenario,
        protocol: &Protocol,
        target: &Target,
        plan: &Arc<Plan>,
        shared: &Arc<Shared>,
    ) -> Result<Self, String> {
        let by_path = protocol.publishes_by_path();
        let names: Vec<String> = plan.topics.iter().map(|name| protocol.spelled(name)).collect();
        let lines = if by_path { names.len() } else { scenario.publish.publishers as usize };
        let line = |index: usize| {
            let endpoint = target.of_publisher(index);
            let path = endpoint.path.as_deref().unwrap_or(protocol.default_path());
            Line::connect(index, target, &protocol.publisher_path(path, &names[index]), protocol)
                .map_err(|error| format!("a publisher could not connect to {}: {error}", endpoint.address))
        };
        let lines = (0..lines).map(line).collect::<Result<Vec<_>, _>>()?;
        let mut followers = vec![0; names.len()];
        for subscriber in 0..scenario.subscribers.count {
            plan.topics_of(subscriber).into_iter().for_each(|topic| followers[topic as usize] += 1);
        }
        let drive = scenario.publish.drive();
        let per_second = match drive {
            Drive::Rate(rate) => rate,
            Drive::InFlight(_) => 1.0,
        };
        Ok(Self {
            lines,
            protocol: protocol.clone(),
            plan: plan.clone(),
            shared: shared.clone(),
            drive,
            schedule: Schedule::new(per_second, scenario.publish.burst, &scenario.publish.ramp),
            kind: scenario.publish.kind.clone(),
            bytes: scenario.publish.bytes,
            batch: scenario.publish.batch,
            counts: vec![0; names.len()],
            names,
            followers,
            random: StdRng::seed_from_u64(scenario.seed),
            published: 0,
            due: 0,
            closed_loop: ClosedLoop::default(),
            payload: Vec::new(),
            text: Vec::new(),
        })
    }

    /// Publishes due updates. Returns when the next one is due, and how many were published; or why publishing has
    /// ended.
    pub(super) fn publish(&mut self, times: &Times, tally: &mut Tally) -> Result<(u64, u64), String> {
        let mut some = 0;
        let next_ns = loop {
            let now_ns = mono_ns();
            if now_ns < times.publish_ns {
                break times.publish_ns;
            }
            if now_ns >= times.window_ns.1 {
                break u64::MAX;
            }
            let due_ns = match self.drive {
                Drive::Rate(_) => times.publish_ns + self.schedule.due_ns(),
                Drive::InFlight(bound) => {
                    let covered = self.shared.covered.load(Ordering::Relaxed);
                    match self.closed_loop.room(bound, self.published, self.due, covered, now_ns) {
                        Room::Now => {}
                        Room::Forgiven => tally.forgiven += 1,
                        // Checked again also whenever something was read.
                        Room::None => break now_ns + LOOK_AGAIN_NS,
                    }
                    now_ns
                }
            };
            // Updates due after the end of the window are not published.
            if due_ns >= times.window_ns.1 {
                break u64::MAX;
            }
            if due_ns > now_ns || some >= UPDATES_PER_TURN.max(self.batch).into() {
                break due_ns;
            }
            if self.lines.iter().any(|line| line.output.len() > WAITING_BYTES_MAX) {
                // Does not wait for writability: trying again after a millisecond is enough.
                break now_ns + 1_000_000;
            }
            self.put(due_ns, now_ns, times, tally);
            some += 1;
        };
        // Nothing waits for a batch to be full.
        self.lines.iter_mut().for_each(|line| line.end_batch(&self.protocol));
        self.flush()?;
        Ok((next_ns, some))
    }

    fn put(&mut self, due_ns: u64, now_ns: u64, times: &Times, tally: &mut Tally) {
        let topic = self.plan.published(self.published, &mut self.random);
        let index = topic as usize;
        self.counts[index] += 1;
        let n = self.counts[index];
        self.payload.clear();
        payload::write(&mut self.payload, self.bytes, Stamp { due_ns, sent_ns: now_ns, topic, n });
        let line =
            if self.protocol.publishes_by_path() { index } else { index / self.batch as usize % self.lines.len() };
        // A patch needs a state to change: a topic begins with one.
        let kind = if n == 1 && self.kind == "patch" { "state" } else { self.kind.as_str() };
        match self.batch {
            1 => self.protocol.publish(
                &mut self.lines[line].output,
                &mut self.text,
                &self.names[index],
                kind,
                &self.payload,
            ),
            batch => {
                let line = &mut self.lines[line];
                self.protocol.batch(&mut line.batch, &self.names[index], kind, &self.payload);
                line.batched += 1;
                if line.batched == batch {
                    line.end_batch(&self.protocol);
                }
            }
        }
        self.schedule.take();
        self.published += 1;
        self.due += self.followers[index];
        self.shared.published[index].store(n, Ordering::Release);
        self.shared.due.store(self.due, Ordering::Release);
        tally.published += 1;
        if times.in_window(due_ns) {
            tally.window_published += 1;
            tally.window_due += self.followers[index];
        }
        if now_ns - due_ns > LATE_NS {
            tally.late += 1;
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        self.lines.iter_mut().try_for_each(Line::flush)
    }

    /// Reads what the server sends to publishers.
    pub(super) fn listen(&mut self, tally: &mut Tally) -> Result<(), String> {
        for line in &mut self.lines {
            line.listen(&self.protocol, tally)?;
        }
        self.flush()
    }
}

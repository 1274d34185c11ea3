//! What is due is published: on connections of its own, by the first worker's thread, which never waits for them.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::connection::write_some;
use super::{Shared, Target, Times, connector};
use crate::clock::mono_ns;
use crate::measure::Schedule;
use crate::measure::tally::Tally;
use crate::payload::{self, Stamp};
use crate::plan::Plan;
use crate::protocol::{Heard, Protocol};
use crate::scenario::{Drive, Scenario};
use crate::wire::{self, Head};

/// Bytes that wait for a publisher's socket at most. Above it nothing more is published until there is room: the
/// moments at which updates were due stay what they are.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Updates written in one go before sockets are looked at again.
const UPDATES_PER_TURN: u32 = 64;
/// An update is late when it is handed over this long after it was due.
const LATE_NS: u64 = 1_000_000;
/// A closed loop that has waited this long for what is under way goes on without it.
const PATIENCE_NS: u64 = 500_000_000;

struct Line {
    socket: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    message: Vec<u8>,
}

pub(super) struct Publisher {
    lines: Vec<Line>,
    protocol: Protocol,
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    drive: Drive,
    schedule: Schedule,
    kind: String,
    bytes: usize,
    /// As the server writes them.
    names: Vec<String>,
    /// How many follow each topic.
    followers: Vec<u64>,
    /// Updates of each topic so far.
    counts: Vec<u64>,
    random: StdRng,
    published: u64,
    due: u64,
    /// Deliveries that a closed loop does not wait for any more.
    forgiven: u64,
    /// How far deliveries had come, and when.
    progress: (u64, u64),
    payload: Vec<u8>,
    text: Vec<u8>,
}

impl Publisher {
    /// Connects, waiting for it: nothing is measured yet. `wait` is told how to go on reading meanwhile.
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
        let path = target.path.as_deref().unwrap_or(protocol.default_path());
        let lines = (0..lines)
            .map(|index| Line::connect(index, target, &protocol.publisher_path(path, &names[index]), protocol))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("a publisher could not connect to {}: {error}", target.address))?;
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
            counts: vec![0; names.len()],
            names,
            followers,
            random: StdRng::seed_from_u64(scenario.seed),
            published: 0,
            due: 0,
            forgiven: 0,
            progress: (0, 0),
            payload: Vec::new(),
            text: Vec::new(),
        })
    }

    /// Publishes what is due. Returns when the next update is, and how many were published; or why that is over.
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
                Drive::InFlight(bound) => match self.is_room(bound, now_ns, tally) {
                    true => now_ns,
                    // Looked at again whenever something was read.
                    false => break now_ns + PATIENCE_NS / 10,
                },
            };
            // What is due after the end of the window is not published any more.
            if due_ns >= times.window_ns.1 {
                break u64::MAX;
            }
            if due_ns > now_ns || some >= UPDATES_PER_TURN.into() {
                break due_ns;
            }
            if self.lines.iter().any(|line| line.output.len() > WAITING_BYTES_MAX) {
                // Readiness for writing is not waited for: a millisecond fills no socket's buffer.
                break now_ns + 1_000_000;
            }
            self.put(due_ns, now_ns, times, tally);
            some += 1;
        };
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
        let line = if self.protocol.publishes_by_path() { index } else { index % self.lines.len() };
        let output = &mut self.lines[line].output;
        // A patch needs a state to change: a topic begins with one.
        let kind = if n == 1 && self.kind == "patch" { "state" } else { self.kind.as_str() };
        self.protocol.publish(output, &mut self.text, &self.names[index], kind, &self.payload);
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

    /// Whether a closed loop may publish another one.
    fn is_room(&mut self, bound: u64, now_ns: u64, tally: &mut Tally) -> bool {
        let covered = self.shared.covered.load(Ordering::Relaxed);
        let copies = self.due.checked_div(self.published).unwrap_or(0).max(1);
        let under_way = self.due.saturating_sub(covered + self.forgiven);
        // Nobody has waited before the first update.
        if covered != self.progress.0 || self.published == 0 {
            self.progress = (covered, now_ns);
        }
        if under_way < bound * copies {
            return true;
        }
        if now_ns - self.progress.1 < PATIENCE_NS {
            return false;
        }
        self.forgiven = self.due - covered.min(self.due);
        self.progress.1 = now_ns;
        tally.forgiven += 1;
        true
    }

    fn flush(&mut self) -> Result<(), String> {
        for line in &mut self.lines {
            if line.output.is_empty() {
                continue;
            }
            let taken = write_some(&mut line.socket, &line.output)
                .map_err(|error| format!("the publisher's connection is gone: {error}"))?;
            line.output.drain(..taken);
        }
        Ok(())
    }

    /// Reads what the server says to publishers: errors, and that it lives.
    pub(super) fn listen(&mut self, tally: &mut Tally) -> Result<(), String> {
        for line in &mut self.lines {
            line.listen(&self.protocol, tally)?;
        }
        self.flush()
    }
}

impl Line {
    fn connect(number: usize, target: &Target, path: &str, protocol: &Protocol) -> Result<Self, String> {
        let mut socket = connector::connect(target.address, None).map_err(|error| error.to_string())?;
        // Waits, but not for ever: the same bound as for subscribers.
        let said = |error: std::io::Error| error.to_string();
        socket.set_nonblocking(false).map_err(said)?;
        let patience = std::time::Duration::from_nanos(super::worker::HANDSHAKE_NS);
        socket.set_read_timeout(Some(patience)).map_err(said)?;
        let request = connector::request(&target.authority, path, protocol.subprotocol());
        std::io::Write::write_all(&mut socket, &request).map_err(said)?;
        let mut input = Vec::new();
        let len = loop {
            if let Some(len) = connector::answer(&input)? {
                break len;
            }
            let mut buffer = [0; 4096];
            match socket.read(&mut buffer) {
                Ok(0) => return Err("ended the connection instead of answering the handshake".to_owned()),
                Ok(read) => input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err("did not answer the handshake within 10 s".to_owned());
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        input.drain(..len);
        socket.set_nonblocking(true).map_err(said)?;
        let mut line = Self { socket, output: Vec::new(), input, message: Vec::new() };
        protocol.hello(&mut line.output, number);
        Ok(line)
    }

    fn listen(&mut self, protocol: &Protocol, tally: &mut Tally) -> Result<(), String> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("the server ended the publisher's connection".to_owned()),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("the publisher's connection is gone: {error}")),
            }
        }
        let mut at = 0;
        let output = &mut self.output;
        let mut each = |heard: Heard<'_>| match heard {
            Heard::Refused(reason) => tally.refused.add(&format!("publishing: {reason}")),
            Heard::Reply(bytes) => wire::masked(output, protocol.opcode(), bytes),
            _ => {}
        };
        let mut pings = Vec::new();
        while let Head::Whole(frame) = wire::head(&self.input[at..]) {
            let payload = &self.input[at + frame.payload.start..at + frame.payload.end];
            match frame.opcode {
                wire::CLOSE => return Err("the server closed the publisher's connection".to_owned()),
                wire::PING => wire::masked(&mut pings, wire::PONG, payload),
                0..=2 => {
                    self.message.extend(payload);
                    if frame.last || protocol.is_stream() {
                        let used = protocol.hear(&self.message, &mut each)?;
                        self.message.drain(..used);
                    }
                }
                _ => {}
            }
            at += frame.payload.end;
        }
        self.input.drain(..at);
        self.output.extend(pings);
        Ok(())
    }
}

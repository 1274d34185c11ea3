//! With a journal: what connections have published and what has not come back from the log, and the requests that wait
//! behind it. Answers keep the order of the requests: publishes go on their way one after the other, everything else
//! waits for them.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use broker_protocol::request::{Refusal, Request, Subscribe, SubscribeEntry};
use foldhash::fast::RandomState;

use super::ConnId;
use super::quota::LeftOut;
use super::refused::Refused;
use crate::fault::{self, Fault};
use crate::journal::Completion;
use crate::outcome::Published;

/// A connection with so many updates on their way is not read.
const UPDATES_MAX: usize = 4096;
/// Nor is one whose requests without an answer hold so many bytes: those that are refused at once count no update.
const REQUESTS_BYTES_MAX: usize = 1 << 20;
/// Nor is one with so many bytes of messages that wait behind them.
const HELD_BYTES_MAX: usize = 16 << 10;

/// What the connections of a shard wait for.
#[derive(Default)]
pub(super) struct Awaiting {
    by_conn: HashMap<ConnId, Waits, RandomState>,
    /// Answers that were collected and not yet passed on.
    pub(super) answers: VecDeque<Completion>,
    /// Where they are collected.
    pub(super) collected: Vec<Completion>,
    /// Connections that wait for nothing any more, and have messages that did.
    released: VecDeque<ConnId>,
}

/// What one connection waits for.
#[derive(Default)]
struct Waits {
    /// Its requests, oldest first.
    requests: VecDeque<Awaited>,
    requests_bytes: usize,
    /// How many of the first requests are known to have all their updates back: nobody looks at them again.
    finished: usize,
    /// How many updates are on their way.
    updates: usize,
    /// How many of these belong to requests that were answered with `unavailable`: they come back before all others, and
    /// nobody is told.
    given_up: usize,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Whether the first message that is held waits for a barrier.
    log: Log,
    /// It is in the queue of those that have something to do.
    is_released: bool,
}

/// Whether the first message that is held waits until this broker has read as much of the log as its client may have.
#[derive(Clone, Copy, Default)]
enum Log {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// Since this time on the monotonic clock in µs.
    Waits(u64),
    /// No longer.
    Known(Reach),
}

/// What is known of a request whose client may be ahead of this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The broker has read as much of the log as the client, if that is of this log.
    Read,
    /// The broker may not have, and cannot wait any longer.
    Unread,
}

/// A message that waits.
pub(super) enum Message {
    /// As it came.
    Text(Box<str>),
    /// The request of a stream, which has no `id`.
    Subscribe(Box<Subscribe<'static>>),
}

struct Held {
    message: Message,
    /// It publishes, so that it waits only for what was held before it.
    publishes: bool,
}

/// A request that is not answered.
pub(super) struct Awaited {
    pub(super) id: Option<Box<[u8]>>,
    /// Its updates that are on their way.
    pub(super) open: usize,
    /// When it was submitted, on the monotonic clock in µs.
    pub(super) since_us: u64,
    pub(super) answer: Answer,
}

/// What is known of an answer.
pub(super) enum Answer {
    /// Of one update, when it is back.
    Single(Option<Result<Published, Refusal>>),
    /// Of a batch.
    Batch(Box<Batch>),
    /// All of it: the request was refused at once.
    Refused(Box<[u8]>),
}

/// What came of a batch so far.
pub(super) struct Batch {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: Refused<usize>,
    pub(super) left_out: LeftOut,
}

/// Whether a request only publishes.
fn publishes(request: &Request<'_>) -> bool {
    matches!(request, Request::Publish { .. } | Request::Batch { .. })
}

impl Waits {
    /// Whether the first message that is held has nothing to wait for any more.
    fn may_release(&self) -> bool {
        !self.waits_for_log() && self.held.front().is_some_and(|held| held.publishes || self.requests.is_empty())
    }

    fn waits_for_log(&self) -> bool {
        matches!(self.log, Log::Waits(_))
    }
}

impl Message {
    fn bytes(&self) -> usize {
        let subscribe = match self {
            Message::Text(text) => return text.len(),
            Message::Subscribe(subscribe) => subscribe,
        };
        let name = |entry: &SubscribeEntry<'_>| match entry {
            SubscribeEntry::Plain(name) | SubscribeEntry::Resume { topic: name, .. } => name.len(),
            SubscribeEntry::Bad { entry, .. } => entry.len(),
        };
        let entries = subscribe.entries.iter().map(|entry| size_of::<SubscribeEntry<'_>>() + name(entry));
        size_of::<Subscribe<'_>>() + entries.sum::<usize>()
    }
}

impl Held {
    /// What it holds: a message may be empty.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.message.bytes()
    }
}

impl Awaited {
    fn held_bytes(&self) -> usize {
        let batch = match &self.answer {
            Answer::Batch(batch) => size_of::<Batch>() + batch.rejected.held_bytes(),
            Answer::Refused(payload) => payload.len(),
            Answer::Single(_) => 0,
        };
        size_of::<Self>() + self.id.as_ref().map_or(0, |id| id.len()) + batch
    }
}

impl Awaiting {
    /// Takes in that one more update of a connection is back: `take` gets the request to which it belongs, unless that
    /// was given up.
    pub(super) fn take_back(&mut self, id: ConnId, take: impl FnOnce(&mut Answer)) {
        let Some(waits) = self.by_conn.get_mut(&id) else { return };
        if waits.given_up > 0 {
            (waits.given_up, waits.updates) = (waits.given_up - 1, waits.updates - 1);
            return;
        }
        // Answers come in the order of the requests. Without this, each would pass all that were answered just before.
        let behind = waits.requests.range(waits.finished..);
        waits.finished += behind.take_while(|request| request.open == 0).count();
        let mut open = waits.requests.range_mut(waits.finished..).filter(|request| request.open > 0);
        let newest = fault::strikes(Fault::AnswerOfAnother);
        let Some(request) = (if newest { open.next_back() } else { open.next() }) else { return };
        let before = request.held_bytes();
        request.open -= 1;
        take(&mut request.answer);
        waits.updates -= 1;
        waits.requests_bytes = waits.requests_bytes + request.held_bytes() - before;
    }

    /// Takes out a connection's first request, if all of its updates are back.
    pub(super) fn pop_finished(&mut self, id: ConnId) -> Option<Awaited> {
        let waits = self.by_conn.get_mut(&id)?;
        waits.requests.front().filter(|request| request.open == 0)?;
        let finished = waits.requests.pop_front()?;
        waits.requests_bytes -= finished.held_bytes();
        waits.finished = waits.finished.saturating_sub(1);
        Some(finished)
    }

    /// Takes out a connection's first request, if its updates are not back and it was submitted up to this time. Those
    /// behind it no longer wait for it.
    pub(super) fn give_up(&mut self, id: ConnId, late_us: u64) -> Option<Awaited> {
        let waits = self.by_conn.get_mut(&id)?;
        waits.requests.front().filter(|request| request.open > 0 && request.since_us <= late_us)?;
        let late = waits.requests.pop_front()?;
        if !fault::strikes(Fault::GivenUpForgotten) {
            waits.given_up += late.open;
        }
        waits.requests_bytes -= late.held_bytes();
        Some(late)
    }

    /// Adds a request.
    pub(super) fn push(&mut self, id: ConnId, request: Awaited) {
        let waits = self.by_conn.entry(id).or_default();
        waits.updates += request.open;
        waits.requests_bytes += request.held_bytes();
        waits.requests.push_back(request);
    }

    /// Whether a connection has requests that are not answered.
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(|waits| !waits.requests.is_empty())
    }

    /// Whether a message has to wait for the requests before it.
    pub(super) fn must_hold(&self, id: ConnId, request: Option<&Request<'_>>) -> bool {
        let Some(waits) = self.get(id) else { return false };
        match request {
            // A sign of life, and no request for anything that the others change.
            Some(Request::Ping { .. }) => false,
            Some(request) if publishes(request) => !waits.held.is_empty(),
            _ if fault::strikes(Fault::HeldOvertakes) => false,
            _ => !waits.held.is_empty() || !waits.requests.is_empty(),
        }
    }

    /// Holds a message until the requests before it are answered.
    pub(super) fn hold(&mut self, id: ConnId, text: &str, request: Option<&Request<'_>>) {
        let waits = self.by_conn.entry(id).or_default();
        let held = Held { message: Message::Text(text.into()), publishes: request.is_some_and(publishes) };
        waits.held_bytes += held.bytes();
        waits.held.push_back(held);
    }

    /// Holds a message that has waited for the requests before it until the log is read further: those behind it wait, too.
    pub(super) fn hold_for_log(&mut self, id: ConnId, message: Message, now_us: u64) {
        let waits = self.by_conn.entry(id).or_default();
        let held = Held { message, publishes: false };
        waits.held_bytes += held.bytes();
        waits.held.push_front(held);
        waits.log = Log::Waits(now_us);
    }

    /// The first message that is held waits for the log no longer.
    pub(super) fn end_waiting_for_log(&mut self, id: ConnId, reach: Reach) {
        let Some(waits) = self.by_conn.get_mut(&id).filter(|waits| waits.waits_for_log()) else { return };
        waits.log = Log::Known(reach);
        self.settle(id);
    }

    /// Whether a connection has a message that waits for the log, or does not any more and is still to be executed.
    pub(super) fn must_go_on(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(|waits| !matches!(waits.log, Log::Unasked))
    }

    /// Whether a connection has a message that waits for the log since this time or an earlier one.
    pub(super) fn waits_for_log_since(&self, id: ConnId, late_us: u64) -> bool {
        self.get(id).is_some_and(|waits| matches!(waits.log, Log::Waits(since_us) if since_us <= late_us))
    }

    /// Takes out the first message that was held and has nothing to wait for any more, and what is known if it has waited
    /// for the log.
    pub(super) fn take_held(&mut self, id: ConnId) -> Option<(Message, Option<Reach>)> {
        let waits = self.by_conn.get_mut(&id).filter(|waits| waits.may_release())?;
        let held = waits.held.pop_front()?;
        waits.held_bytes -= held.bytes();
        let reach = match std::mem::take(&mut waits.log) {
            Log::Known(reach) => Some(reach),
            Log::Unasked | Log::Waits(_) => None,
        };
        self.settle(id);
        Some((held.message, reach))
    }

    /// Whether a connection has a message that was held and has nothing to wait for any more.
    pub(super) fn has_released(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(Waits::may_release)
    }

    /// Whether a connection may not be read because it waits for too much.
    pub(super) fn is_full(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(|waits| {
            let full = waits.updates >= UPDATES_MAX
                || waits.requests_bytes >= REQUESTS_BYTES_MAX
                || waits.held_bytes >= HELD_BYTES_MAX;
            full && (!waits.requests.is_empty() || waits.waits_for_log())
        })
    }

    /// Notes that a connection's first requests are answered.
    pub(super) fn settle(&mut self, id: ConnId) {
        let Some(waits) = self.by_conn.get_mut(&id).filter(|waits| waits.requests.is_empty()) else { return };
        if waits.waits_for_log() {
            // It goes on when the barrier is back.
        } else if !waits.held.is_empty() {
            if !std::mem::replace(&mut waits.is_released, true) {
                self.released.push_back(id);
            }
        } else if waits.given_up == 0 {
            self.by_conn.remove(&id);
        }
    }

    /// Takes out a connection that has something to do after its requests were answered.
    pub(super) fn next_released(&mut self) -> Option<ConnId> {
        let id = self.released.pop_front()?;
        if let Some(waits) = self.by_conn.get_mut(&id) {
            waits.is_released = false;
        }
        Some(id)
    }

    /// Whether connections have something to do after their requests were answered.
    pub(super) fn has_any_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// What a connection holds here, in bytes.
    pub(super) fn held_bytes(&self, id: ConnId) -> usize {
        let Some(waits) = self.get(id) else { return 0 };
        size_of::<Waits>() + waits.requests_bytes + waits.held_bytes
    }

    /// Forgets a connection that is gone.
    pub(super) fn remove(&mut self, id: ConnId) {
        if !self.by_conn.is_empty() {
            self.by_conn.remove(&id);
        }
    }

    fn get(&self, id: ConnId) -> Option<&Waits> {
        // Without a journal there are none at all.
        if self.by_conn.is_empty() { None } else { self.by_conn.get(&id) }
    }
}

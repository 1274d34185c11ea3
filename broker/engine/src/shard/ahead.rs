//! Requests of clients that may be ahead of this broker: they wait, in their connection's order, until a barrier is back
//! from the log. If that takes too long, what they ask for is `unavailable`: a `reset` would tell a client to forget what
//! is true, and to go back in time.

use broker_protocol::codes::CloseReason;
use broker_protocol::request::{Request, Subscribe, SubscribeEntry};

use super::awaiting::{Message, Reach};
use super::conn::Subscribing;
use super::entry::CheckedEntry;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;

/// The refusal of an entry, kept short: one answer may contain thousands of these.
pub(super) const BEHIND: &str = "this broker has not read the journal so far yet: ask again, here or at another one";
/// Why a stream ends whose client is ahead.
const BEHIND_REASON: &str = "behind the journal";
/// Work to compare an entry with a topic, in steps.
const COMPARE_STEPS: usize = 2;
/// Work to let a connection go on, in steps.
const GO_ON_STEPS: usize = 2;
/// The most connections that go on in one round.
const GO_ON_PER_ROUND: usize = 4096;

impl<S: Sink> Shard<S> {
    /// Returns what is known of a request, or `None` if it has to wait for the log.
    pub(super) fn reach(&mut self, id: ConnId, request: &Request<'_>) -> Option<Reach> {
        let Request::Subscribe(subscribe) = request else { return Some(Reach::Read) };
        if !self.engine.has_others() || self.permits.must_authenticate(id) || self.is_closing(id) {
            return Some(Reach::Read);
        }
        self.work.charge(subscribe.entries.len() * COMPARE_STEPS);
        if !self.engine.may_be_ahead(subscribe) {
            return Some(Reach::Read);
        }
        self.barriers.wait(id);
        if self.barriers.must_send() && !self.send_barrier() {
            self.barriers.remove(id);
            return Some(Reach::Unread);
        }
        None
    }

    /// Holds a request until the log is read further.
    pub(super) fn wait_for_log(&mut self, now: Now, id: ConnId, message: Message) {
        self.awaiting.hold_for_log(id, message, now.mono_us);
        self.count_buffers(id);
    }

    /// Executes the request of a stream, once its client is not ahead any more.
    pub(super) fn request_of_stream(&mut self, now: Now, id: ConnId, subscribe: Subscribe<'_>) {
        let request = Request::Subscribe(subscribe);
        match (self.reach(id, &request), request) {
            (Some(reach), request) => self.execute(now, id, request, reach),
            (None, Request::Subscribe(subscribe)) => {
                self.wait_for_log(now, id, Message::Subscribe(Box::new(owned(subscribe))));
            }
            (None, _) => {}
        }
    }

    /// A barrier is back, or the log does not take it.
    pub(super) fn take_barrier(&mut self, is_back: bool) {
        self.barriers.returned(is_back);
    }

    /// Lets connections go on whose barrier is back, and sends the next one. Returns whether there are more.
    pub(super) fn go_on(&mut self) -> bool {
        for _ in 0..GO_ON_PER_ROUND {
            let Some((id, is_back)) = self.barriers.pop_over() else { break };
            self.work.charge(GO_ON_STEPS);
            self.awaiting.end_waiting_for_log(id, if is_back { Reach::Read } else { Reach::Unread });
        }
        if self.barriers.must_send() && !self.send_barrier() {
            self.barriers.sent();
            self.barriers.returned(false);
        }
        self.barriers.has_over()
    }

    /// Sends a barrier for all who wait. Returns false if the log does not take it.
    fn send_barrier(&mut self) -> bool {
        let Some(journal) = self.engine.journal() else { return false };
        let is_sent = journal.gathering().barrier(self.index).is_ok();
        if is_sent {
            self.barriers.sent();
        }
        is_sent
    }

    /// Lets a connection go on without its barrier, if it has waited for too long.
    pub(super) fn give_up_log(&mut self, now: Now, id: ConnId) {
        let Some(journal) = self.engine.journal() else { return };
        let late_us = now.mono_us.saturating_sub(journal.stale_ms() * 1000);
        if self.awaiting.waits_for_log_since(id, late_us) {
            self.barriers.remove(id);
            self.awaiting.end_waiting_for_log(id, Reach::Unread);
        }
    }

    /// Ends a stream instead of subscribing, if it has not waited long enough: its client opens another one from the
    /// same id. Returns whether it did.
    pub(super) fn end_stream_behind(&mut self, now: Now, id: ConnId, reach: Reach, request: &Subscribe<'_>) -> bool {
        let is_stream = self.conns.get(id).is_some_and(|conn| conn.sink.encoding().is_some());
        let ends = reach == Reach::Unread && is_stream && self.engine.may_be_ahead(request);
        if ends {
            self.close(now, id, CloseReason::GoingAway, BEHIND_REASON);
        }
        ends
    }

    /// Whether an entry's client is ahead of this broker, which cannot wait.
    pub(super) fn is_beyond(&self, entry: &CheckedEntry, request: &Subscribing) -> bool {
        let CheckedEntry::Topic { name, resume: Some((epoch, seq)) } = entry else {
            return request.is_beyond && !matches!(entry, CheckedEntry::Bad { .. });
        };
        self.work.charge(COMPARE_STEPS);
        self.engine.may_reach(name, epoch, *seq)
    }
}

/// A request with texts of its own.
fn owned(subscribe: Subscribe<'_>) -> Subscribe<'static> {
    let Subscribe { id: _, entries, from, conflate_ms, on_slow, ready, positions, resume } = subscribe;
    let entry = |entry: SubscribeEntry<'_>| match entry {
        SubscribeEntry::Plain(name) => SubscribeEntry::Plain(name.into_owned().into()),
        SubscribeEntry::Resume { topic, epoch, seq } => {
            SubscribeEntry::Resume { topic: topic.into_owned().into(), epoch: epoch.into_owned().into(), seq }
        }
        SubscribeEntry::Bad { entry, refusal } => SubscribeEntry::Bad { entry, refusal },
    };
    let entries = entries.into_iter().map(entry).collect();
    Subscribe { id: None, entries, from, conflate_ms, on_slow, ready, positions, resume }
}

//! From the outbox to the wire: calls become frames, as many as one write should carry.

use super::Book;
use super::positions::Waiting;
use crate::batch::BatchPart;
use crate::error::{PublishError, RequestError};
use crate::outbox::Queue;
use crate::request::{Answer, Ask, Call, NewSubscription, Request, SubscriptionId, Unacknowledged};
use crate::shared::Shared;
use crate::transport::Frames;
use crate::wire::entry::{ENVELOPE_BYTES_MAX, Entry};
use crate::wire::outgoing;

/// One write carries about this much. The rest waits for the next write, so that a pong never waits long.
const WRITE_BYTES_MAX: usize = 256 << 10;
/// Unacknowledged updates share a message up to this size. Larger messages gain nothing, and the broker begins to work
/// on a message only when it has all of it.
const SHARED_MESSAGE_BYTES_MAX: usize = 32 << 10;

impl Book {
    /// Moves what waits into `frames`. If that adds nothing, there is nothing to write until the writer is woken.
    pub(crate) fn fill(&mut self, shared: &Shared, frames: &mut Frames) {
        let mut out = Out { text: String::new(), frames };
        while out.has_room()
            && let Some(request) = self.first.pop_front()
        {
            self.write(request, &mut out);
        }
        let mut queue = shared.outbox.lock();
        while out.has_room() {
            // If the broker refuses the token, publishes behind it would count as unanswered.
            let held = self.in_flight.bytes() >= shared.options.unanswered_bytes_max || self.is_authenticating();
            if queue.first().is_some_and(|call| held && call.is_publish()) {
                break;
            }
            let Some(call) = queue.pop() else { break };
            self.call(call, &mut queue, shared, &mut out);
        }
        shared.outbox.freed(&queue);
        drop(queue);
        self.in_flight.flush();
    }

    fn call(&mut self, call: Call, queue: &mut Queue, shared: &Shared, out: &mut Out<'_>) {
        match call {
            Call::Subscribe(new) => self.subscribe(new, out),
            Call::Unsubscribe { subscription, answer } => self.unsubscribe(subscription, answer, out),
            Call::Request(request) if request.is_abandoned() => {}
            Call::Request(Request::Batch(part)) => self.batch(part, queue, out),
            Call::Request(Request::Unacknowledged(updates)) => self.unacknowledged(updates, queue, shared, out),
            Call::Request(Request::Publish { entry, answer }) => match self.too_large(0, &entry) {
                Some(error) => drop(answer.send(Err(error))),
                None => self.write(Request::Publish { entry, answer }, out),
            },
            Call::Request(request) => self.write(request, out),
        }
    }

    /// Writes a request's message, and keeps the request for the answer.
    fn write(&mut self, request: Request, out: &mut Out<'_>) {
        let id = self.in_flight.next_id();
        match &request {
            Request::Publish { entry, .. } => out.message(|text| outgoing::publish(text, id, entry)),
            Request::Batch(part) => out.message(|text| outgoing::publish_batch(text, id, part.entries.iter())),
            Request::Unacknowledged(updates) if updates.others.is_empty() => {
                out.message(|text| outgoing::publish(text, id, &updates.first));
            }
            Request::Unacknowledged(updates) => {
                out.message(|text| outgoing::publish_batch(text, id, updates.iter()));
            }
            Request::Subscribe(ask) => {
                out.message(|text| outgoing::subscribe(text, id, &ask.entries, ask.options));
                if ask.options.ready {
                    self.readies.insert(id, Waiting { subscriptions: ask.ready.clone(), releases: ask.releases });
                }
            }
            Request::Unsubscribe { entries, .. } => out.message(|text| outgoing::unsubscribe(text, id, entries)),
            Request::List { .. } => out.message(|text| outgoing::list(text, id)),
            Request::Ping { .. } => out.message(|text| outgoing::ping(text, id)),
            Request::Authenticate { token, .. } => out.message(|text| outgoing::authenticate(text, id, token)),
            Request::Flush { .. } => {}
        }
        self.in_flight.insert(id, request);
    }

    /// Writes as many updates of a batch as one message may carry. The rest goes back to the front of the queue.
    fn batch(&mut self, mut part: BatchPart, queue: &mut Queue, out: &mut Out<'_>) {
        let limit = self.message_bytes();
        let mut bytes = ENVELOPE_BYTES_MAX;
        let fitting = part.entries.iter().take_while(|entry| {
            bytes += entry.bytes();
            bytes <= limit
        });
        let fits = fitting.count();
        if fits == 0 {
            if let Some(error) = part.entries.front().and_then(|entry| self.too_large(part.first_index, entry)) {
                part.collector.fail(error);
            }
            return;
        }
        let rest = part.split_off(fits);
        self.write(Request::Batch(part), out);
        if let Some(rest) = rest {
            queue.push_front(Request::Batch(rest).into());
        }
    }

    /// Writes an unacknowledged update, and those that wait right behind it, as one message.
    fn unacknowledged(&mut self, updates: Unacknowledged, queue: &mut Queue, shared: &Shared, out: &mut Out<'_>) {
        let Unacknowledged { first, mut others } = updates;
        if let Some(error) = self.too_large(0, &first) {
            shared.unacknowledged(&first, error);
            return;
        }
        let limit = self.message_bytes().min(SHARED_MESSAGE_BYTES_MAX);
        let mut bytes = ENVELOPE_BYTES_MAX + first.bytes();
        while let Some(next @ Call::Request(Request::Unacknowledged(_))) = queue.first()
            && bytes + next.bytes() <= limit
        {
            bytes += next.bytes();
            if let Some(Call::Request(Request::Unacknowledged(next))) = queue.pop() {
                others.extend(next.into_entries());
            }
        }
        self.write(Request::Unacknowledged(Unacknowledged { first, others }), out);
    }

    fn subscribe(&mut self, new: NewSubscription, out: &mut Out<'_>) {
        let (id, options) = (new.id, new.options);
        let record = self.subscriptions.add(new);
        let entries = record.entries().map(|entry| entry.entry.clone()).collect();
        let ready = if options.ready { vec![id] } else { Vec::new() };
        let ask = Ask { subscription: id, entries, options, restores: false, ready, releases: false };
        for request in self.subscribe_requests(ask) {
            self.write(request, out);
        }
        // If no entry fits into a message, there is no answer to wait for.
        self.subscriptions.settle(id);
    }

    fn unsubscribe(
        &mut self,
        subscription: SubscriptionId,
        mut answer: Option<Answer<(), RequestError>>,
        out: &mut Out<'_>,
    ) {
        let alone = self.subscriptions.remove(subscription);
        self.topics.leave(subscription);
        let mut lists = self.unsubscribe_lists(alone).into_iter().peekable();
        if lists.peek().is_none() {
            // Other subscriptions have the same entries, so the broker is not asked.
            drop(answer.map(|answer| answer.send(Ok(()))));
            return;
        }
        while let Some(entries) = lists.next() {
            let answer = if lists.peek().is_none() { answer.take() } else { None };
            self.write(Request::Unsubscribe { entries, answer }, out);
        }
    }

    fn too_large(&self, index: usize, entry: &Entry) -> Option<PublishError> {
        entry.too_large(index, self.limits.message_bytes)
    }
}

/// The frames of one write, and the buffer in which each message's text is written.
struct Out<'a> {
    text: String,
    frames: &'a mut Frames,
}

impl Out<'_> {
    fn has_room(&self) -> bool {
        self.frames.bytes().len() < WRITE_BYTES_MAX
    }

    fn message(&mut self, write: impl FnOnce(&mut String)) {
        self.text.clear();
        write(&mut self.text);
        self.frames.text(&self.text);
    }
}

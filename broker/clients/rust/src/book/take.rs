//! From the queue to the wire: what waits becomes frames, as many as one write should carry.

use std::collections::VecDeque;

use super::Book;
use crate::error::{PublishError, RequestError};
use crate::outbox::Queue;
use crate::request::{Answer, Ask, BatchPart, InFlight, NewSubscription, Request, SubscriptionId};
use crate::shared::Shared;
use crate::transport::Frames;
use crate::wire::entry::{ENVELOPE_BYTES_MAX, Entry};
use crate::wire::outgoing;

/// One write carries about this much; more waits for the next, so that a pong is never far behind.
const WRITE_BYTES_MAX: usize = 256 << 10;
/// Updates published without waiting share a message up to this size: larger ones gain nothing, and the broker begins to
/// work on a message only when it has all of it.
const SHARED_MESSAGE_BYTES_MAX: usize = 32 << 10;
/// A message that goes out before what waits.
#[derive(Debug)]
pub(super) enum Message {
    Subscribe(Ask),
    Release { entries: Vec<String> },
}

impl Book {
    /// Moves what waits into `frames`. Nothing added means: nothing to do until somebody wakes the writer.
    pub(crate) fn take(&mut self, shared: &Shared, frames: &mut Frames) {
        let mut text = String::new();
        while frames.bytes().len() < WRITE_BYTES_MAX
            && let Some(message) = self.first.pop_front()
        {
            self.message(message, &mut text, frames);
        }
        let mut queue = shared.outbox.lock();
        while frames.bytes().len() < WRITE_BYTES_MAX {
            let full = self.unanswered_bytes >= shared.options.unanswered_bytes_max;
            if queue.first().is_some_and(|request| full && request.is_publish()) {
                break;
            }
            let Some(request) = queue.pop() else { break };
            self.request(request, &mut queue, shared, &mut text, frames);
        }
        shared.outbox.freed(&queue);
        drop(queue);
        self.flush();
    }

    fn message(&mut self, message: Message, text: &mut String, frames: &mut Frames) {
        let id = self.next_id();
        text.clear();
        match message {
            Message::Subscribe(ask) => {
                outgoing::subscribe(text, id, &ask.entries, ask.options);
                if !ask.ready.is_empty() {
                    self.readies.insert(id, ask.ready.clone());
                }
                self.in_flight(id, InFlight::Subscribe(ask));
            }
            Message::Release { entries } => {
                outgoing::unsubscribe(text, id, &entries);
                self.in_flight(id, InFlight::Release { entries });
            }
        }
        frames.text(text);
    }

    fn request(
        &mut self,
        request: Request,
        queue: &mut Queue,
        shared: &Shared,
        text: &mut String,
        frames: &mut Frames,
    ) {
        text.clear();
        match request {
            // Whoever asked has gone away: what was not written need not happen.
            Request::Publish { answer, .. } if answer.is_closed() => {}
            Request::Batch(part) if part.collector.is_over() => {}
            Request::List { answer } if answer.is_closed() => {}
            Request::Ping { answer } if answer.is_closed() => {}
            Request::Publish { entry, answer } => match self.too_large(0, &entry) {
                Some(error) => drop(answer.send(Err(error))),
                None => {
                    let id = self.next_id();
                    outgoing::publish(text, id, &entry);
                    frames.text(text);
                    self.in_flight(id, InFlight::Publish { entry, answer });
                }
            },
            Request::Batch(part) => self.batch(part, queue, text, frames),
            Request::Unacknowledged(entry) => match self.too_large(0, &entry) {
                Some(error) => shared.unacknowledged(&entry, error),
                None => self.unacknowledged(entry, queue, text, frames),
            },
            Request::Subscribe(new) => self.subscribe(new, text, frames),
            Request::Unsubscribe { subscription, answer } => self.unsubscribe(subscription, answer, text, frames),
            Request::List { answer } => {
                let id = self.next_id();
                outgoing::list(text, id);
                frames.text(text);
                self.in_flight(id, InFlight::List { answer });
            }
            Request::Ping { answer } => {
                let id = self.next_id();
                outgoing::ping(text, id);
                frames.text(text);
                self.in_flight(id, InFlight::Ping { answer });
            }
            Request::Flush { answer } => {
                let id = self.next_id();
                self.in_flight(id, InFlight::Flush { answer });
            }
        }
    }

    /// As many updates of a batch as one message may carry; the rest goes back to the head of the queue.
    fn batch(&mut self, mut part: BatchPart, queue: &mut Queue, text: &mut String, frames: &mut Frames) {
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
        let rest: VecDeque<Entry> = part.entries.split_off(fits);
        let (first_index, collector) = (part.first_index + fits, part.collector.clone());
        let id = self.next_id();
        outgoing::publish_batch(text, id, part.entries.make_contiguous());
        frames.text(text);
        self.in_flight(id, InFlight::Batch(part));
        if !rest.is_empty() {
            queue.push_front(Request::Batch(BatchPart { entries: rest, first_index, collector }));
        }
    }

    /// An update and those that wait right behind it: alone as a `publish`, together as a batch.
    fn unacknowledged(&mut self, first: Entry, queue: &mut Queue, text: &mut String, frames: &mut Frames) {
        let limit = self.message_bytes().min(SHARED_MESSAGE_BYTES_MAX);
        let mut bytes = ENVELOPE_BYTES_MAX + first.bytes();
        let mut entries = vec![first];
        while let Some(Request::Unacknowledged(next)) = queue.first()
            && bytes + next.bytes() <= limit
        {
            bytes += next.bytes();
            if let Some(Request::Unacknowledged(next)) = queue.pop() {
                entries.push(next);
            }
        }
        let id = self.next_id();
        match &entries[..] {
            [alone] => outgoing::publish(text, id, alone),
            several => outgoing::publish_batch(text, id, several),
        }
        frames.text(text);
        self.in_flight(id, InFlight::Unacknowledged(entries));
    }

    fn subscribe(&mut self, new: NewSubscription, text: &mut String, frames: &mut Frames) {
        let (id, options) = (new.id, new.options);
        let record = self.subscriptions.add(new);
        let entries = record.entries().map(|entry| entry.entry.clone()).collect();
        let ready = if options.ready { vec![id] } else { Vec::new() };
        for message in self.subscribe_messages(Ask { subscription: id, entries, options, restores: false, ready }) {
            self.message(message, text, frames);
        }
        // Where nothing fits into a message there is none to wait for.
        self.subscriptions.settle(id);
    }

    fn unsubscribe(
        &mut self,
        subscription: SubscriptionId,
        answer: Option<Answer<(), RequestError>>,
        text: &mut String,
        frames: &mut Frames,
    ) {
        let alone = self.subscriptions.remove(subscription);
        self.topics.leave(subscription);
        let mut chunks = self.entry_chunks(alone).into_iter().peekable();
        let Some(_) = chunks.peek() else {
            // Others are subscribed to the same: the broker need not know.
            drop(answer.map(|answer| answer.send(Ok(()))));
            return;
        };
        let mut answer = answer;
        while let Some(entries) = chunks.next() {
            let id = self.next_id();
            text.clear();
            outgoing::unsubscribe(text, id, &entries);
            frames.text(text);
            let answer = if chunks.peek().is_none() { answer.take() } else { None };
            self.in_flight(id, InFlight::Unsubscribe { entries, answer });
        }
    }

    pub(super) fn message_bytes(&self) -> usize {
        usize::try_from(self.limits.message_bytes).unwrap_or(usize::MAX)
    }

    fn too_large(&self, index: usize, entry: &Entry) -> Option<PublishError> {
        entry.too_large(index, self.limits.message_bytes)
    }
}

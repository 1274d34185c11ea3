//! Subscriptions: made with a builder, read one event at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::continuity::Position;
use crate::error::{RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::handle::Handle;
use crate::request::{Call, NewSubscription, SubscriptionId};
use crate::subscribe_options::{From, OnSlow};
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

/// A subscription to be made: see [`Client::subscribe`](crate::Client::subscribe).
#[derive(Debug)]
#[must_use = "nothing is subscribed before `send().await`"]
pub struct SubscribeBuilder {
    handle: Arc<Handle>,
    entries: Vec<SubscribeEntry>,
    options: SubscribeOptions,
}

impl SubscribeBuilder {
    pub(crate) fn new(handle: Arc<Handle>, names: Vec<String>) -> SubscribeBuilder {
        let entries = names.into_iter().map(|text| SubscribeEntry { text, resume: None }).collect();
        SubscribeBuilder { handle, entries, options: SubscribeOptions::default() }
    }

    /// Sets what topics start with when they do not resume.
    pub fn from(mut self, from: From) -> SubscribeBuilder {
        self.options.from = from;
        self
    }

    /// Asks for at most one message per topic in each interval of this length. 0 (the default) means every update.
    pub fn conflate_ms(mut self, conflate_ms: u32) -> SubscribeBuilder {
        self.options.conflate_ms = conflate_ms;
        self
    }

    /// Sets what the broker does when this client does not keep up.
    pub fn on_slow(mut self, on_slow: OnSlow) -> SubscribeBuilder {
        self.options.on_slow = on_slow;
        self
    }

    /// Asks for an [`Event::Ready`] once every existing topic of the subscription has begun: the picture is then
    /// complete. A pattern's topics arrive one after the other, and nothing else marks the last of them. A broker that
    /// does not know this option refuses the subscription (`bad_request`).
    pub fn ready(mut self) -> SubscribeBuilder {
        self.options.ready = true;
        self
    }

    /// Adds a topic that resumes after update `seq` of `epoch`, up to which an earlier run of the program received it.
    pub fn resume(mut self, topic: impl Into<String>, epoch: impl Into<String>, seq: u64) -> SubscribeBuilder {
        let epoch: String = epoch.into();
        self.entries.push(SubscribeEntry { text: topic.into(), resume: Some(Position { epoch: epoch.into(), seq }) });
        self
    }

    /// Subscribes, and waits for the broker's answer. Entries that the broker refuses are in [`Subscription::refused`].
    /// Those that may work later (`retry`) stay part of the subscription, and the client asks for them again. If the
    /// broker refuses every entry, that is an error.
    pub async fn send(self) -> Result<Subscription, SubscribeError> {
        if self.entries.is_empty() {
            return Err(SubscribeError::Empty);
        }
        // A malformed name is found without the broker.
        let (entries, refused): (Vec<_>, Vec<_>) =
            self.entries.into_iter().map(|entry| (entry.check(), entry)).partition(|(wrong, _)| wrong.is_none());
        let mut refused: Vec<EntryError> = refused.into_iter().filter_map(|(wrong, _)| wrong).collect();
        let entries: Vec<SubscribeEntry> = entries.into_iter().map(|(_, entry)| entry).collect();
        if entries.is_empty() {
            return Err(SubscribeError::Refused(refused));
        }

        let (sender, events) = mpsc::channel(self.handle.options.queue_updates_max.max(1));
        let (answer, mut answered) = oneshot::channel();
        let id = self.handle.next_subscription();
        let new = NewSubscription { id, entries, options: self.options, events: sender, answer };
        let closed = |reason| SubscribeError::Request(RequestError::Closed(reason));
        self.handle.outbox.push(Call::Subscribe(new)).map_err(closed)?;
        // From here on, dropping this future unsubscribes.
        let mut subscription =
            Subscription { handle: self.handle, id, events, early: VecDeque::new(), refused: Vec::new() };

        let handle = subscription.handle.clone();
        let answer = handle.within(async {
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answered => break answer,
                    // A large subscription is answered in several messages, and the first topics' events arrive before
                    // the last answer. In a full queue they would block that answer.
                    Some(event) = subscription.events.recv() => subscription.early.push_back(event),
                }
            }
        });
        match answer.await {
            Ok(Ok(Ok(more))) => {
                refused.extend(more);
                subscription.refused = refused;
                Ok(subscription)
            }
            Ok(Ok(Err(SubscribeError::Refused(more)))) => {
                refused.extend(more);
                Err(SubscribeError::Refused(refused))
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(closed(handle.closed_reason())),
            Err(timeout_ms) => Err(SubscribeError::Request(RequestError::Timeout { timeout_ms })),
        }
    }
}

/// A stream of [`Event`]s. Dropping it unsubscribes.
///
/// A topic that several subscriptions of a client cover is sent over the wire once, with the options of the most
/// specific entry, and is given to each of them. A subscription that joins a running stream begins with an
/// [`Event::Topic`] that says where the stream is.
#[derive(Debug)]
pub struct Subscription {
    handle: Arc<Handle>,
    id: SubscriptionId,
    events: mpsc::Receiver<Event>,
    /// Events that arrived before the broker's last answer.
    early: VecDeque<Event>,
    refused: Vec<EntryError>,
}

impl Subscription {
    /// Returns the next event, or `None` when the client is over and all events have been read. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        match self.early.pop_front() {
            Some(event) => Some(event),
            None => self.events.recv().await,
        }
    }

    /// Returns the next event if one is queued already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.early.pop_front().or_else(|| self.events.try_recv().ok())
    }

    /// The entries that the broker refused when it accepted the others.
    pub fn refused(&self) -> &[EntryError] {
        &self.refused
    }

    /// Unsubscribes, and waits for the broker's answer.
    pub async fn unsubscribe(mut self) -> Result<(), RequestError> {
        // A full queue would block the answer.
        self.events.close();
        let subscription = self.id;
        self.handle.ask(|answer| Call::Unsubscribe { subscription, answer: Some(answer) }).await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // After `unsubscribe` this has nothing to do; after the client's end the outbox takes nothing.
        let _ = self.handle.outbox.push(Call::Unsubscribe { subscription: self.id, answer: None });
    }
}

//! Subscriptions: asked for with a builder, read one event at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::client::{ask, within};
use crate::continuity::Position;
use crate::error::{ClosedReason, RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::request::{NewSubscription, Request, SubscriptionId};
use crate::shared::Handle;
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

/// What a subscription's topics start with, where they do not resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// The image where there is one, then live.
    #[default]
    Image,
    /// Only what is published from now on.
    Live,
    /// Up to this many retained updates of each topic, then live.
    Last(u64),
}

/// What the broker does when this client does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSlow {
    /// The image of `state` and `patch` topics; of `event` topics what is retained, and a gap for what is not.
    #[default]
    Conflate,
    /// Every update that is still retained, of any kind: for recorders.
    Retain,
    /// Closes the connection. This client then comes back and resumes.
    Disconnect,
}

/// A subscription about to be made: see [`Client::subscribe`](crate::Client::subscribe).
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

    /// What topics start with that do not resume.
    pub fn from(mut self, from: From) -> SubscribeBuilder {
        self.options.from = from;
        self
    }

    /// At most one message per topic and this interval; 0 (the default) is every update.
    pub fn conflate_ms(mut self, conflate_ms: u32) -> SubscribeBuilder {
        self.options.conflate_ms = conflate_ms;
        self
    }

    /// What happens when this client does not keep up.
    pub fn on_slow(mut self, on_slow: OnSlow) -> SubscribeBuilder {
        self.options.on_slow = on_slow;
        self
    }

    /// Asks for an [`Event::Ready`] when every topic that is there has begun: then the picture is whole. Patterns find their
    /// topics one after the other, and nothing else says when they are through. A broker that does not know this refuses
    /// the subscription (`bad_request`).
    pub fn ready(mut self) -> SubscribeBuilder {
        self.options.ready = true;
        self
    }

    /// Adds a topic that goes on after update `seq` of `epoch`: what an earlier run of the program had got.
    pub fn resume(mut self, topic: impl Into<String>, epoch: impl Into<String>, seq: u64) -> SubscribeBuilder {
        let epoch: String = epoch.into();
        self.entries.push(SubscribeEntry { text: topic.into(), resume: Some(Position { epoch: epoch.into(), seq }) });
        self
    }

    /// Subscribes, and waits for the broker's answer. Entries that it refuses are in [`Subscription::refused`]; those that may
    /// work later (`retry`) stay part of the subscription, and are asked for again. It is an error where it refuses all.
    pub async fn send(self) -> Result<Subscription, SubscribeError> {
        if self.entries.is_empty() {
            return Err(SubscribeError::Empty);
        }
        // What is wrong with a name needs no broker to tell.
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
        self.handle.outbox.push(Request::Subscribe(new)).map_err(closed)?;
        // From here on dropping this future unsubscribes.
        let mut subscription =
            Subscription { handle: self.handle, id, events, early: VecDeque::new(), refused: Vec::new() };

        let handle = subscription.handle.clone();
        let answer = within(&handle, async {
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answered => break answer,
                    // The entries of a large subscription are answered in several messages, and the first topics' events
                    // come before the last answer: they must not stop it in a full queue.
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
            Ok(Err(_)) => Err(closed(handle.outbox.closed().unwrap_or(ClosedReason::Here))),
            Err(timeout_ms) => Err(SubscribeError::Request(RequestError::Timeout { timeout_ms })),
        }
    }
}

/// A stream of [`Event`]s. Dropping it unsubscribes.
///
/// A topic that several subscriptions of a client cover comes over the wire once, with the options of the most specific
/// entry, and goes to each of them. One that joins a stream that runs already begins with an [`Event::Topic`] that says
/// where the stream is.
#[derive(Debug)]
pub struct Subscription {
    handle: Arc<Handle>,
    id: SubscriptionId,
    events: mpsc::Receiver<Event>,
    /// What came before the broker's last answer.
    early: VecDeque<Event>,
    refused: Vec<EntryError>,
}

impl Subscription {
    /// The next event; `None` when the client is over and all were read. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        match self.early.pop_front() {
            Some(event) => Some(event),
            None => self.events.recv().await,
        }
    }

    /// The next event if one waits already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.early.pop_front().or_else(|| self.events.try_recv().ok())
    }

    /// The entries that the broker refused while it took the others.
    pub fn refused(&self) -> &[EntryError] {
        &self.refused
    }

    /// Unsubscribes, and waits for the broker's answer.
    pub async fn unsubscribe(mut self) -> Result<(), RequestError> {
        // A full queue would hold up the answer.
        self.events.close();
        let subscription = self.id;
        ask(&self.handle, |answer| Request::Unsubscribe { subscription, answer: Some(answer) }).await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // After `unsubscribe` this finds nothing to do; after the client's end nobody to tell.
        let _ = self.handle.outbox.push(Request::Unsubscribe { subscription: self.id, answer: None });
    }
}

//! Subscriptions: asked for with a builder, read one event at a time.

use crate::error::{RequestError, SubscribeError};
use crate::event::{EntryError, Event};

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
    pub(crate) entries: Vec<String>,
}

impl SubscribeBuilder {
    /// What topics start with that do not resume.
    pub fn from(self, from: From) -> SubscribeBuilder {
        let _ = from;
        self
    }

    /// At most one message per topic and this interval; 0 (the default) is every update.
    pub fn conflate_ms(self, conflate_ms: u32) -> SubscribeBuilder {
        let _ = conflate_ms;
        self
    }

    /// What happens when this client does not keep up.
    pub fn on_slow(self, on_slow: OnSlow) -> SubscribeBuilder {
        let _ = on_slow;
        self
    }

    /// Adds a topic that goes on after update `seq` of `epoch`.
    pub fn resume(mut self, topic: impl Into<String>, epoch: impl Into<String>, seq: u64) -> SubscribeBuilder {
        let _ = (epoch.into(), seq);
        self.entries.push(topic.into());
        self
    }

    /// Subscribes, and waits for the broker's answer.
    pub async fn send(self) -> Result<Subscription, SubscribeError> {
        Err(SubscribeError::Empty)
    }
}

/// A stream of [`Event`]s. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    refused: Vec<EntryError>,
}

impl Subscription {
    /// The next event; `None` when the client is over and all were read.
    pub async fn next(&mut self) -> Option<Event> {
        None
    }

    /// The entries that the broker refused while it took the others.
    pub fn refused(&self) -> &[EntryError] {
        &self.refused
    }

    /// Unsubscribes, and waits for the broker's answer.
    pub async fn unsubscribe(self) -> Result<(), RequestError> {
        Ok(())
    }
}

//! The client as a program holds and calls it.

use std::sync::Arc;

use broker_protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::authenticated::Authenticated;
use crate::batch::{BatchPart, Collector};
use crate::connection_event::ConnectionEvents;
use crate::driver;
use crate::error::{ConnectError, PublishError, RequestError};
use crate::handle::Handle;
use crate::hello::Hello;
use crate::options::Options;
use crate::publish::{BatchAnswer, Publish, Published};
use crate::request::{Answer, Call, Request, Unacknowledged};
use crate::shared::Counters;
use crate::subscribe_options::Listed;
use crate::subscription::SubscribeBuilder;
use crate::wire::entry::Entry;

/// A connection to a broker that replaces itself when it is lost. Clones are cheap and share it. It ends with
/// [`Client::close`], or when the last clone and the last subscription are dropped; what was published by then is still
/// written as long as the runtime runs.
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// Connects with the default [`Options`] to one broker. [`Options::any_of`] takes several addresses.
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Client::connect_with(Options::new(url)).await
    }

    /// Connects. If this first attempt fails, with several addresses at each, the error says why. After that the client replaces a lost connection by
    /// itself, and every subscription resumes from its last update.
    pub async fn connect_with(options: Options) -> Result<Client, ConnectError> {
        Ok(Client { handle: Arc::new(driver::start(options).await?) })
    }

    /// Begins a subscription to topics and patterns: set options on the builder, then `send().await`.
    pub fn subscribe(&self, topics: impl IntoIterator<Item = impl Into<String>>) -> SubscribeBuilder {
        SubscribeBuilder::new(self.handle.clone(), topics.into_iter().map(Into::into).collect())
    }

    /// Publishes an update and waits until the broker has accepted it. If the connection is lost in between, an update
    /// with a [`source`](Publish::source) is sent again; any other that was already written ends with
    /// [`PublishError::Unanswered`].
    ///
    /// Dropping the future withdraws an update that was not written yet. It has no effect on one that was.
    pub async fn publish(&self, update: Publish) -> Result<Published, PublishError> {
        let entry = self.entry(0, &update)?;
        self.ask_to_publish(|answer| Request::Publish { entry, answer }).await
    }

    /// Publishes an update without waiting for the broker's answer. Waits only while too many bytes are queued already.
    ///
    /// Updates that are published in quick succession share a message and a write. The broker's answers are still read:
    /// a refused update is counted in [`Client::counters`] and reported as
    /// [`ConnectionEvent::Unacknowledged`](crate::ConnectionEvent::Unacknowledged). When a connection is lost, updates
    /// that were not written yet are written to the next one. Those that were written but not answered are sent again,
    /// in order, if they have a [`source`](Publish::source): the broker publishes each once. The others are counted and
    /// reported: they were published at most once, perhaps not at all.
    pub async fn publish_unacknowledged(&self, update: Publish) -> Result<(), PublishError> {
        let entry = self.entry(0, &update)?;
        self.handle.outbox.push_when_room(unacknowledged(entry)).await.map_err(PublishError::Closed)
    }

    /// Publishes updates in order, in as few messages as the broker's `message_bytes` allows, and waits for all
    /// answers. Valid updates are published even if others are rejected. If one of them is
    /// [`Invalid`](PublishError::Invalid) or [`TooLarge`](PublishError::TooLarge), nothing is sent. After any other
    /// error, part of the batch may have been published.
    pub async fn publish_batch(&self, batch: Vec<Publish>) -> Result<BatchAnswer, PublishError> {
        self.publish_entries(self.entries(&batch)?).await
    }

    /// Like [`publish_batch`](Client::publish_batch), but an update that cannot be sent does not hold up the others: it
    /// is listed in [`rejected`](BatchAnswer::rejected) with the code that the broker would have given it.
    pub async fn publish_each(&self, batch: Vec<Publish>) -> Result<BatchAnswer, PublishError> {
        let (mut entries, mut indices, mut unsent) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for (index, update) in batch.iter().enumerate() {
            match self.entry(index, update) {
                Ok(entry) => {
                    entries.push(entry);
                    indices.push(index);
                }
                Err(PublishError::Invalid { code, why, .. }) => unsent.push((index, code, why)),
                Err(error @ PublishError::TooLarge { .. }) => {
                    unsent.push((index, ErrorCode::TooLarge, error.to_string()))
                }
                Err(error) => return Err(error),
            }
        }
        drop(batch);
        let mut answer = self.publish_entries(entries).await?;
        if !unsent.is_empty() {
            // The broker's indices count only what was sent.
            for (index, ..) in &mut answer.rejected {
                *index = indices.get(*index).copied().unwrap_or(usize::MAX);
            }
            answer.rejected.append(&mut unsent);
            answer.rejected.sort_by_key(|(index, ..)| *index);
        }
        Ok(answer)
    }

    /// Publishes updates in order without waiting for the broker's answers. Waits only while too many bytes are queued
    /// already; if the future is dropped while it waits, the rest is not published. In all other ways like
    /// [`publish_unacknowledged`](Client::publish_unacknowledged).
    pub async fn publish_batch_unacknowledged(&self, batch: Vec<Publish>) -> Result<(), PublishError> {
        let calls = self.entries(&batch)?.into_iter().map(unacknowledged);
        self.handle.outbox.push_all_when_room(calls).await.map_err(PublishError::Closed)
    }

    /// Waits until everything published before has been answered, however long that takes.
    pub async fn flush(&self) -> Result<(), RequestError> {
        let (answer, answered) = oneshot::channel();
        self.handle.outbox.push(Request::Flush { answer }.into()).map_err(RequestError::Closed)?;
        answered.await.map_err(|_| RequestError::Closed(self.handle.closed_reason()))
    }

    /// Returns what this connection is subscribed to, according to the broker.
    pub async fn list(&self) -> Result<Vec<Listed>, RequestError> {
        self.handle.ask(|answer| Request::List { answer }.into()).await
    }

    /// Pings the broker. Returns its clock, in microseconds since the UNIX epoch.
    pub async fn ping(&self) -> Result<u64, RequestError> {
        self.handle.ask(|answer| Request::Ping { answer }.into()).await
    }

    /// The `hello` of the current connection, or of the last one if there is none.
    pub fn hello(&self) -> Arc<Hello> {
        self.handle.hello()
    }

    /// The address of the current connection, or of the last one if there is none.
    pub fn url(&self) -> Arc<str> {
        self.handle.url()
    }

    /// Whether the broker has said that it is cut off from its journal, so that what it sends may be old
    /// ([`ConnectionEvent::Stale`](crate::ConnectionEvent::Stale)).
    pub fn is_stale(&self) -> bool {
        self.handle.is_stale()
    }

    /// Whom the broker takes this client for, and what it may; `None` if it has not said on this connection.
    pub fn authenticated(&self) -> Option<Arc<Authenticated>> {
        self.handle.authenticated()
    }

    /// The broker's name for the connection.
    pub fn session(&self) -> String {
        self.handle.hello().session.clone()
    }

    /// Counts of what went wrong so far.
    pub fn counters(&self) -> Counters {
        self.handle.counters()
    }

    /// Returns a receiver of what happens to the connection from now on.
    pub fn events(&self) -> ConnectionEvents {
        self.handle.events()
    }

    /// Waits until everything published has been answered (at most `close_timeout_ms`), then closes the connection, for
    /// every clone. A subscription ends once the events in its queue have been read. Events that arrive for a full
    /// queue from now on are dropped.
    pub async fn close(self) {
        self.handle.close();
        self.handle.finished().await;
    }

    fn entry(&self, index: usize, update: &Publish) -> Result<Entry, PublishError> {
        let entry = Entry::new(update).map_err(|(code, why)| {
            let topic = update.topic.chars().take(TOPIC_CHARS_MAX).collect();
            PublishError::Invalid { index, topic, code, why }
        })?;
        match entry.too_large(index, self.handle.hello().limits.message_bytes) {
            Some(error) => Err(error),
            None => Ok(entry),
        }
    }

    fn entries(&self, batch: &[Publish]) -> Result<Vec<Entry>, PublishError> {
        batch.iter().enumerate().map(|(index, update)| self.entry(index, update)).collect()
    }

    async fn publish_entries(&self, entries: Vec<Entry>) -> Result<BatchAnswer, PublishError> {
        if entries.is_empty() {
            return Ok(BatchAnswer::default());
        }
        let updates = entries.len();
        self.ask_to_publish(|answer| {
            let collector = Arc::new(Collector::new(updates, answer));
            Request::Batch(BatchPart { entries: entries.into(), first_index: 0, collector })
        })
        .await
    }

    async fn ask_to_publish<T>(
        &self,
        request: impl FnOnce(Answer<T, PublishError>) -> Request,
    ) -> Result<T, PublishError> {
        let asked = async {
            let (answer, answered) = oneshot::channel();
            self.handle.outbox.push_when_room(request(answer).into()).await.map_err(PublishError::Closed)?;
            answered.await.unwrap_or(Err(PublishError::Unanswered))
        };
        match self.handle.within(asked).await {
            Ok(result) => result,
            Err(timeout_ms) => Err(PublishError::Timeout { timeout_ms }),
        }
    }
}

/// How much of an invalid topic an error repeats.
const TOPIC_CHARS_MAX: usize = 64;

fn unacknowledged(entry: Entry) -> Call {
    Request::Unacknowledged(Unacknowledged::one(entry)).into()
}

//! The handle: what a program holds and calls.

use std::sync::Arc;
use std::time::Duration;

use broker_protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::connection_event::ConnectionEvents;
use crate::driver;
use crate::error::{ClosedReason, ConnectError, PublishError, RequestError};
use crate::hello::Hello;
use crate::options::Options;
use crate::publish::{BatchAnswer, Publish, Published};
use crate::request::{Answer, BatchPart, Collector, Request};
use crate::shared::{Counters, Handle};
use crate::subscription::SubscribeBuilder;
use crate::wire::entry::Entry;

/// A connection to a broker that mends itself. Clones are cheap and share it; it ends with [`Client::close`], or when the
/// last clone and the last subscription are dropped (what was published by then is still written, as
/// long as the runtime goes on).
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// One line of [`Client::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The topic or pattern.
    pub entry: String,
    /// The interval that the broker uses.
    pub conflate_ms: u32,
    /// What it does when this client is slow, as the protocol spells it.
    pub on_slow: String,
}

impl Client {
    /// Connects with the default [`Options`].
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Client::connect_with(Options::new(url)).await
    }

    /// Connects. The first attempt fails at once and says why; a connection that stood is replaced whenever it is lost, and
    /// every subscription goes on from its last update.
    pub async fn connect_with(options: Options) -> Result<Client, ConnectError> {
        Ok(Client { handle: Arc::new(driver::start(options).await?) })
    }

    /// Begins a subscription to topics and patterns: set options on the builder, then `send().await`.
    pub fn subscribe(&self, topics: impl IntoIterator<Item = impl Into<String>>) -> SubscribeBuilder {
        SubscribeBuilder::new(self.handle.clone(), topics.into_iter().map(Into::into).collect())
    }

    /// Publishes and waits until the broker took it. If the connection is lost in between, an update with a
    /// [`source`](Publish::source) is sent again; any other ends with [`PublishError::Unanswered`] if it was written already.
    ///
    /// Dropping the future before the update was written takes it back; later it does not.
    pub async fn publish(&self, update: Publish) -> Result<Published, PublishError> {
        let entry = self.entry(0, &update)?;
        self.ask_to_publish(|answer| Request::Publish { entry, answer }).await
    }

    /// Publishes without waiting for the broker; waits only while too much is on its way already.
    ///
    /// Updates that are published in quick succession share a message and a write. The broker's answers are read all the
    /// same: a refused update is counted in [`Client::counters`] and told as
    /// [`ConnectionEvent::Unacknowledged`](crate::ConnectionEvent::Unacknowledged). When a connection is lost, what was
    /// not written yet is written to the next one; what was written and not answered is sent again, in order, if it has a
    /// [`source`](Publish::source) (the broker takes it once), and otherwise is counted and told: it was published at most
    /// once, perhaps not at all.
    pub async fn publish_unacknowledged(&self, update: Publish) -> Result<(), PublishError> {
        let entry = self.entry(0, &update)?;
        self.handle.outbox.push_when_room(Request::Unacknowledged(entry)).await.map_err(PublishError::Closed)
    }

    /// Publishes many in order, in as few messages as the broker's `message_bytes` allows, and waits until it answered all.
    /// Good updates are published even where others are rejected. Nothing is sent where one of them is
    /// [`Invalid`](PublishError::Invalid) or [`TooLarge`](PublishError::TooLarge); after any other error part of the batch
    /// may have been published.
    pub async fn publish_batch(&self, batch: Vec<Publish>) -> Result<BatchAnswer, PublishError> {
        self.publish_entries(self.entries(&batch)?).await
    }

    /// As [`publish_batch`](Client::publish_batch), but an update that cannot be sent does not hold up the others: it is
    /// among [`rejected`](BatchAnswer::rejected), with the code that the broker would have given it.
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
            // The broker counted what it got.
            for (index, ..) in &mut answer.rejected {
                *index = indices.get(*index).copied().unwrap_or(usize::MAX);
            }
            answer.rejected.append(&mut unsent);
            answer.rejected.sort_by_key(|(index, ..)| *index);
        }
        Ok(answer)
    }

    /// Publishes many in order without waiting for the broker; waits only while too much is on its way already. If the
    /// future is dropped while it waits, the rest is not published. Otherwise as
    /// [`publish_unacknowledged`](Client::publish_unacknowledged).
    pub async fn publish_batch_unacknowledged(&self, batch: Vec<Publish>) -> Result<(), PublishError> {
        let requests = self.entries(&batch)?.into_iter().map(Request::Unacknowledged);
        self.handle.outbox.push_all_when_room(requests).await.map_err(PublishError::Closed)
    }

    /// Waits until everything that was published before has been answered, however long that takes.
    pub async fn flush(&self) -> Result<(), RequestError> {
        let (answer, answered) = oneshot::channel();
        self.handle.outbox.push(Request::Flush { answer }).map_err(RequestError::Closed)?;
        answered.await.map_err(|_| RequestError::Closed(self.reason()))
    }

    /// What this connection is subscribed to, as the broker sees it.
    pub async fn list(&self) -> Result<Vec<Listed>, RequestError> {
        ask(&self.handle, |answer| Request::List { answer }).await
    }

    /// Asks for a sign of life: the broker's clock, in microseconds since the UNIX epoch.
    pub async fn ping(&self) -> Result<u64, RequestError> {
        ask(&self.handle, |answer| Request::Ping { answer }).await
    }

    /// The `hello` of the connection that stands, or of the last one that did.
    pub fn hello(&self) -> Arc<Hello> {
        self.handle.hello()
    }

    /// The broker's name for the connection.
    pub fn session(&self) -> String {
        self.handle.hello().session.clone()
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        self.handle.counters()
    }

    /// What happens to the connection from now on.
    pub fn events(&self) -> ConnectionEvents {
        self.handle.events()
    }

    /// Waits until what was published is answered (at most `close_timeout_ms`), then closes the connection, for every
    /// clone. Subscriptions end once what is in their queues was read; what comes for a full one from now on is dropped.
    pub async fn close(self) {
        self.handle.close();
        self.handle.finished().await;
    }

    fn entry(&self, index: usize, update: &Publish) -> Result<Entry, PublishError> {
        let entry = Entry::new(update).map_err(|(code, why)| {
            let topic = update.topic.chars().take(TOPIC_CHARS_TOLD).collect();
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
            self.handle.outbox.push_when_room(request(answer)).await.map_err(PublishError::Closed)?;
            answered.await.unwrap_or(Err(PublishError::Unanswered))
        };
        match within(&self.handle, asked).await {
            Ok(result) => result,
            Err(timeout_ms) => Err(PublishError::Timeout { timeout_ms }),
        }
    }

    fn reason(&self) -> ClosedReason {
        self.handle.outbox.closed().unwrap_or(ClosedReason::Here)
    }
}

/// How much of a wrong topic stands in an error.
const TOPIC_CHARS_TOLD: usize = 64;

/// Makes a request that is not a publish, and waits for its answer.
pub(crate) async fn ask<T>(
    handle: &Handle,
    request: impl FnOnce(Answer<T, RequestError>) -> Request,
) -> Result<T, RequestError> {
    let (answer, answered) = oneshot::channel();
    handle.outbox.push(request(answer)).map_err(RequestError::Closed)?;
    match within(handle, answered).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(RequestError::Closed(handle.outbox.closed().unwrap_or(ClosedReason::Here))),
        Err(timeout_ms) => Err(RequestError::Timeout { timeout_ms }),
    }
}

/// `answer_timeout_ms` as the error where it ran out.
pub(crate) async fn within<T>(handle: &Handle, future: impl Future<Output = T>) -> Result<T, u64> {
    match handle.options.answer_timeout_ms {
        0 => Ok(future.await),
        timeout_ms => tokio::time::timeout(Duration::from_millis(timeout_ms), future).await.map_err(|_| timeout_ms),
    }
}

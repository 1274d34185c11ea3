//! The handle: what a program holds and calls.

use std::sync::Arc;

use crate::connection_event::ConnectionEvents;
use crate::error::{ConnectError, PublishError, RequestError};
use crate::hello::Hello;
use crate::options::Options;
use crate::publish::{BatchAnswer, Publish, Published};
use crate::subscription::SubscribeBuilder;

/// A connection to a broker that mends itself. Clones are cheap and share it; it ends with [`Client::close`], or when the
/// last clone and the last subscription are dropped.
#[derive(Debug, Clone)]
pub struct Client {
    hello: Arc<Hello>,
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
        Err(ConnectError::Url { url: options.url, why: "the client is still being written" })
    }

    /// Begins a subscription to topics and patterns: set options on the builder, then `send().await`.
    pub fn subscribe(&self, topics: impl IntoIterator<Item = impl Into<String>>) -> SubscribeBuilder {
        SubscribeBuilder { entries: topics.into_iter().map(Into::into).collect() }
    }

    /// Publishes and waits until the broker took it.
    pub async fn publish(&self, update: Publish) -> Result<Published, PublishError> {
        let _ = update;
        Err(PublishError::Unanswered)
    }

    /// Publishes without waiting for the broker; waits only while too much is on its way already.
    pub async fn publish_unacknowledged(&self, update: Publish) -> Result<(), PublishError> {
        let _ = update;
        Err(PublishError::Unanswered)
    }

    /// Publishes many in order, in as few messages as the broker's limit allows, and waits until it answered all.
    pub async fn publish_batch(&self, batch: Vec<Publish>) -> Result<BatchAnswer, PublishError> {
        let _ = batch;
        Err(PublishError::Unanswered)
    }

    /// Publishes many in order without waiting for the broker; waits only while too much is on its way already.
    pub async fn publish_batch_unacknowledged(&self, batch: Vec<Publish>) -> Result<(), PublishError> {
        let _ = batch;
        Err(PublishError::Unanswered)
    }

    /// Waits until everything that was published without waiting has been answered.
    pub async fn flush(&self) -> Result<(), RequestError> {
        Ok(())
    }

    /// What this connection is subscribed to, as the broker sees it.
    pub async fn list(&self) -> Result<Vec<Listed>, RequestError> {
        Ok(Vec::new())
    }

    /// Asks for a sign of life: the broker's clock, in microseconds since the UNIX epoch.
    pub async fn ping(&self) -> Result<u64, RequestError> {
        Ok(0)
    }

    /// The `hello` of the connection that stands, or of the last one that did.
    pub fn hello(&self) -> Arc<Hello> {
        self.hello.clone()
    }

    /// The broker's name for the connection.
    pub fn session(&self) -> String {
        self.hello.session.clone()
    }

    /// What happens to the connection from now on.
    pub fn events(&self) -> ConnectionEvents {
        ConnectionEvents(tokio::sync::broadcast::channel(1).1)
    }

    /// Waits until what was published is answered (at most `close_timeout_ms`), then closes the connection, for every clone.
    pub async fn close(self) {}
}

//! The targets of updates: a broker, lines to a writer, or nothing.

mod broker;
mod lines;

use crate::schedule::Due;
use crate::summary::Summary;
pub use broker::{Broker, Publishing};
pub use broker_client::{Tls, Token};
pub use lines::{Lines, Output};

/// A target that takes batches in order and reports what became of each update.
pub enum Target {
    /// A broker, over its WebSocket protocol.
    Broker(Box<Broker>),
    /// NDJSON, as `POST /v1/publish` takes it, or with the feed's own times into a file.
    Lines(Lines),
    /// Drops everything, to measure what the feed itself costs.
    Nowhere,
}

impl Target {
    /// Its name in the summary.
    pub fn name(&self) -> String {
        match self {
            Target::Broker(broker) => broker.url().to_owned(),
            Target::Lines(lines) => lines.name().to_owned(),
            Target::Nowhere => "nowhere".to_owned(),
        }
    }

    /// The number of takers among which a batch is divided.
    pub fn takers(&self) -> usize {
        match self {
            Target::Broker(broker) => broker.producers(),
            Target::Lines(_) | Target::Nowhere => 1,
        }
    }

    /// Connections that replaced a lost one, so far.
    pub fn reconnects(&self) -> u64 {
        match self {
            Target::Broker(broker) => broker.reconnects(),
            Target::Lines(_) | Target::Nowhere => 0,
        }
    }

    /// Notes that the feed's clock starts now.
    pub fn start(&mut self) {
        if let Target::Broker(broker) = self {
            broker.start();
        }
    }

    /// Waits until the target has room for a batch. May be cancelled without loss.
    pub async fn room(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        match self {
            Target::Broker(broker) => broker.room(summary).await,
            Target::Lines(_) | Target::Nowhere => Ok(()),
        }
    }

    /// Hands over a batch without waiting; call [`Target::room`] first.
    pub fn submit(&mut self, batch: &mut Vec<Due>, summary: &mut Summary) -> Result<(), TargetGone> {
        summary.published += batch.len() as u64;
        match self {
            Target::Broker(broker) => broker.submit(batch),
            Target::Lines(lines) => lines.submit(batch, summary)?,
            Target::Nowhere => summary.acknowledged += batch.len() as u64,
        }
        batch.clear();
        Ok(())
    }

    /// Takes in answers while there is nothing else to do. Returns only with an error; may be cancelled without loss.
    pub async fn idle(&mut self, summary: &mut Summary) -> TargetGone {
        match self {
            Target::Broker(broker) => broker.idle(summary).await,
            Target::Lines(_) | Target::Nowhere => std::future::pending().await,
        }
    }

    /// Waits for the last answers, within a bound, or writes the remaining lines.
    pub async fn settle(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        match self {
            Target::Broker(broker) => broker.settle(summary).await?,
            Target::Lines(lines) => lines.finish(summary)?,
            Target::Nowhere => {}
        }
        Ok(())
    }

    /// Ends the connection.
    pub async fn close(self) {
        if let Target::Broker(broker) = self {
            broker.close().await;
        }
    }
}

/// Why the target takes no more updates.
#[derive(Debug, thiserror::Error)]
pub enum TargetGone {
    /// The reader of our output is gone: a regular end (`feed-sim … | head`).
    #[error("the reader of the output is gone")]
    ReaderLeft,
    /// The output failed.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
    /// The broker closed the connection for a reason that forbids reconnecting.
    #[error("the broker takes no more updates")]
    Broker(#[source] broker_client::PublishError),
}

//! One connection, with several batches in flight at once.
//!
//! An update with a source carries its number in the feed. After a lost connection the client sends unanswered updates
//! again, and the broker recognises those that it has, so that a reconnect neither loses, duplicates nor reorders
//! updates. States that the broker itself lost are sent again ([`super::again`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use broker_client::{Client, ConnectError, ConnectionEvent, Options, Publish};
use tokio::sync::mpsc;

use super::Publishing;
use super::again::Again;
use super::answers::InFlight;
use super::memory::Memory;
use crate::publish::TargetGone;
use crate::schedule::BATCH_BYTES_MAX;
use crate::summary::Summary;

/// The bytes that may be in flight, as [`Publication::bytes`](crate::publication::Publication::bytes) counts them,
/// beside one more batch. Three quarters of a megabyte sustain 15 MB/s over a connection with a round trip of 50 ms,
/// and are little enough that a slow broker soon holds up the feed.
const IN_FLIGHT_BYTES_MAX: usize = 16 * BATCH_BYTES_MAX;
/// The size of the client's queues: so large that handing over a batch never waits there, which keeps batches in order.
const CLIENT_QUEUE_BYTES: usize = 4 * IN_FLIGHT_BYTES_MAX;
/// How long the end of a run waits for the connection to close.
const CLOSE_TIMEOUT_MS: u64 = 500;

/// A connection and the batches that wait for an answer.
pub(super) struct Producer {
    client: Client,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// The `source` of the updates, if they carry one.
    source: Option<Arc<str>>,
    memory: Memory,
    again: Again,
    /// Wakes the producer's task when a new connection has replaced a lost one.
    reconnected: mpsc::Receiver<()>,
    /// The number of reconnects that have been acted upon.
    reconnects: u64,
}

impl Producer {
    /// Connects; `reconnects` counts the connections that replaced a lost one.
    pub(super) async fn connect(
        url: &str,
        publishing: &Publishing,
        source: Option<Arc<str>>,
        reconnects: Arc<AtomicU64>,
    ) -> Result<Producer, ConnectError> {
        let options = Options {
            outgoing_bytes_max: CLIENT_QUEUE_BYTES,
            unanswered_bytes_max: CLIENT_QUEUE_BYTES,
            // A broker that is down for an hour holds the feed up for an hour, and nothing is lost.
            answer_timeout_ms: 0,
            close_timeout_ms: CLOSE_TIMEOUT_MS,
            token: publishing.token.clone(),
            tls: publishing.tls.clone(),
            ..Options::new(url)
        };
        let client = Client::connect_with(options).await?;
        // One slot: a reconnect that has not been taken in yet covers those after it.
        let (notify, reconnected) = mpsc::channel(1);
        tokio::spawn(watch(client.events(), reconnects, notify));
        let (memory, again) = Default::default();
        Ok(Producer {
            client,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            source,
            memory,
            again,
            reconnected,
            reconnects: 0,
        })
    }

    /// Hands over a share of a batch without waiting; call [`Producer::poll_room`] first.
    pub(super) fn submit(&mut self, updates: impl Iterator<Item = Publish>) {
        let batch: Vec<Publish> = updates.collect();
        if !batch.is_empty() {
            self.push(InFlight::publish(&self.client, batch));
        }
    }

    fn push(&mut self, in_flight: InFlight) {
        self.in_flight_bytes += in_flight.bytes();
        self.in_flight.push_back(in_flight);
    }

    /// Ready when there is room for a batch, and the states that the broker lost have been sent again.
    pub(super) fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        summary: &mut Summary,
    ) -> Poll<Result<(), TargetGone>> {
        loop {
            ready!(self.poll_again(context, summary))?;
            if self.in_flight_bytes < IN_FLIGHT_BYTES_MAX {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_oldest(context, summary))?;
        }
    }

    /// Ready when everything has its answer, or with the first batch that has none because the broker is gone.
    pub(super) fn poll_settled(
        &mut self,
        context: &mut Context<'_>,
        summary: &mut Summary,
    ) -> Poll<Result<(), TargetGone>> {
        loop {
            ready!(self.poll_again(context, summary))?;
            if self.in_flight.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_oldest(context, summary))?;
        }
    }

    /// Ready when all states that are due again have been sent.
    fn poll_again(&mut self, context: &mut Context<'_>, summary: &mut Summary) -> Poll<Result<(), TargetGone>> {
        while let Poll::Ready(Some(())) = self.reconnected.poll_recv(context) {}
        let reconnects = self.client.counters().reconnects;
        if std::mem::replace(&mut self.reconnects, reconnects) != reconnects {
            self.again.all(&self.memory);
        }
        if self.again.is_due() {
            // The whole states are known only when everything before them is answered.
            while self.unanswered() > 0 {
                ready!(self.poll_oldest(context, summary))?;
            }
        }
        while self.again.is_due() {
            while self.in_flight_bytes >= IN_FLIGHT_BYTES_MAX {
                ready!(self.poll_oldest(context, summary))?;
            }
            let message_bytes = self.client.hello().limits.message_bytes;
            let (batch, whole) = self.again.next(&mut self.memory, &self.source, message_bytes);
            if !batch.is_empty() {
                self.push(InFlight::again(&self.client, batch, whole));
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.in_flight.is_empty() && !self.again.is_due()
    }

    /// Pings the broker, and returns whether the answer came over the connection that everything before was sent over.
    /// Without this, a connection with nothing in flight might be lost, and the broker's states with it, unnoticed.
    /// Returns true also if there is no state to lose, or if the broker is gone for good.
    pub(super) async fn is_still_connected(&mut self) -> bool {
        self.memory.is_empty()
            || self.client.ping().await.is_err()
            || self.client.counters().reconnects == self.reconnects
    }

    /// How many updates of the feed have no answer yet.
    pub(super) fn unanswered(&self) -> u64 {
        self.in_flight.iter().map(InFlight::updates).sum()
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }

    /// Counts the answer to the oldest batch as soon as it has arrived.
    fn poll_oldest(&mut self, context: &mut Context<'_>, summary: &mut Summary) -> Poll<Result<(), TargetGone>> {
        let Some(oldest) = self.in_flight.front_mut() else { return Poll::Ready(Ok(())) };
        let answer = ready!(oldest.poll(context));
        match self.in_flight.pop_front() {
            Some(oldest) => {
                self.in_flight_bytes -= oldest.bytes();
                let counted = oldest.count(answer, summary, &mut self.memory, &mut self.again);
                Poll::Ready(counted.inspect_err(|_| self.again.clear()))
            }
            None => Poll::Ready(Ok(())),
        }
    }
}

/// Logs what happens to the connection, and counts and reports reconnects.
async fn watch(mut events: broker_client::ConnectionEvents, reconnects: Arc<AtomicU64>, notify: mpsc::Sender<()>) {
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Connected { session, resumed } => {
                if resumed {
                    reconnects.fetch_add(1, Ordering::Relaxed);
                    let _ = notify.try_send(());
                }
                tracing::info!(session, "connected");
            }
            ConnectionEvent::Disconnected { reason, retry_ms, .. } => {
                tracing::warn!(reason, retry_ms, "the connection was lost; the feed waits");
            }
            ConnectionEvent::AttemptFailed { reason, retry_ms } => {
                tracing::warn!(reason, retry_ms, "no connection yet")
            }
            ConnectionEvent::GoAway { reason, after_ms } => {
                tracing::info!(reason, after_ms, "the broker is shutting down")
            }
            other => tracing::debug!(?other, "connection"),
        }
    }
}

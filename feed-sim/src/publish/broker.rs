//! Publishing to a broker: acknowledged batches, several on their way at once.
//!
//! Every update carries this run's `source` and its number in the feed. After a lost connection the client sends again
//! what was not answered, and the broker recognises what it has: so a reconnect neither loses, doubles nor reorders.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_client::{BatchAnswer, Client, ConnectError, ConnectionEvent, Options, Publish, PublishError};
use tokio::time::timeout;

use super::TargetGone;
use crate::schedule::{BATCH_BYTES_MAX, Due};
use crate::summary::Summary;

/// Batches on their way at once. Three quarters of a megabyte keeps a connection of 50 ms round trip at 15 MB/s, and is
/// little enough that a broker which is slow holds the feed up soon.
const IN_FLIGHT_BATCHES_MAX: usize = 16;
/// The client's queues, so large that handing it a batch never waits there: that is what keeps batches in order.
const CLIENT_QUEUE_BYTES: usize = 4 * IN_FLIGHT_BATCHES_MAX * BATCH_BYTES_MAX;
/// How long the end of a run waits for the last answers.
const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it then waits for the connection to close.
const CLOSE_TIMEOUT_MS: u64 = 500;

type Answer = Pin<Box<dyn Future<Output = Result<BatchAnswer, PublishError>> + Send>>;

/// A batch that waits for its answer, and the topic of each of its updates.
struct InFlight {
    answer: Answer,
    topics: Vec<String>,
}

/// A broker as a target.
pub struct Broker {
    url: String,
    client: Client,
    /// Who we are to the broker: new in each run, so that a second run is not taken for a repetition of the first.
    source: String,
    source_seq: u64,
    /// The wall clock at the start of the feed's, for `source_ts`; microseconds since the UNIX epoch.
    started_ts: u64,
    in_flight: VecDeque<InFlight>,
    /// Written by the task that watches the connection.
    reconnects: Arc<AtomicU64>,
}

impl Broker {
    /// Connects; a first attempt that fails is an error. Later losses mend themselves.
    pub async fn connect(url: &str) -> Result<Broker, ConnectError> {
        let options = Options {
            outgoing_bytes_max: CLIENT_QUEUE_BYTES,
            unanswered_bytes_max: CLIENT_QUEUE_BYTES,
            // A broker that is away for an hour holds the feed up for an hour, and loses nothing.
            answer_timeout_ms: 0,
            close_timeout_ms: CLOSE_TIMEOUT_MS,
            ..Options::new(url)
        };
        let client = Client::connect_with(options).await?;
        let reconnects = Arc::new(AtomicU64::new(0));
        tokio::spawn(watch(client.events(), reconnects.clone()));
        let now_ts = now_ts();
        Ok(Broker {
            url: url.to_owned(),
            client,
            source: format!("feed-sim-{:x}-{now_ts:x}", process::id()),
            source_seq: 0,
            started_ts: now_ts,
            in_flight: VecDeque::new(),
            reconnects,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn start(&mut self) {
        self.started_ts = now_ts();
    }

    pub(super) async fn room(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        while self.in_flight.len() >= IN_FLIGHT_BATCHES_MAX {
            self.settle_oldest(summary).await?;
        }
        Ok(())
    }

    pub(super) async fn idle(&mut self, summary: &mut Summary) -> TargetGone {
        loop {
            if self.in_flight.is_empty() {
                return pending().await;
            }
            if let Err(gone) = self.settle_oldest(summary).await {
                return gone;
            }
        }
    }

    pub(super) fn submit(&mut self, batch: &mut Vec<Due>, summary: &mut Summary) {
        let message_bytes_max = self.client.hello().limits.message_bytes as usize;
        let mut updates = Vec::with_capacity(batch.len());
        for due in batch.drain(..) {
            let update = self.update(due);
            // One that is too large would take its whole batch with it.
            let bytes = update.topic.len() + update.data.len() + ENVELOPE_BYTES_MAX;
            if bytes > message_bytes_max {
                let message = format!("{bytes} bytes, and the broker takes messages up to {message_bytes_max}");
                summary.reject("too_large", &update.topic, &message);
            } else {
                updates.push(update);
            }
        }
        if updates.is_empty() {
            return;
        }
        let topics = updates.iter().map(|update| update.topic.clone()).collect();
        let client = self.client.clone();
        let mut answer: Answer = Box::pin(async move { client.publish_batch(updates).await });
        // The first poll puts the batch into the client's queue, behind the one before. Whether it is answered is looked
        // at when it has become the oldest.
        let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let answer = match polled {
            Poll::Ready(result) => Box::pin(std::future::ready(result)),
            Poll::Pending => answer,
        };
        self.in_flight.push_back(InFlight { answer, topics });
    }

    pub(super) async fn settle(&mut self, summary: &mut Summary) {
        let all = async {
            while !self.in_flight.is_empty() {
                // Where the broker is gone, each of them says so at once.
                let _ = self.settle_oldest(summary).await;
            }
        };
        if timeout(LAST_ANSWERS_TIMEOUT, all).await.is_err() {
            summary.unanswered += self.in_flight.iter().map(|batch| batch.topics.len() as u64).sum::<u64>();
        }
        summary.reconnects = self.reconnects.load(Ordering::Relaxed);
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }

    /// Waits for the answer to the oldest batch and counts it. May be cancelled: the batch stays the oldest.
    async fn settle_oldest(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        let Some(oldest) = self.in_flight.front_mut() else { return Ok(()) };
        let result = poll_fn(|context| oldest.answer.as_mut().poll(context)).await;
        let Some(InFlight { topics, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let updates = topics.len() as u64;
        let topic = |index: usize| topics.get(index).map_or("", String::as_str);
        match result {
            Ok(answer) => {
                summary.acknowledged += answer.accepted;
                summary.duplicates += answer.duplicates;
                for (index, code, message) in &answer.rejected {
                    summary.reject(code.as_str(), topic(*index), message);
                }
                // An answer that does not add up leaves updates that nobody accounts for.
                summary.unanswered += updates.saturating_sub(answer.accepted + answer.rejected.len() as u64);
                Ok(())
            }
            Err(PublishError::Closed(reason)) => {
                summary.unanswered += updates;
                Err(TargetGone::Broker(PublishError::Closed(reason)))
            }
            Err(PublishError::Refused { code, message, .. }) => {
                topics.iter().for_each(|topic| summary.reject(code.as_str(), topic, &message));
                Ok(())
            }
            Err(error @ (PublishError::Invalid { .. } | PublishError::TooLarge { .. })) => {
                let message = error.to_string();
                topics.iter().for_each(|topic| summary.reject("not_sent", topic, &message));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(updates, error = %error, "a batch has no answer");
                summary.unanswered += updates;
                Ok(())
            }
        }
    }

    fn update(&mut self, due: Due) -> Publish {
        self.source_seq += 1;
        let Due { due, publication } = due;
        Publish {
            topic: publication.topic,
            kind: Some(publication.kind),
            data: publication.data,
            source: Some((self.source.clone(), self.source_seq)),
            // When it should have been sent, not when it was: who measures from it sees our own lag too.
            source_ts: due.map(|due| {
                (self.started_ts + due.as_micros() as u64).saturating_add_signed(publication.source_offset_us)
            }),
        }
    }
}

/// `{"op":"publish","id":…,"batch":[{"topic":"","kind":"state","data":,"source":"…","source_seq":…,"source_ts":…}]}`.
const ENVELOPE_BYTES_MAX: usize = 300;

/// Tells what happens to the connection, and counts.
async fn watch(mut events: broker_client::ConnectionEvents, reconnects: Arc<AtomicU64>) {
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Connected { session, resumed } => {
                if resumed {
                    reconnects.fetch_add(1, Ordering::Relaxed);
                }
                tracing::info!(session, "connected");
            }
            ConnectionEvent::Disconnected { reason, retry_ms, .. } => {
                tracing::warn!(reason, retry_ms, "the connection was lost; the feed waits");
            }
            ConnectionEvent::AttemptFailed { reason, retry_ms } => {
                tracing::warn!(reason, retry_ms, "no connection yet")
            }
            ConnectionEvent::GoAway { reason, after_ms } => tracing::info!(reason, after_ms, "the broker goes away"),
            other => tracing::debug!(?other, "connection"),
        }
    }
}

fn now_ts() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

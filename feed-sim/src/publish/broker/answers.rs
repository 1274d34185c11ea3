//! Batches on their way, and what their answers mean for the summary.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use broker_client::{BatchAnswer, Client, Publish, PublishError};

use crate::publication::wire_bytes;
use crate::publish::TargetGone;
use crate::summary::Summary;

type Answer = Result<BatchAnswer, PublishError>;

/// A batch that waits for its answer.
pub(super) struct InFlight {
    answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    topics: Topics,
    bytes: usize,
}

impl InFlight {
    /// Puts the batch into the client's queue, behind the one before. It must have room there.
    pub(super) fn publish(client: &Client, batch: Vec<Publish>) -> InFlight {
        let topics = Topics::of(&batch);
        let bytes = batch.iter().map(|update| wire_bytes(&update.topic, &update.data)).sum();
        let client = client.clone();
        let mut answer: Pin<Box<dyn Future<Output = Answer> + Send>> =
            Box::pin(async move { client.publish_each(batch).await });
        // The first poll queues it. Whether it is answered is looked at when it has become the oldest.
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            answer = Box::pin(std::future::ready(result));
        }
        InFlight { answer, topics, bytes }
    }

    /// About what it takes on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn updates(&self) -> u64 {
        self.topics.ends.len() as u64
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        self.answer.as_mut().poll(context)
    }

    /// What became of each update.
    pub(super) fn count(self, answer: Answer, summary: &mut Summary) -> Result<(), TargetGone> {
        let (updates, topics) = (self.updates(), self.topics);
        match answer {
            Ok(answer) => {
                summary.acknowledged += answer.accepted;
                summary.duplicates += answer.duplicates;
                for (index, code, message) in &answer.rejected {
                    summary.reject(code.as_str(), topics.get(*index), message);
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
            Err(error @ PublishError::TooLarge { .. }) => {
                // The connection that replaced a lost one is to a broker that takes less.
                let message = error.to_string();
                topics.iter().for_each(|topic| summary.reject("too_large", topic, &message));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(updates, error = %error, "a batch has no answer");
                summary.unanswered += updates;
                Ok(())
            }
        }
    }
}

/// The topics of a batch, for what is refused of it: one string, because a refusal is rare and a batch is not.
struct Topics {
    names: String,
    ends: Vec<usize>,
}

impl Topics {
    fn of(batch: &[Publish]) -> Topics {
        let mut names = String::with_capacity(batch.iter().map(|update| update.topic.len()).sum());
        let ends = batch.iter().map(|update| {
            names.push_str(&update.topic);
            names.len()
        });
        let ends = ends.collect();
        Topics { names, ends }
    }

    /// The topic at that place of the batch; nothing where there is none, for the number is the broker's.
    fn get(&self, index: usize) -> &str {
        let Some(&end) = self.ends.get(index) else { return "" };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.names[start..end]
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index))
    }
}

//! Batches in flight, and what their answers mean for the summary.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use broker_client::{BatchAnswer, Client, ErrorCode, Publish, PublishError};

use super::again::{Again, Whole};
use super::memory::Memory;
use crate::publication::{Kind, wire_bytes};
use crate::publish::TargetGone;
use crate::summary::Summary;

type Answer = Result<BatchAnswer, PublishError>;

/// A batch that waits for its answer.
pub(super) struct InFlight {
    answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    sent: Sent,
    bytes: usize,
}

/// What a batch consists of.
enum Sent {
    /// Updates of the feed.
    Feed(Updates),
    /// Whole states that are sent again.
    Again(Whole),
}

impl InFlight {
    /// Sends updates of the feed.
    pub(super) fn publish(client: &Client, batch: Vec<Publish>) -> InFlight {
        let updates = Updates::of(&batch);
        InFlight::queue(client, batch, Sent::Feed(updates))
    }

    /// Sends whole states again.
    pub(super) fn again(client: &Client, batch: Vec<Publish>, whole: Whole) -> InFlight {
        InFlight::queue(client, batch, Sent::Again(whole))
    }

    /// Puts the batch into the client's queue, behind the one before. It must have room there.
    fn queue(client: &Client, batch: Vec<Publish>, sent: Sent) -> InFlight {
        let bytes = batch.iter().map(|update| wire_bytes(&update.topic, &update.data)).sum();
        let client = client.clone();
        let mut answer: Pin<Box<dyn Future<Output = Answer> + Send>> =
            Box::pin(async move { client.publish_each(batch).await });
        // The first poll queues it. Its answer is polled for once it is the oldest batch.
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            answer = Box::pin(std::future::ready(result));
        }
        InFlight { answer, sent, bytes }
    }

    /// About how many bytes it takes on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the feed's updates in it.
    pub(super) fn updates(&self) -> u64 {
        match &self.sent {
            Sent::Feed(updates) => updates.kept.len() as u64,
            Sent::Again(_) => 0,
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        self.answer.as_mut().poll(context)
    }

    /// Counts and remembers what became of it. `again` gets the topics whose state the broker lost.
    pub(super) fn count(
        self,
        answer: Answer,
        summary: &mut Summary,
        memory: &mut Memory,
        again: &mut Again,
    ) -> Result<(), TargetGone> {
        match self.sent {
            Sent::Feed(updates) => updates.count(answer, summary, memory, again),
            Sent::Again(whole) => whole.count(answer, summary, again),
        }
    }
}

/// The updates of a batch, kept until it is answered. All topics are in one string and all data in another, because
/// batches are frequent.
struct Updates {
    topics: Texts,
    /// The data of states and patches; empty for an event, which leaves no state.
    data: Texts,
    kept: Vec<Kept>,
}

struct Kept {
    kind: Kind,
    source_seq: Option<u64>,
}

impl Updates {
    fn of(batch: &[Publish]) -> Updates {
        let kept = batch.iter().map(|update| Kept {
            kind: update.kind.unwrap_or(Kind::Event),
            source_seq: update.source.as_ref().map(|(_, seq)| *seq),
        });
        let kept: Vec<Kept> = kept.collect();
        let data = batch.iter().zip(&kept).map(|(update, kept)| match kept.kind {
            Kind::Event => "",
            Kind::State | Kind::Patch => update.data.as_str(),
        });
        Updates { topics: Texts::of(batch.iter().map(|update| update.topic.as_str())), data: Texts::of(data), kept }
    }

    /// Counts and remembers what became of each update.
    fn count(
        self,
        answer: Answer,
        summary: &mut Summary,
        memory: &mut Memory,
        again: &mut Again,
    ) -> Result<(), TargetGone> {
        let updates = self.kept.len() as u64;
        match answer {
            Ok(answer) => {
                summary.acknowledged += answer.accepted;
                summary.duplicates += answer.duplicates;
                for (index, code, message) in &answer.rejected {
                    summary.reject(code.as_str(), self.topics.get(*index), message);
                }
                // An answer that does not add up leaves updates unaccounted for.
                summary.unanswered += updates.saturating_sub(answer.accepted + answer.rejected.len() as u64);
                self.remember(answer.rejected.into_iter().map(|(index, code, _)| (index, code)), memory, again);
                Ok(())
            }
            Err(PublishError::Closed(reason)) => {
                summary.unanswered += updates;
                Err(TargetGone::Broker(PublishError::Closed(reason)))
            }
            Err(PublishError::Refused { code, message, .. }) => {
                self.topics.iter().for_each(|topic| summary.reject(code.as_str(), topic, &message));
                Ok(())
            }
            Err(error @ PublishError::TooLarge { .. }) => {
                // After a reconnect the broker takes smaller messages than before.
                let message = error.to_string();
                self.topics.iter().for_each(|topic| summary.reject("too_large", topic, &message));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(updates, error = %error, "a batch was not answered");
                summary.unanswered += updates;
                // It may have been taken, and the state that the broker should have includes it.
                self.remember(std::iter::empty(), memory, again);
                Ok(())
            }
        }
    }

    /// Takes the updates that were not refused into the memory. A patch that found no state is included in the state
    /// that is sent again, if the topic ever had one.
    fn remember(self, rejected: impl Iterator<Item = (usize, ErrorCode)>, memory: &mut Memory, again: &mut Again) {
        let rejected: HashMap<usize, ErrorCode> = rejected.collect();
        for (index, Kept { kind, source_seq }) in self.kept.into_iter().enumerate() {
            let (topic, data) = (self.topics.get(index), self.data.get(index));
            match rejected.get(&index) {
                None => memory.take_in(topic, kind, data, source_seq),
                Some(ErrorCode::NoState) if memory.knows(topic) => {
                    memory.take_in(topic, kind, data, source_seq);
                    again.topic(topic);
                }
                Some(_) => {}
            }
        }
    }
}

/// Texts, concatenated.
struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Texts {
        let mut all = String::with_capacity(texts.clone().map(str::len).sum());
        let ends = texts.map(|text| {
            all.push_str(text);
            all.len()
        });
        let ends = ends.collect();
        Texts { all, ends }
    }

    /// The text at that index; empty if there is none, because the index comes from the broker.
    fn get(&self, index: usize) -> &str {
        let Some(&end) = self.ends.get(index) else { return "" };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..end]
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index))
    }
}

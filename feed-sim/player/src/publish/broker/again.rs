//! Sends whole states again to a broker that lost them.
//!
//! A broker that was restarted has nothing, and a topic that ended has no state. A patch is then refused (`no_state`),
//! so that a fragment does not look like a whole book; and a state that changes once an hour would be missing for an
//! hour. So the broker gets the whole state of every topic after each reconnect, and that of one topic after a patch
//! that found no state. This waits until everything sent before is answered, because only then is the whole state
//! known. A state carries the number of the topic's last update, so that a broker that still has it treats it as a
//! repetition.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_client::{BatchAnswer, Kind, Publish, PublishError};

use super::memory::Memory;
use crate::image::PIECE_BYTES_MAX;
use crate::publication::wire_bytes;
use crate::publish::TargetGone;
use crate::schedule::BATCH_BYTES_MAX;
use crate::summary::Summary;

/// How long a refused state is not sent again; otherwise each refused patch would cause a whole state.
const REFUSED_WAIT: Duration = Duration::from_secs(5);
/// The bytes of a message beside the data and the topic of an update.
const AROUND_BYTES: u64 = 300;

/// The topics whose state has to be sent again.
#[derive(Default)]
pub(super) struct Again {
    due: BTreeSet<String>,
    /// Topics whose state was refused, and until when they wait.
    refused: HashMap<String, Instant>,
}

impl Again {
    /// Notes that the broker has no state of the topic.
    pub(super) fn topic(&mut self, topic: &str) {
        let waits = self.refused.get(topic).is_some_and(|until| *until > Instant::now());
        if !waits && !self.due.contains(topic) {
            self.refused.remove(topic);
            self.due.insert(topic.to_owned());
        }
    }

    /// Notes that the broker may have lost all states.
    pub(super) fn all(&mut self, memory: &Memory) {
        self.refused.clear();
        self.due.extend(memory.topics());
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Gives up, because the broker is gone for good.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }

    /// Takes out the next batch of states that are due.
    pub(super) fn next(
        &mut self,
        memory: &mut Memory,
        source: &Option<Arc<str>>,
        message_bytes: u64,
    ) -> (Vec<Publish>, Whole) {
        let (mut batch, mut whole, mut bytes) = (Vec::new(), Whole::default(), 0);
        while bytes < BATCH_BYTES_MAX
            && let Some(topic) = self.due.pop_first()
        {
            let room = message_bytes.saturating_sub(AROUND_BYTES + topic.len() as u64);
            let piece_bytes_max = usize::try_from(room).unwrap_or(usize::MAX).min(PIECE_BYTES_MAX);
            let Some((pieces, source_seq)) = memory.whole(&topic, piece_bytes_max) else { continue };
            // With a source, a broker would treat several pieces as repetitions of the first. So they have none, and a
            // broker that has such a state gets it twice.
            let source = source.clone().zip(source_seq).filter(|_| pieces.len() == 1);
            let kinds = std::iter::once(Kind::State).chain(std::iter::repeat(Kind::Patch));
            for (data, kind) in pieces.into_iter().zip(kinds) {
                bytes += wire_bytes(&topic, &data);
                whole.topic_of.push(whole.topics.len());
                batch.push(Publish { kind: Some(kind), source: source.clone(), ..Publish::new(topic.as_str(), data) });
            }
            whole.topics.push(topic);
        }
        (batch, whole)
    }
}

/// Whole states in flight.
#[derive(Default)]
pub(super) struct Whole {
    topics: Vec<String>,
    /// The topic of each update.
    topic_of: Vec<usize>,
}

impl Whole {
    pub(super) fn count(
        self,
        answer: Result<BatchAnswer, PublishError>,
        summary: &mut Summary,
        again: &mut Again,
    ) -> Result<(), TargetGone> {
        let topics = self.topics.len() as u64;
        let states = &mut summary.states_again;
        states.sent += topics;
        match answer {
            Ok(answer) => {
                let refused: HashSet<usize> =
                    answer.rejected.iter().filter_map(|(index, ..)| self.topic_of.get(*index).copied()).collect();
                states.known += answer.duplicates;
                states.refused += refused.len() as u64;
                if let Some((index, code, message)) = answer.rejected.first() {
                    let topic = self.topic_of.get(*index).and_then(|topic| self.topics.get(*topic));
                    tracing::warn!(topic, %code, message, "the broker refused a whole state");
                }
                let until = Instant::now() + REFUSED_WAIT;
                let topics = self.topics.into_iter().enumerate().filter(|(topic, _)| refused.contains(topic));
                again.refused.extend(topics.map(|(_, topic)| (topic, until)));
                Ok(())
            }
            Err(PublishError::Closed(reason)) => Err(TargetGone::Broker(PublishError::Closed(reason))),
            Err(error) => {
                // All states are sent again over the connection that replaces the lost one.
                tracing::warn!(topics, error = %error, "whole states were not answered");
                states.unanswered += topics;
                Ok(())
            }
        }
    }
}

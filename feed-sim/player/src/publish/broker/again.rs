//! Whole states again, for a broker that lost them.
//!
//! A broker that was restarted has nothing, and a topic that ended has no state. A patch is then refused (`no_state`), so that
//! a fragment does not look like a whole book; and a state that changes once in an hour would be missing for an hour. So after
//! each reconnect the broker gets the whole state of every topic, and after a patch without a state that of its topic. Not
//! before everything that was sent before is answered: only then is it known what the whole state is. A state carries the
//! number of the topic's last update, so that a broker that has it takes it for a repetition.

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

/// A state that was refused is not sent again for so long: as often as a patch is refused would be a state for each patch.
const REFUSED_WAIT: Duration = Duration::from_secs(5);
/// What a message has beside the data of an update, the topic aside.
const AROUND_BYTES: u64 = 300;

/// The topics whose state is due again.
#[derive(Default)]
pub(super) struct Again {
    due: BTreeSet<String>,
    /// Topics whose state was refused, and until when they wait.
    refused: HashMap<String, Instant>,
}

impl Again {
    /// One topic's state is gone.
    pub(super) fn topic(&mut self, topic: &str) {
        let waits = self.refused.get(topic).is_some_and(|until| *until > Instant::now());
        if !waits && !self.due.contains(topic) {
            self.refused.remove(topic);
            self.due.insert(topic.to_owned());
        }
    }

    /// All of them may be.
    pub(super) fn all(&mut self, memory: &Memory) {
        self.refused.clear();
        self.due.extend(memory.topics());
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The broker is gone for good.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }

    /// The next batch of states that are due.
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
            // Of several pieces a broker would take the first for all of them. Those that it has it gets twice.
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

/// Whole states on their way.
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
                // The connection that replaces the lost one begins with all of them.
                tracing::warn!(topics, error = %error, "whole states have no answer");
                states.unanswered += topics;
                Ok(())
            }
        }
    }
}

//! What everything about a log in NATS needs.

use std::sync::Arc;

use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::Stream;
use broker_engine::log::Dropped;

use super::error::NatsError;
use super::generation::Begins;
use super::links::Links;
use super::options::Options;
use super::reader::Logged;
use super::status::NatsStatus;
use crate::Clock;
use crate::status::{Status, add};
use crate::store::Generation;

/// A log: the connections to it, where it is, and what is told of it.
pub(super) struct Log {
    pub(super) options: Options,
    pub(super) links: Links,
    pub(super) stream: Stream,
    pub(super) bucket: ObjectStore,
    pub(super) generation: Generation,
    /// Where it stands in the log; 0 if it was purged.
    pub(super) generation_position: u64,
    pub(super) clock: Clock,
    pub(super) status: Arc<Status>,
    pub(super) nats: Arc<NatsStatus>,
}

impl Log {
    /// The generation that a message begins which is no broker's record, and whether it is later than this broker's.
    pub(super) fn generation_of(&self, message: &Logged) -> Result<(Generation, bool), NatsError> {
        if *message.subject != *self.options.generations() {
            let (position, subject) = (message.position, message.subject.to_string());
            return Err(NatsError::Subject { position, subject });
        }
        let generation = Begins::decode(&message.bytes)?;
        let is_later = message.position > self.generation_position && generation.nonce != self.generation.nonce;
        Ok((generation, is_later))
    }

    pub(super) fn note_dropped(&self, dropped: Dropped) {
        let counters = Dropped::ALL.iter().zip(&self.nats.dropped);
        counters.filter(|(reason, _)| **reason == dropped).for_each(|(_, counter)| add(counter, 1));
    }
}

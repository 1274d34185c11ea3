//! Applying what programs publish to the log themselves: no broker has asked before whether there is room for it.
//!
//! All brokers have to answer that alike. What counts is what the log has come to: its topics, and the bytes of their
//! images as JSON. One that was restored from a checkpoint has topics already that begin only later in the log; until the
//! checkpoint is complete it goes by what was refused when it was written.

use std::sync::atomic::{AtomicU64, Ordering};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::{Publication, Refusal};

use super::apply::{At, Command};
use super::{Engine, refuse};
use crate::fault::{self, Fault};
use crate::image::Tree;
use crate::outcome::Outcome;
use crate::sync::lock;

/// What the topics of a log come to.
#[derive(Default)]
pub(super) struct Sums {
    topics: AtomicU64,
    image_bytes: AtomicU64,
}

impl Sums {
    /// A topic has begun.
    pub(super) fn begin(&self) {
        self.topics.fetch_add(1, Ordering::Relaxed);
    }

    /// A topic has ended, with this image.
    pub(super) fn end(&self, image: Option<&Tree>) {
        self.topics.fetch_sub(1, Ordering::Relaxed);
        self.change(image, None);
    }

    /// A topic has another image.
    pub(super) fn change(&self, old: Option<&Tree>, new: Option<&Tree>) {
        let bytes = |image: Option<&Tree>| image.map_or(0, Tree::bytes) as u64;
        // Modulo 2^64, so the sum is right.
        self.image_bytes.fetch_add(bytes(new).wrapping_sub(bytes(old)), Ordering::Relaxed);
    }
}

impl Engine {
    /// Applies an update of `bytes` bytes that a program published to the log itself. What brokers ask for their own
    /// clients before a command gets its place is asked here, by the settings of the log.
    ///
    /// # Errors
    /// Those of [`Engine::apply`]; `too_large` and `limit` by the settings of the log; `unavailable` while it has none.
    pub(crate) fn apply_inbound(&self, at: At, bytes: usize, update: &Publication<'_>) -> Result<Outcome, Refusal> {
        self.check_inbound(at, bytes, &update.topic)?;
        self.apply(at, Command::Publish(update))
    }

    fn check_inbound(&self, at: At, bytes: usize, topic: &str) -> Result<(), Refusal> {
        let (Some(journal), Some(place)) = (&self.journal, at.place) else { return Ok(()) };
        let Some([bytes_max, topics_max, image_bytes_max]) = journal.rules.bounds() else {
            return Err(refuse(ErrorCode::Unavailable, "the log has no settings yet".into()));
        };
        if bytes as u64 > bytes_max {
            let message = format!("it has {bytes} bytes; at most {bytes_max} are allowed (message_bytes)");
            return Err(refuse(ErrorCode::TooLarge, message));
        }
        let why = match &*lock(&self.refused_before) {
            Some(refused) if !fault::planted(Fault::RefusalsForgotten) => {
                refused.has(place).then(|| "there was no room for it".into())
            }
            _ if self.sums.image_bytes.load(Ordering::Relaxed) >= image_bytes_max => Some(format!(
                "all images together have the {image_bytes_max} bytes that they may have (images_bytes_max)"
            )),
            _ if self.sums.topics.load(Ordering::Relaxed) >= topics_max
                && self.directory.read().get(topic).is_none() =>
            {
                Some(format!("there are the {topics_max} topics that there may be (topics_max)"))
            }
            _ => None,
        };
        let Some(why) = why else { return Ok(()) };
        self.saving.note_refused(place);
        Err(refuse(ErrorCode::Limit, why))
    }
}

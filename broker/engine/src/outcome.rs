//! What comes of commands.

use std::sync::Arc;

use crate::topic::Topic;

/// Where an update was stored, or the topic that already has it if it is a duplicate.
#[derive(Clone, Debug)]
pub struct Published {
    /// The topic in this incarnation.
    pub topic: Arc<Topic>,
    /// The update's `seq`; for a duplicate the topic's newest.
    pub seq: u64,
    /// The source had already published it.
    pub duplicate: bool,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The update has a `seq`, or is a duplicate.
    Published(Published),
    /// The topic has ended, after this `seq`.
    Ended(Published),
    /// The topic that was to end has another epoch or `seq` by now, and goes on.
    WentOn,
    /// The command was applied before this topic was saved in the checkpoint that it was restored from.
    Skipped,
}

impl From<Published> for Outcome {
    fn from(published: Published) -> Self {
        Outcome::Published(published)
    }
}

impl Outcome {
    /// The update that it published, or the topic that it ended.
    pub fn published(self) -> Option<Published> {
        match self {
            Outcome::Published(published) | Outcome::Ended(published) => Some(published),
            Outcome::WentOn | Outcome::Skipped => None,
        }
    }
}

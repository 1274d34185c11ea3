//! How far the introduction of a pattern's topics has got.

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::request::From;

use super::ready::Token;
use crate::shard::denied::Denied;
use crate::shard::id::GroupId;
use crate::topic::Topic;

/// The progress of a walk.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) group: GroupId,
    /// The last name handled.
    pub(crate) at: Option<Arc<str>>,
    pub(crate) from: From,
    /// Introduces only topics that have an image: the connection knows all of them, but at another interval.
    pub(crate) images_only: bool,
    pub(crate) pattern: Pattern,
    /// If it is not empty, introduces only topics that match it: the connection was denied them before.
    pub(crate) only: Denied,
    /// Held until the walk is over.
    pub(crate) ready: Option<Token>,
}

impl Walk {
    /// Whether the walk will still introduce this topic.
    pub(crate) fn will_introduce(&self, topic: &Topic) -> bool {
        let name = &**topic.name();
        self.at.as_deref().is_none_or(|at| name > at)
            && (topic.has_image() || !self.images_only)
            && self.pattern.matches(name)
            && self.is_about(name)
    }

    /// Whether it is about this name, which its pattern matches.
    pub(crate) fn is_about(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.matches(name)
    }
}

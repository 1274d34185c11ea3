//! What one client may do, and what it may subscribe to by that.

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;
use broker_protocol::topic::is_reserved;

use super::denied::Denied;

/// What a client may do that may not do everything.
#[derive(Debug, Clone)]
pub(crate) enum Permit {
    /// Nothing until it has authenticated.
    Unauthenticated,
    /// This.
    Permitted(Arc<Permissions>),
}

/// What a connection may subscribe to.
#[derive(Debug, Clone)]
pub(crate) enum Readable {
    /// Everything but the broker's own topics.
    Public,
    /// Everything.
    Everything,
    /// What these permissions allow.
    Permitted(Arc<Permissions>),
}

impl Readable {
    /// Whether the connection may subscribe to a topic.
    pub(crate) fn has_topic(&self, name: &str) -> bool {
        match self {
            Readable::Public => !is_reserved(name),
            Readable::Everything => true,
            Readable::Permitted(permissions) => permissions.may_read(name),
        }
    }

    /// Whether the connection may subscribe to a pattern.
    pub(crate) fn has_pattern(&self, pattern: &Pattern) -> bool {
        match self {
            Readable::Public => !is_reserved(pattern.as_str()),
            Readable::Everything => true,
            Readable::Permitted(permissions) => permissions.may_subscribe(pattern),
        }
    }

    /// Why the connection may not subscribe to a topic; `None` if it may.
    pub(crate) fn refuses_topic(&self, name: &str) -> Option<String> {
        (!self.has_topic(name)).then(|| self.refusal(|permissions| permissions.topic_refusal(name)))
    }

    /// Why the connection may not subscribe to a pattern; `None` if it may.
    pub(crate) fn refuses_pattern(&self, pattern: &Pattern) -> Option<String> {
        (!self.has_pattern(pattern)).then(|| self.refusal(|permissions| permissions.pattern_refusal(pattern)))
    }

    fn refusal(&self, by: impl Fn(&Permissions) -> String) -> String {
        match self {
            Readable::Permitted(permissions) => by(permissions),
            Readable::Public | Readable::Everything => RESERVED.into(),
        }
    }

    /// The number of patterns that are compared with an entry at most.
    pub(crate) fn size(&self) -> usize {
        if let Readable::Permitted(permissions) = self { permissions.size() } else { 0 }
    }

    /// The patterns of topics that the connection is denied, whatever else allows them, in the order of their texts.
    pub(crate) fn deny(&self) -> &[Pattern] {
        if let Readable::Permitted(permissions) = self { permissions.deny() } else { &[] }
    }

    /// Whether one of these matches a topic.
    pub(crate) fn denies(&self, name: &str) -> bool {
        self.deny().iter().any(|pattern| pattern.matches(name))
    }

    /// What the connection is denied of a pattern.
    pub(crate) fn denied(&self, pattern: &Pattern) -> Denied {
        match self {
            Readable::Permitted(permissions) => Denied::of(permissions, pattern),
            _ => Denied::default(),
        }
    }
}

const RESERVED: &str = "topics that begin with $ are served only to clients on this machine that use no proxy";

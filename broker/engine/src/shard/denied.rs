//! The topics of a pattern that its subscribers are denied.

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;

/// What a denied pattern costs besides its text, in bytes.
const DENIED_BYTES: usize = 64;

/// The denied patterns that match some topic of a pattern, in the order of their texts. Most patterns have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Denied(Option<Arc<[Pattern]>>);

impl Denied {
    /// What a client with these permissions is denied of a pattern.
    pub(crate) fn of(permissions: &Permissions, pattern: &Pattern) -> Denied {
        let denied: Vec<Pattern> = permissions.denied_within(pattern).cloned().collect();
        Denied((!denied.is_empty()).then(|| denied.into()))
    }

    /// Whether nothing is denied.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a topic is denied.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.patterns().iter().any(|pattern| pattern.matches(name))
    }

    /// The denied patterns.
    pub(crate) fn patterns(&self) -> &[Pattern] {
        self.0.as_deref().unwrap_or_default()
    }

    /// What they cost in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.patterns().iter().map(|pattern| (pattern.as_str().len() + DENIED_BYTES) as u64).sum()
    }
}

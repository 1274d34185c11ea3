//! Placeholder.

/// What the broker's promise of continuity forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("placeholder")]
pub struct Violation;

//! The ways in which a stream can break its promise.

use std::sync::Arc;

use crate::Kind;

/// What the broker's promise of continuity forbids, and what came instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Something came of a topic whose stream has not started, or that ended.
    #[error("{from} to {to} came, but the topic's stream has not started")]
    NotStarted {
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// What came does not follow what was before.
    #[error("{from} to {to} came where {expected} was next")]
    NotNext {
        /// The number that was next.
        expected: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// The retained updates that the start promised do not begin where it said.
    #[error("{from} to {to} came where retained updates up to {newest} were promised")]
    NotRetained {
        /// The newest update when the subscription took effect.
        newest: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// Something came before the image that the start promised.
    #[error("{from} to {to} came where an image of {at_least} or later was promised")]
    NoImage {
        /// The oldest image that would do.
        at_least: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// An image does not go beyond what was before.
    #[error("an image of {seq} came where {at_least} or later was due")]
    OldImage {
        /// The oldest image that would do.
        at_least: u64,
        /// The image's number.
        seq: u64,
    },
    /// An image is of another epoch.
    #[error("an image of epoch \"{came}\" came in epoch \"{expected}\"")]
    OtherEpoch {
        /// The topic's epoch.
        expected: Arc<str>,
        /// The image's.
        came: Arc<str>,
    },
    /// The first number of a range lies after its last.
    #[error("a range runs backwards, from {from} to {to}")]
    Backwards {
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// The topic ended before what its start promised had come.
    #[error("the topic was closed before what its start promised had come")]
    ClosedEarly,
    /// The stream was resumed from a point that this client did not name.
    #[error("the stream was resumed at {seq} of epoch {epoch:?}, which is not where this client asked to resume")]
    NotAsked {
        /// The epoch in the answer.
        epoch: Option<Arc<str>>,
        /// The newest update in the answer.
        seq: u64,
    },
    /// A topic that ended began again under the same epoch.
    #[error("the topic ended and began again in the same epoch \"{epoch}\"")]
    SameEpoch {
        /// The epoch.
        epoch: Arc<str>,
    },
    /// A message that topics of this kind do not have.
    #[error("a message of another kind came on a topic of kind {}", .kind.as_str())]
    OtherKind {
        /// The topic's kind.
        kind: Kind,
    },
}

//! The ways in which a stream can break the promise of continuity.

use std::sync::Arc;

use crate::Kind;

/// A breach of the broker's promise of continuity: what was expected, and what came instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message came of a topic whose stream has not started, or that has ended.
    #[error("{from} to {to} came, but the topic's stream has not started")]
    NotStarted {
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// An update or gap does not follow what came before.
    #[error("{from} to {to} came where {expected} was next")]
    NotNext {
        /// The number that was next.
        expected: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// The retained updates do not begin where the start promised.
    #[error("{from} to {to} came where retained updates up to {newest} were promised")]
    NotRetained {
        /// The newest update when the subscription took effect.
        newest: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// An update or gap came before the image that the start promised.
    #[error("{from} to {to} came where an image of {at_least} or later was promised")]
    NoImage {
        /// The number of the oldest image that is allowed.
        at_least: u64,
        /// The first number of what came.
        from: u64,
        /// The last number of what came.
        to: u64,
    },
    /// An image is not newer than what came before.
    #[error("an image of {seq} came where {at_least} or later was expected")]
    OldImage {
        /// The number of the oldest image that is allowed.
        at_least: u64,
        /// The image's number.
        seq: u64,
    },
    /// An image is of another epoch.
    #[error("an image of epoch \"{came}\" came in epoch \"{expected}\"")]
    OtherEpoch {
        /// The topic's epoch.
        expected: Arc<str>,
        /// The image's epoch.
        came: Arc<str>,
    },
    /// The first number of a range is greater than its last.
    #[error("a range runs backwards, from {from} to {to}")]
    Backwards {
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// The topic ended before what its start promised had arrived.
    #[error("the topic was closed before what its start promised had arrived")]
    ClosedEarly,
    /// The stream was resumed from a point that this client did not name.
    #[error("the stream was resumed at {seq} of epoch {epoch:?}, which is not where this client asked to resume")]
    NotAsked {
        /// The epoch in the answer.
        epoch: Option<Arc<str>>,
        /// The newest update in the answer.
        seq: u64,
    },
    /// A topic that had ended began again with the same epoch.
    #[error("the topic ended and began again in the same epoch \"{epoch}\"")]
    SameEpoch {
        /// The epoch.
        epoch: Arc<str>,
    },
    /// A message came that topics of this kind do not have.
    #[error("a message of another kind came on a topic of kind {}", .kind.as_str())]
    OtherKind {
        /// The topic's kind.
        kind: Kind,
    },
}

//! What takes effect in portions on a connection. Meanwhile it is not read.

use super::authorizing::Authorizing;
use super::subscribing::Subscribing;

/// One of them at a time.
#[derive(Debug)]
pub(crate) enum InProgress {
    /// A request to subscribe.
    Subscribing(Subscribing),
    /// New permissions.
    Authorizing(Authorizing),
}

impl InProgress {
    /// Whether some of it may have taken effect that is not answered yet.
    pub(crate) fn has_effect(&self) -> bool {
        match self {
            InProgress::Subscribing(request) => request.has_effect(),
            InProgress::Authorizing(request) => request.has_effect(),
        }
    }

    /// What it holds, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            InProgress::Subscribing(request) => request.held_bytes(),
            InProgress::Authorizing(request) => request.held_bytes(),
        }
    }
}

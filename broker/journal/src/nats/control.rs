//! What brokers say in the log to each other.

use broker_engine::log::Entry;

/// What a control entry says, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Control {
    Beat,
    CheckpointBegins,
    Checkpoint,
    Settings,
}

impl Control {
    pub(super) fn of(entry: &Entry<'_>) -> Option<Self> {
        match entry {
            Entry::Beat { digest: Some(_), .. } => Some(Control::Beat),
            Entry::CheckpointBegins { .. } => Some(Control::CheckpointBegins),
            Entry::Checkpoint { .. } => Some(Control::Checkpoint),
            Entry::Settings(_) => Some(Control::Settings),
            _ => None,
        }
    }
}

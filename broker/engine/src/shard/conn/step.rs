//! How often a subscription is sent changes: a step of the ladder of intervals.

use broker_protocol::request::CONFLATE_LADDER_MS;

use crate::topic::Topic;

/// A step of the ladder, 0 for every update.
pub(crate) type Step = u8;

/// The interval in ms that a step means for this topic; 0 for events, which are never merged.
pub(crate) fn interval(step: Step, topic: &Topic) -> u32 {
    if topic.has_image() { ladder(step) } else { 0 }
}

/// The interval in ms of a step.
pub(crate) fn ladder(step: Step) -> u32 {
    match step {
        0 => 0,
        step => CONFLATE_LADDER_MS[usize::from(step) - 1],
    }
}

/// The step of an interval on the ladder.
pub(crate) fn step(ms: u32) -> Step {
    match ms {
        0 => 0,
        ms => CONFLATE_LADDER_MS.iter().position(|step| *step >= ms).map_or(12, |at| at as Step + 1),
    }
}

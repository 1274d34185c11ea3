//! How a subscription to a topic begins.

#[cfg(test)]
mod tests;

use broker_protocol::message::Start;
use broker_protocol::request::From;

use super::conn::At;
use crate::topic::{Topic, TopicState};

/// Decides how a subscription to a topic begins: what the answer reports, and what is wanted then.
pub(crate) fn start(state: &TopicState, topic: &Topic, from: From, conflated: bool, feed_position: u64) -> (Start, At) {
    let seq = state.seq();
    let live = At::After { seq, feed_position };
    match from {
        _ if conflated => (Start::Image, At::Image(1)),
        From::Image if topic.has_image() => (Start::Image, At::Image(1)),
        From::Image | From::Live => (Start::Live, live),
        From::After(ordinal) => match state.history.seq_at(ordinal) {
            // It began after that.
            Some(0) if topic.has_image() => (Start::Image, At::Image(1)),
            Some(0) if seq > 0 => (Start::History, At::From(1)),
            Some(has) if has == seq => (Start::Resumed, live),
            Some(has) => (Start::Resumed, At::From(has + 1)),
            None if topic.has_image() => (Start::Reset, At::Image(1)),
            // Which events the client has is unknown: all that are not retained may be missing.
            None => (Start::Reset, At::From(1)),
        },
        From::Last(_) if state.has_patches => (Start::Image, At::Image(1)),
        From::Last(updates) => {
            let first = state.history.oldest().max((seq + 1).saturating_sub(updates));
            if first > seq { (Start::Live, live) } else { (Start::History, At::From(first)) }
        }
    }
}

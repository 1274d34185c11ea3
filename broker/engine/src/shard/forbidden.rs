//! Publishes that were refused as forbidden, for whoever keeps account of them.

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

use super::{ConnId, Shard};
use crate::sink::Sink;

/// The most that are kept until they are taken; the others are only counted.
const KEPT_MAX: usize = 64;

/// What was refused since it was taken the last time.
#[derive(Debug, Default)]
pub struct Forbidden {
    /// The connection, and the topic that it may not publish to.
    pub publishes: Vec<(ConnId, Box<str>)>,
    /// How many more there were.
    pub more: u64,
}

impl<S: Sink> Shard<S> {
    /// Notes a publish that was refused, if it was as forbidden.
    pub(super) fn note_forbidden(&mut self, conn: ConnId, topic: &str, refusal: &Refusal) {
        if refusal.code != ErrorCode::Forbidden {
            return;
        }
        match self.forbidden.publishes.len() < KEPT_MAX {
            true => self.forbidden.publishes.push((conn, topic.into())),
            false => self.forbidden.more += 1,
        }
    }

    /// Takes what was refused as forbidden; `None` if nothing was.
    pub fn take_forbidden(&mut self) -> Option<Forbidden> {
        (!self.forbidden.publishes.is_empty()).then(|| std::mem::take(&mut self.forbidden))
    }
}

//! Sending `ready`, once everything that a request asked for has begun; see `conn/ready.rs`.

use broker_protocol::message;

use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;

impl<S: Sink> Shard<S> {
    /// Sends `ready` for the requests of which everything has begun. What they asked for is written, or on its way as
    /// the rest of a frame, so that this follows it.
    pub(super) fn send_ready(&mut self, id: ConnId, now: Now) {
        if self.conns[id].readies.is_empty() {
            return;
        }
        for request in self.conns[id].readies.take_begun() {
            let mut payload = Vec::new();
            message::ready(&mut payload, request.as_deref());
            self.answer(now, id, &payload);
        }
    }
}

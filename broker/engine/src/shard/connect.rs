//! A new connection: its state, and its greeting.

use std::sync::Arc;

use broker_protocol::message::{self, Auth};
use broker_protocol::permissions::Permissions;
use smallvec::SmallVec;

use super::conn;
use super::conn::{Closing, Conn, QueueState, Subscriptions};
use super::permit::Permit;
use super::rates::Messages;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;

impl<S: Sink> Shard<S> {
    /// Takes on a connection whose handshake is done, and greets it. It may do everything.
    pub fn connect(&mut self, now: Now, sink: S) -> ConnId {
        self.greet(now, sink, None)
    }

    /// Takes on a connection that may do what these permissions allow or, without any, nothing until
    /// [`Shard::authorize`].
    pub fn connect_as(&mut self, now: Now, sink: S, auth: Auth, permissions: Option<Arc<Permissions>>) -> ConnId {
        let id = self.greet(now, sink, Some(auth));
        self.permits.set(id, Some(permissions.map_or(Permit::Unauthenticated, Permit::Permitted)));
        id
    }

    fn greet(&mut self, now: Now, sink: S, auth: Option<Auth>) -> ConnId {
        let session = self.engine.session();
        let conn = Conn {
            marked: 0,
            pending_bytes: 0,
            pending_frames: 0,
            queue_state: QueueState::Idle,
            closing: Closing::No,
            behind: false,
            overflowed: false,
            is_strict: false,
            wants_positions: false,
            position_is_due: false,
            gone: false,
            in_leavers: false,
            counts_as_leaving: false,
            is_falling: false,
            has_unsubscribed: false,
            forbids_reserved: false,
            runs: SmallVec::new(),
            catch_up: None,
            waiting_since_us: 0,
            carry: None,
            control: None,
            in_progress: None,
            readies: conn::Readies::default(),
            subscriptions: Subscriptions::default(),
            // Patterns that move to another group get the number before theirs for a while.
            next_order: 1,
            session,
            connected_wall_us: now.wall_us,
            last_data_ms: now.mono_ms(),
            last_write_us: 0,
            messages: Messages::default(),
            stalled_since_ms: None,
            last_ping_ms: now.mono_ms(),
            pings_unanswered: 0,
            last_position_ms: now.mono_ms(),
            buffered_bytes: 0,
            filed: [0; crate::budget::shared::SHARED_SUMS],
            sink,
        };
        self.stats.listeners.add(u64::from(conn.sink.encoding().is_some()));
        let id = self.conns.insert(conn);
        self.rates.forget(id);
        self.stats.connections.add(1);
        self.stats.opened.add(1);
        let limits = &self.engine.limits;
        let features = [("auth", auth.is_some()), ("journal", self.engine.journal().is_some())];
        let features: SmallVec<[&str; 2]> = features.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        let mut payload = Vec::new();
        let name = self.engine.session_name(session);
        message::hello(
            &mut payload,
            message::Server { version: &limits.server, node: limits.node.as_deref() },
            &name,
            limits.heartbeat_ms.into(),
            auth,
            &features,
            &message::Limits {
                subscriptions: limits.subscriptions(),
                message_bytes: limits.message_bytes,
                image_bytes: self.engine.image_bytes(),
                behind_bytes: limits.behind_bytes(),
                retain_updates: limits.retain().updates,
                stall_ms: limits.stall_ms().into(),
            },
        );
        self.answer(now, id, &payload);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::Conn;

    /// A connection at rest is this and its subscriptions. A field that needs more has to say why.
    #[test]
    fn a_connection_takes_no_more_than_agreed() {
        const SINK_BYTES: usize = 56;
        assert_eq!(std::mem::size_of::<Option<Conn<[u64; SINK_BYTES / 8]>>>(), 184 + SINK_BYTES);
    }
}

//! One connection as an operator sees it.

use super::{ConnId, Shard};
use crate::sink::Sink;

/// How far a connection is behind, and what it is.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number in the shard.
    pub id: ConnId,
    /// Its name, as `hello` told it.
    pub session: Box<str>,
    /// When it connected, in µs since the epoch.
    pub connected_ts: u64,
    /// Its subscriptions.
    pub subscriptions: u64,
    /// Updates that wait for it, in its runs or at their topics; what it lacks from before it came is not counted.
    pub lag_updates: u64,
    /// Their bytes.
    pub lag_bytes: u64,
    /// Since when something has been waiting, on the monotonic clock in µs; `None` where nothing is.
    pub lagging_since_us: Option<u64>,
}

impl<S: Sink> Shard<S> {
    /// The `count` connections for which most bytes wait, the worst first, and their sinks.
    pub fn slowest(&self, count: usize) -> Vec<(Snapshot, &S)> {
        let mut all: Vec<(u64, ConnId)> =
            self.conns.iter().filter(|(_, conn)| !conn.gone).map(|(id, conn)| (self.lag_bytes(conn), id)).collect();
        let rank = |(bytes, id): &(u64, ConnId)| (std::cmp::Reverse(*bytes), *id);
        if count < all.len() {
            // Few of many are asked for: the others need no order.
            all.select_nth_unstable_by_key(count, rank);
            all.truncate(count);
        }
        all.sort_unstable_by_key(rank);
        let show = |(lag_bytes, id): (u64, ConnId)| {
            let conn = &self.conns[id];
            let swallowed = conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.swallowed_updates);
            let snapshot = Snapshot {
                id,
                session: self.engine.session_name(conn.session),
                connected_ts: conn.connected_wall_us,
                subscriptions: conn.subscriptions.len() as u64,
                lag_updates: u64::from(conn.pending_frames) + swallowed,
                lag_bytes,
                lagging_since_us: (conn.waiting_since_us > 0).then_some(conn.waiting_since_us),
            };
            (snapshot, &conn.sink)
        };
        all.into_iter().map(show).collect()
    }

    fn lag_bytes(&self, conn: &super::connection::Conn<S>) -> u64 {
        let carried = conn.carry.as_ref().map_or(0, |(frame, at)| frame.len() as u64 - u64::from(*at));
        let swallowed = conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.swallowed_bytes);
        u64::from(conn.pending_bytes) + carried + swallowed + conn.control_bytes() as u64
    }
}

//! Connections as shown to an operator.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{ConnId, Shard};
use crate::sink::Sink;

/// Connections visited in one portion, which takes some 50 µs.
const LOOKED_AT: ConnId = 2048;

/// How far a connection is behind, and which one it is.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number in the shard.
    pub id: ConnId,
    /// Its name, as sent in `hello`.
    pub session: Box<str>,
    /// When it connected, in µs since the UNIX epoch.
    pub connected_ts: u64,
    /// The number of its subscriptions.
    pub subscriptions: u64,
    /// Updates that wait for it, on its runs or at their topics; updates from before it subscribed are not counted.
    pub lag_updates: u64,
    /// Their bytes.
    pub lag_bytes: u64,
    /// Since when something has been waiting, on the monotonic clock in µs; `None` if nothing is.
    pub lagging_since_us: Option<u64>,
}

/// A search for the connections with the most pending bytes, in portions.
#[derive(Debug)]
pub struct Slowest {
    count: usize,
    /// The number of the connection to visit next.
    next: ConnId,
    /// The slowest so far, the least slow of them on top.
    worst: BinaryHeap<Reverse<(u64, Reverse<ConnId>)>>,
}

impl Slowest {
    /// Creates a search for `count` connections.
    pub fn new(count: usize) -> Self {
        Self { count, next: 0, worst: BinaryHeap::new() }
    }

    /// Their numbers, the slowest first.
    pub fn into_ids(self) -> Vec<ConnId> {
        self.worst.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(id)))| id).collect()
    }
}

impl<S: Sink> Shard<S> {
    /// Visits a portion of the connections. Returns whether there are more.
    pub fn look_for_slowest(&self, slowest: &mut Slowest) -> bool {
        if slowest.count == 0 {
            return false;
        }
        let bound = self.conns.bound() as ConnId;
        let end = bound.min(slowest.next + LOOKED_AT);
        for id in slowest.next..end {
            let Some(conn) = self.conns.get(id).filter(|conn| !conn.gone) else { continue };
            let rank = Reverse((self.lag_bytes(conn), Reverse(id)));
            if slowest.worst.len() < slowest.count {
                slowest.worst.push(rank);
            } else if let Some(mut best) = slowest.worst.peek_mut()
                && rank < *best
            {
                *best = rank;
            }
        }
        slowest.next = end;
        end < bound
    }

    /// Returns one connection's snapshot, and its sink.
    pub fn snapshot(&self, id: ConnId) -> Option<(Snapshot, &S)> {
        let conn = self.conns.get(id).filter(|conn| !conn.gone)?;
        let swallowed = conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.swallowed_updates);
        let snapshot = Snapshot {
            id,
            session: self.engine.session_name(conn.session),
            connected_ts: conn.connected_wall_us,
            subscriptions: conn.subscriptions.len() as u64,
            lag_updates: u64::from(conn.pending_frames) + swallowed,
            lag_bytes: self.lag_bytes(conn),
            lagging_since_us: (conn.waiting_since_us > 0).then_some(conn.waiting_since_us),
        };
        Some((snapshot, &conn.sink))
    }

    fn lag_bytes(&self, conn: &super::conn::Conn<S>) -> u64 {
        let carried = conn.carry.as_deref().map_or(0, |(frame, at)| frame.len() as u64 - u64::from(*at));
        let swallowed = conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.swallowed_bytes);
        u64::from(conn.pending_bytes) + carried + swallowed + conn.control_bytes() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::clock::Now;
    use crate::engine::Engine;
    use crate::limits::Limits;
    use crate::sink::Wrote;

    /// Takes nothing: whatever is sent to it waits.
    struct Full;

    impl Sink for Full {
        fn write(&mut self, _bytes: &[u8]) -> Wrote {
            Wrote::Full
        }

        fn finish(&mut self) {}
    }

    #[test]
    fn the_slowest_are_found_in_portions() {
        const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };
        let engine = Engine::new(Limits::default(), 1, vec![Box::new(|| {})]);
        let mut shard = Shard::new(engine, 0, Arc::default());
        let mut random = StdRng::seed_from_u64(1);
        let ids: Vec<ConnId> = (0..3 * LOOKED_AT).map(|_| shard.connect(NOW, Full)).collect();
        for id in &ids {
            // Many hold the same number of bytes.
            let bytes = 10 * random.random_range(0..40);
            shard.answer(NOW, *id, &vec![b' '; bytes]);
            if random.random_range(0..4) == 0 {
                shard.disconnect(*id);
            }
        }
        let mut model: Vec<(u64, ConnId)> =
            ids.iter().filter_map(|id| shard.snapshot(*id).map(|(snapshot, _)| (snapshot.lag_bytes, *id))).collect();
        model.sort_by_key(|(bytes, id)| (Reverse(*bytes), *id));
        for count in [0, 1, 7, 1_000, 100_000] {
            let mut slowest = Slowest::new(count);
            let mut portions = 1;
            while shard.look_for_slowest(&mut slowest) {
                portions += 1;
            }
            assert!(portions == if count == 0 { 1 } else { 3 }, "{portions} portions for {count}");
            assert_eq!(slowest.into_ids(), model.iter().take(count).map(|(_, id)| *id).collect::<Vec<_>>());
        }
    }
}

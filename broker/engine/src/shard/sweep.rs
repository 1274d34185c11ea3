//! What time brings: views that are due, gaps between writes that have passed, heartbeats, pings, stalls, connections that
//! linger, patterns to be forgotten. Everything in bounded portions; no timer per connection.

use broker_protocol::codes::CloseReason;
use broker_protocol::{frame, message};

use super::conn::{Closing, Turn};
use super::follows::Linked;
use super::{ConnId, GroupId, Shard};
use crate::clock::Now;
use crate::fault;
use crate::sink::Sink;

/// A heartbeat interval is cut into this many sweeps over all connections: heartbeats, pings and stalls are late by one
/// at most.
const SWEEPS_PER_HEARTBEAT: u32 = 16;
/// Connections looked at in one round at most.
const CONNECTIONS_PER_SWEEP: usize = fault::bound(256, 2);
/// Peers in one round of whom it is asked whether to wait for them: asking costs a few system calls.
const QUESTIONS_PER_SWEEP: usize = fault::bound(8, 1);
/// Names looked at in one round for patterns that are gone.
const NAMES_PER_SWEEP: usize = fault::bound(64, 2);

#[derive(Default)]
pub(crate) struct Sweep {
    /// Where the pass over the connections goes on; `None` between passes.
    at: Option<usize>,
    /// Connections behind among those that the pass has looked at.
    behind: u64,
    /// Where the oldest frame is that one of them still has to get, or that came since the pass began.
    oldest_frame: u64,
    next_us: u64,
    /// Patterns that names still refer to: those of the pass that is on, and those that wait for the next.
    burying: Vec<GroupId>,
    buried_next: Vec<GroupId>,
    burying_at: usize,
    /// Where the pass over the names goes on; `None` between passes.
    names_at: Option<usize>,
}

impl Sweep {
    pub(crate) fn bury(&mut self, group: GroupId) {
        self.buried_next.push(group);
    }
}

impl<S: Sink> Shard<S> {
    /// Does what has become due. Returns whether more is due already.
    pub fn tick(&mut self, now: Now) -> bool {
        self.work.end_requests();
        let mut more = self.views_due(now.mono_us);
        while let Some(id) = self.queue.pop_delayed(now.mono_us) {
            let conn = &mut self.conns[id];
            conn.turn = Turn::None;
            if conn.gone {
                self.free(id);
            } else {
                self.enqueue(id, now.mono_us);
                more = true;
            }
        }
        while let Some((until, id, session)) = self.lingering.front().copied()
            && until <= now.mono_us
        {
            self.lingering.pop_front();
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.disconnect(id);
            }
        }
        more |= self.bury_some();
        more |= self.sweep_connections(now);
        more |= self.forget_names();
        self.close_pending(&mut || now);
        self.settle_budgets(now);
        more |= self.leave_some();
        self.stats.ring_bytes.set(self.ring.held());
        // What became due is still to be written: the driver has to come round once more before it sleeps.
        more || !self.queue.is_empty()
    }

    /// When [`Shard::tick`] has something to do next, on the monotonic clock in µs.
    pub fn next_tick_us(&self) -> u64 {
        let views = self.due.first().map(|(due, _)| *due);
        let delayed = self.queue.next_delayed_us();
        let lingering = self.lingering.front().map(|(until, ..)| *until);
        [views, delayed, lingering].into_iter().flatten().fold(self.sweep.next_us, u64::min)
    }

    fn sweep_connections(&mut self, now: Now) -> bool {
        let limits = &self.engine.limits;
        let (heartbeat_ms, stall_ms) = (limits.heartbeat_ms, limits.stall_ms);
        let from = match self.sweep.at {
            Some(at) => at,
            None if now.mono_us >= self.sweep.next_us => {
                let every_ms = (heartbeat_ms.min(stall_ms) / SWEEPS_PER_HEARTBEAT).clamp(1, 1000);
                self.sweep.next_us = now.mono_us + u64::from(every_ms) * 1000;
                self.sweep.names_at.get_or_insert(0);
                self.sweep.oldest_frame = self.ring.head();
                0
            }
            None => return false,
        };
        let end = (from + CONNECTIONS_PER_SWEEP).min(self.conns.bound());
        let (mut at, mut questions) = (from, 0);
        while at < end && questions < QUESTIONS_PER_SWEEP {
            questions += usize::from(self.look_after(at as ConnId, now, heartbeat_ms, stall_ms));
            at += 1;
        }
        self.sweep.at = (at < self.conns.bound()).then_some(at);
        if self.sweep.at.is_none() {
            self.stats.behind.set(std::mem::take(&mut self.sweep.behind));
            // What nobody has to get any more is let go of, also where nothing comes that would take its place.
            self.ring.release(self.sweep.oldest_frame);
        }
        self.sweep.at.is_some()
    }

    /// Returns whether its sink was asked for more patience.
    fn look_after(&mut self, id: ConnId, now: Now, heartbeat_ms: u32, stall_ms: u32) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        if let Some(run) = conn.runs.first() {
            self.sweep.oldest_frame = self.sweep.oldest_frame.min(run.at);
        }
        if conn.gone || conn.closing != Closing::No {
            return false;
        }
        self.sweep.behind += u64::from(conn.behind);
        let now_ms = now.mono_ms();
        if conn.turn == Turn::Parked {
            let since = *conn.stalled_since_ms.get_or_insert(now_ms);
            if now_ms.wrapping_sub(since) < stall_ms {
                return false;
            }
            match conn.sink.more_patience_ms(stall_ms).min(stall_ms) {
                0 => self.close(now, id, CloseReason::Slow, "read nothing for stall_ms"),
                more_ms => conn.stalled_since_ms = Some(now_ms.wrapping_sub(stall_ms - more_ms)),
            }
            return true;
        }
        conn.stalled_since_ms = None;
        // Two pings in a row without any frame in answer.
        if conn.sink.answers_pings() && now_ms.wrapping_sub(conn.last_ping_ms) >= heartbeat_ms {
            if conn.pings_unanswered >= 2 {
                let reason = CloseReason::NoSignOfLife;
                self.close(now, id, reason, reason.text());
                return false;
            }
            conn.pings_unanswered += 1;
            conn.last_ping_ms = now_ms;
            self.control(now, id, |out| frame::push_ping(out, b""));
        }
        let conn = &self.conns[id];
        if conn.positions && conn.unpositioned && !conn.has_work() {
            let position = self.position(now);
            self.tell_position(id, position, now);
        }
        let conn = &self.conns[id];
        if now_ms.wrapping_sub(conn.last_data_ms) >= heartbeat_ms {
            let mut payload = Vec::new();
            message::heartbeat(&mut payload, now.wall_us);
            self.answer(now, id, &payload);
        }
        false
    }

    /// Lets go of names that only patterns cover and that have no topic any more: the next beginning makes them again.
    /// Without this, every name that ever was would stay for as long as somebody is subscribed to `>`.
    fn forget_names(&mut self) -> bool {
        let Some(from) = self.sweep.names_at else { return false };
        let end = (from + NAMES_PER_SWEEP).min(self.follows.locals.bound());
        for id in from..end {
            let Some(local) = self.follows.locals.get_mut(id as u32) else { continue };
            if local.topic.is_some() || !local.direct.is_empty() {
                continue;
            }
            // Who still catches up with an ended incarnation finds it here.
            local.prune(self.ring.tail());
            if local.previous.is_empty() {
                local.groups = Linked::default();
                self.release(id as u32);
            }
        }
        self.sweep.names_at = (end < self.follows.locals.bound()).then_some(end);
        self.sweep.names_at.is_some()
    }

    /// Takes patterns that are gone out of the names that they matched, some names at a time.
    fn bury_some(&mut self) -> bool {
        if self.sweep.burying.is_empty() {
            if self.sweep.buried_next.is_empty() {
                return false;
            }
            self.sweep.burying = std::mem::take(&mut self.sweep.buried_next);
            self.sweep.burying_at = 0;
            for group in &self.sweep.burying {
                self.follows.groups[*group].forgotten = true;
            }
        }
        let end = (self.sweep.burying_at + NAMES_PER_SWEEP).min(self.follows.locals.bound());
        for id in self.sweep.burying_at..end {
            if let Some(local) = self.follows.locals.get_mut(id as u32) {
                let groups = &self.follows.groups;
                let before = local.groups.len();
                self.work.charge(before / 8);
                match &mut local.groups {
                    Linked::Few(few) => few.retain(|group| !groups[*group].forgotten),
                    Linked::Many(set) if set.groups.iter().any(|group| groups[*group].forgotten) => {
                        local.groups = Linked::default();
                    }
                    Linked::Many(_) => {}
                }
                if local.groups.len() < before {
                    // A pattern whose walk has not come by covers the name nevertheless.
                    self.link_all(id as u32);
                }
                self.release(id as u32);
            }
        }
        self.sweep.burying_at = end;
        if end == self.follows.locals.bound() {
            for group in std::mem::take(&mut self.sweep.burying) {
                self.follows.groups.remove(group);
            }
        }
        !self.sweep.burying.is_empty() || !self.sweep.buried_next.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::QUESTIONS_PER_SWEEP;
    use crate::clock::Now;
    use crate::engine::Engine;
    use crate::limits::Limits;
    use crate::shard::Shard;
    use crate::sink::{Sink, Wrote};

    const STALL_MS: u32 = 1_000;

    /// A socket that is full, and how much longer to wait for its peer.
    #[derive(Default)]
    struct Full {
        more_ms: u32,
        asked: Cell<usize>,
    }

    impl Sink for Full {
        fn write(&mut self, _: &[u8]) -> Wrote {
            Wrote::Full
        }

        fn finish(&mut self) {}

        fn more_patience_ms(&self, stall_ms: u32) -> u32 {
            assert_eq!(stall_ms, STALL_MS);
            self.asked.set(self.asked.get() + 1);
            self.more_ms
        }
    }

    fn at(ms: u32) -> Now {
        Now { mono_us: u64::from(ms) * 1_000, wall_us: u64::from(ms) * 1_000 }
    }

    /// A shard with so many parked connections.
    fn parked(count: usize) -> (Shard<Full>, Vec<super::ConnId>) {
        let limits = Limits { stall_ms: STALL_MS, heartbeat_ms: 1 << 30, ..Limits::default() };
        let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
        let mut shard = Shard::new(engine, 0, Arc::default());
        let ids = (0..count).map(|_| shard.connect(at(1), Full::default())).collect();
        while shard.turn(&mut || at(1)) {}
        (shard, ids)
    }

    /// Everything that is due up to `to`, at the moments at which a driver would do it.
    fn pass(shard: &mut Shard<Full>, from: u32, to: u32) {
        for ms in (from..=to).step_by(10) {
            while shard.tick(at(ms)) && !shard.turn(&mut || at(ms)) {}
        }
    }

    #[test]
    fn a_peer_is_waited_for_as_long_as_its_socket_says() {
        let (mut shard, ids) = parked(1);
        let [id] = ids[..] else { unreachable!() };
        shard.sink(id).unwrap().more_ms = 600;
        pass(&mut shard, 10, 10_000);
        assert!(!shard.is_closing(id));
        let asked = shard.sink(id).unwrap().asked.get();
        assert!((10..=18).contains(&asked), "asked {asked} times in ten seconds, which is every 600 ms at most");

        // More than a stall at a time is not given.
        shard.sink(id).unwrap().more_ms = u32::MAX;
        pass(&mut shard, 10_010, 20_000);
        assert!(!shard.is_closing(id) && shard.sink(id).unwrap().asked.get() >= asked + 8);

        shard.sink(id).unwrap().more_ms = 0;
        pass(&mut shard, 20_010, 20_010 + STALL_MS + 100);
        assert!(shard.is_closing(id));
    }

    #[test]
    fn a_peer_that_is_not_waited_for_is_closed_after_stall_ms() {
        let (mut shard, ids) = parked(1);
        pass(&mut shard, 10, STALL_MS - 100);
        assert!(!shard.is_closing(ids[0]));
        pass(&mut shard, STALL_MS - 90, STALL_MS + 200);
        assert!(shard.is_closing(ids[0]));
    }

    #[test]
    fn one_round_asks_of_a_few_and_the_rounds_together_of_all() {
        let count = 3 * QUESTIONS_PER_SWEEP + 1;
        let (mut shard, ids) = parked(count);
        for id in &ids {
            shard.sink(*id).unwrap().more_ms = STALL_MS;
        }
        pass(&mut shard, 10, STALL_MS - 100);
        let mut before = 0;
        let mut rounds = 0;
        while before < count {
            shard.tick(at(2 * STALL_MS));
            let asked = ids.iter().map(|id| shard.sink(*id).unwrap().asked.get()).sum::<usize>();
            assert!(asked - before <= QUESTIONS_PER_SWEEP && asked > before, "{before}, then {asked}");
            (before, rounds) = (asked, rounds + 1);
        }
        assert_eq!((before, rounds), (count, 4));
    }
}

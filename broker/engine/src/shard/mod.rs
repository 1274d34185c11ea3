//! A shard: the fan-out state machine of the connections that live on one thread.
//!
//! ```text
//! take_in   entries in the feed's order: the frame into the ring, its place onto the runs of the topic's subscribers
//! turn      connections from the FIFO: carry, control, runs, catch-up, in one write each
//! tick      views that are due, heartbeats, stalls, what closing and deleting left behind
//! ```
//!
//! Whoever drives it calls these three in turn, each bounded, reads requests in between, and sleeps only when all say
//! that nothing is left to do. A shard never waits and never locks anything but a topic, the directory or the feed's
//! tail, each for a bounded moment.
//!
//! Invariants worth naming:
//!
//! * What waits for a connection on a topic is either in its runs or wanted from the topic, never both, but for
//!   `At::After`, which only swallows what the connection has already.
//! * A run is whole frames; what is left of a half-written one is the connection's `carry` and goes first.
//! * Nobody has a run in a part of the ring that is reused: before that, whoever has one falls out of step.
//! * A connection stands in the FIFO at most once.

mod conn;
mod deliver;
mod entry;
mod evict;
mod fall_out;
mod follow;
mod follows;
pub(crate) mod id;
mod introduce;
mod leave;
mod pages;
mod payers;
mod plan;
mod position;
mod queue;
mod ready;
mod refused;
mod requests;
mod ring;
pub(crate) mod snapshot;
mod start;
pub(crate) mod stats;
mod subscribe;
mod sweep;
mod take_in;
mod turn;
mod unsubscribe;
mod view;
mod work;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use broker_protocol::codes::{CloseReason, ErrorCode};
use broker_protocol::{frame, message};
use smallvec::SmallVec;

use self::conn::{CatchUp, Closing, Conn, Subscriptions, Turn};
use self::evict::Eviction;
use self::follows::Follows;
pub use self::id::ConnId;
use self::id::{GroupId, LocalId, ViewId};
use self::pages::Pages;
use self::payers::Payers;
use self::plan::Plan;
use self::queue::Queue;
use self::ring::Ring;
use self::stats::ShardStats;
use self::view::View;
use self::work::Work;
use crate::clock::Now;
use crate::engine::Engine;
use crate::fault;
use crate::feed::{Reader, ShardSet};
use crate::sink::Sink;

/// One shard.
pub struct Shard<S> {
    engine: Arc<Engine>,
    index: usize,
    bit: ShardSet,
    work: Work,
    reader: Reader,
    ring: Ring,
    conns: Pages<Conn<S>>,
    queue: Queue,
    follows: Follows,
    views: Pages<View>,
    due: BTreeSet<(u64, ViewId)>,
    /// Rises with every pass over a topic's subscribers; see `Conn::marked`.
    pass: u64,
    /// The place in the broker's order at which the newest of its topics was followed.
    followed_from: u64,
    /// Subscribers visited since the last taking in began.
    visited: usize,
    /// Connections for which the last entry was more than they may have waiting.
    overflowed: Vec<ConnId>,
    /// Connections to be closed as slow once the borrow is over, with their sessions: until then they may be gone, and others
    /// have their numbers.
    to_close: Vec<(ConnId, u64)>,
    /// Closing connections and when they are dropped at the latest, in order.
    lingering: VecDeque<(u64, ConnId, u64)>,
    sweep: sweep::Sweep,
    stats: Arc<ShardStats>,
    plan: Plan,
    /// The pass over the connections that makes room in the ring, where one is under way.
    evicting: Option<Eviction>,
    payers: Payers,
    /// Connections that would hold too much, and are told so in this round.
    overdrawn: Vec<ConnId>,
    /// Connections that close or are gone, and have many subscriptions still to be left.
    leavers: VecDeque<ConnId>,
    /// What was pending of them, likewise.
    discarded: VecDeque<Box<CatchUp>>,
}

/// Steps of work in each part of a round: about an eighth of a millisecond.
const WORK_PER_ROUND: usize = fault::bound(1024, 40);

impl<S: Sink> Shard<S> {
    /// Shard `index` of `engine`, with nobody connected.
    pub fn new(engine: Arc<Engine>, index: usize, stats: Arc<ShardStats>) -> Self {
        let reader = engine.feed.reader(index);
        let ring = Ring::new(engine.limits.ring_bytes);
        Self {
            index,
            bit: 1 << index,
            work: Work::new(WORK_PER_ROUND),
            reader,
            ring,
            conns: Pages::default(),
            queue: Queue::default(),
            follows: Follows::default(),
            views: Pages::default(),
            due: BTreeSet::new(),
            pass: 0,
            followed_from: 0,
            visited: 0,
            overflowed: Vec::new(),
            to_close: Vec::new(),
            lingering: VecDeque::new(),
            sweep: sweep::Sweep::default(),
            stats,
            plan: Plan::default(),
            evicting: None,
            payers: Payers::default(),
            overdrawn: Vec::new(),
            leavers: VecDeque::new(),
            discarded: VecDeque::new(),
            engine,
        }
    }

    /// The shared half.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Takes a connection on, whose handshake is done, and greets it.
    pub fn connect(&mut self, now: Now, sink: S) -> ConnId {
        let session = self.engine.session();
        let conn = Conn {
            marked: 0,
            pending_bytes: 0,
            pending_frames: 0,
            turn: Turn::None,
            closing: Closing::No,
            behind: false,
            overflowed: false,
            is_strict: false,
            positions: false,
            unpositioned: false,
            gone: false,
            in_leavers: false,
            leaves_budgets: false,
            is_falling: false,
            has_left: false,
            no_reserved: false,
            runs: SmallVec::new(),
            catch_up: None,
            waiting_since_us: 0,
            carry: None,
            control: None,
            subscribing: None,
            readies: conn::Readies::default(),
            subscriptions: Subscriptions::default(),
            next_order: 0,
            session,
            connected_wall_us: now.wall_us,
            last_data_ms: now.mono_ms(),
            last_write_us: 0,
            stalled_since_ms: None,
            last_ping_ms: now.mono_ms(),
            pings_unanswered: 0,
            last_position_ms: now.mono_ms(),
            buffered_bytes: 0,
            filed: [0; crate::budget::purse::PURSES],
            sink,
        };
        self.stats.listeners.add(u64::from(!conn.sink.answers_pings()));
        let id = self.conns.insert(conn);
        self.stats.connections.add(1);
        self.stats.opened.add(1);
        let limits = &self.engine.limits;
        let mut payload = Vec::new();
        let name = self.engine.session_name(session);
        message::hello(
            &mut payload,
            &limits.server,
            &name,
            limits.heartbeat_ms.into(),
            &[],
            &message::Limits {
                subscriptions: limits.subscriptions,
                message_bytes: limits.message_bytes,
                image_bytes: limits.image_bytes,
                behind_bytes: limits.behind_bytes,
                retain_updates: limits.retain.updates,
                stall_ms: limits.stall_ms.into(),
            },
        );
        self.answer(now, id, &payload);
        id
    }

    /// The broker's own topics are not for this connection.
    pub fn forbid_reserved(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.no_reserved = true;
        }
    }

    /// What this shard counts.
    pub fn stats(&self) -> &ShardStats {
        &self.stats
    }

    /// Whether the feed has an entry that was not taken in.
    pub fn has_entries(&mut self) -> bool {
        self.reader.peek().is_some()
    }

    /// A connection's sink, for its driver.
    pub fn sink(&mut self, id: ConnId) -> Option<&mut S> {
        self.conns.get_mut(id).filter(|conn| !conn.gone).map(|conn| &mut conn.sink)
    }

    /// Requests are read from now on in this round, up to [`Shard::tick`]: they have work of their own, whatever was done
    /// before.
    pub fn begin_requests(&mut self) {
        self.work.begin_requests();
    }

    /// Whether requests may still be done in this round.
    pub fn may_work(&self) -> bool {
        !self.work.is_spent()
    }

    /// So many bytes of clients were read or answered: that is work as well.
    pub fn worked(&self, bytes: usize) {
        self.work.charge_bytes(bytes);
    }

    /// Whether a request of this connection may be read now: it reads its answers, its last one is done, and it is not being
    /// closed.
    pub fn may_read(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| {
            !conn.gone
                && conn.closing == Closing::No
                && conn.subscribing.is_none()
                && !conn.is_falling
                && conn.control_bytes() < self.engine.limits.answers_bytes_max
        })
    }

    /// Whether a request of this connection is still being done.
    pub fn is_busy(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| conn.subscribing.is_some())
    }

    /// Whether the broker has said its last word to this connection, and waits for it to hang up.
    pub fn is_closing(&self, id: ConnId) -> bool {
        self.conns.get(id).is_none_or(|conn| conn.gone || conn.closing != Closing::No)
    }

    /// A frame came from the client: it lives.
    pub fn heard(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.pings_unanswered = 0;
        }
    }

    /// The connection is gone: everything that it held is let go of.
    pub fn disconnect(&mut self, id: ConnId) {
        if self.conns.get(id).is_none_or(|conn| conn.gone) {
            return;
        }
        self.leave_all(id);
        let conn = &mut self.conns[id];
        conn.gone = true;
        conn.control = None;
        self.forget_payer(id);
        let conn = &mut self.conns[id];
        if conn.turn == Turn::Parked {
            self.stats.parked.sub(1);
        }
        self.stats.connections.sub(1);
        let listens = !conn.sink.answers_pings();
        self.stats.listeners.sub(u64::from(listens));
        if conn.closing == Closing::No {
            // Who only listens cannot say goodbye in another way.
            let ended = if listens { &self.stats.closed_by_client } else { &self.stats.vanished };
            ended.add(1);
        }
        // A place in a queue still names the slot: it goes when that comes by.
        self.free(id);
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && self.queue.unpark(id, &mut conn.turn)
        {
            self.stats.parked.sub(1);
        }
    }

    /// Queues a finished payload as an answer: it may overtake data.
    pub fn answer(&mut self, now: Now, id: ConnId, payload: &[u8]) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.last_data_ms = now.mono_ms();
        }
        self.control(now, id, |out| frame::push_text(out, payload));
    }

    /// Queues an error as an answer.
    pub fn refuse(&mut self, now: Now, id: ConnId, request: Option<&[u8]>, code: ErrorCode, text: &str) {
        let mut payload = Vec::new();
        message::error(&mut payload, request, code, text);
        self.stats.errors.add(code, 1);
        self.answer(now, id, &payload);
    }

    /// Queues whole frames that are no data: answers, pings, pongs.
    pub fn control(&mut self, now: Now, id: ConnId, push: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.gone || conn.closing != Closing::No {
            return;
        }
        push(conn.control());
        self.enqueue(id, now.mono_us);
        self.count_buffers(id);
    }

    /// Says goodbye: nothing but what is half-written and the close frame will follow.
    pub fn close(&mut self, now: Now, id: ConnId, reason: CloseReason, text: &str) {
        if self.is_closing(id) {
            return;
        }
        self.stats.closed.count(reason);
        self.say_goodbye(now, id, reason.code(), text);
    }

    /// The client closes: its close frame is echoed, with its code. 0 sends a close frame without one.
    pub fn close_with(&mut self, now: Now, id: ConnId, code: u16, text: &str) {
        if self.is_closing(id) {
            return;
        }
        self.stats.closed_by_client.add(1);
        self.say_goodbye(now, id, code, text);
    }

    fn say_goodbye(&mut self, now: Now, id: ConnId, code: u16, text: &str) {
        self.leave_all(id);
        let conn = &mut self.conns[id];
        conn.closing = Closing::Sent { finished: false };
        // Answers that nobody asked to wait for go with the data, but not the rest of one that is half-written.
        if code == 0 {
            frame::push_head(conn.control(), 8, 0);
        } else {
            frame::push_close(conn.control(), code, text);
        }
        conn.sink.stop_listening();
        let session = conn.session;
        self.enqueue(id, now.mono_us);
        self.leave_budgets(id);
        let until = now.mono_us + u64::from(self.engine.limits.close_ms) * 1000;
        self.lingering.push_back((until, id, session));
    }

    /// Every open connection from number `from` on.
    pub fn connections(&self, from: ConnId) -> impl Iterator<Item = ConnId> + '_ {
        self.conns.iter_from(from).filter(|(_, conn)| !conn.gone).map(|(id, _)| id)
    }

    /// Whether anything waits for this connection.
    pub fn has_pending(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| !conn.gone && conn.has_work())
    }

    /// A connection has something to get from now on.
    fn enqueue(&mut self, id: ConnId, now_us: u64) {
        let conn = &mut self.conns[id];
        conn.begin_waiting(now_us);
        self.queue.push(id, &mut conn.turn);
    }
}

//! A shard: the fan-out state machine of the connections that live on one thread.
//!
//! ```text
//! take_in   entries in the feed's order: the frame into the ring, its range onto the runs of the topic's subscribers
//! turn      connections from the queue: carry, control, runs, catch-up, in one write each
//! tick      views that are due, heartbeats, stalls, remains of closed connections and deleted topics
//! ```
//!
//! The driver calls these three in turn, each bounded, reads requests in between, and sleeps only when all of them
//! report that nothing is left to do. A shard never waits, and never locks anything but a topic, the directory or the
//! feed's tail, each for a bounded moment.
//!
//! Its parts have their own state and know nothing of the shard:
//!
//! ```text
//! conn         the state of each connection
//! queue        whose turn is next
//! follows      names and patterns, their subscribers, and how they are linked
//! ring         frames on their way to connections
//! denied       the topics of a pattern that its subscribers are denied
//! permits      what clients may do, for those that may not do everything
//! permit       what one of them may do, and may subscribe to by that
//! views        topics at an interval, and when each is due
//! plan         the frames of a turn's write that do not come from the ring
//! visits       passes over the subscribers of a name
//! evictions    connections that have to fall out of step
//! departures   connections that are closed or gone
//! retiring     names and patterns that no connection is subscribed to any more
//! payers       the largest holders of the sums that all connections share
//! quotas       what connections have left of their quotas
//! rates        messages a second of each connection
//! publishers   who published what
//! awaiting     what was published and has not come back from the journal's log
//! barriers     whose clients are ahead of this broker, and wait for the log
//! work         what a round may still do
//! ```
//!
//! Each file describes one thing that happens:
//!
//! ```text
//! incoming    take_in, mark, deliver, visit, view
//! outgoing    turn, write, plan, introduce, start, position, ready
//! requests    connect, requests, journaled, ahead, quota, subscribe, subscribed, unsubscribe, pending, follow, authorize
//! too slow    evict, fall_out, payers
//! leaving     departures, leave, retire
//! time        sweep
//! operators   snapshot, detail, forbidden
//! ```
//!
//! Invariants:
//!
//! * What waits for a connection on a topic is either on its runs or wanted from the topic, never both, except for
//!   `At::After`, which only swallows what the connection already has.
//! * A run is whole frames; the rest of a half-written one is the connection's `carry` and goes first.
//! * No connection has a run in a part of the ring that is reused: before that, a connection that has one falls out of
//!   step.
//! * A connection is in at most one queue, and only once.

mod ahead;
mod authorize;
mod authorized;
mod awaiting;
mod barriers;
mod conn;
mod connect;
mod deliver;
mod denied;
mod departures;
pub(crate) mod detail;
mod entry;
mod evict;
mod fall_out;
mod follow;
mod follows;
pub(crate) mod forbidden;
pub(crate) mod id;
mod introduce;
mod journaled;
mod leave;
mod mark;
mod pages;
mod payers;
mod pending;
mod permit;
mod permits;
mod plan;
mod position;
mod queue;
mod quota;
mod rates;
mod ready;
mod refused;
mod requests;
mod retire;
mod ring;
pub(crate) mod snapshot;
mod start;
pub(crate) mod stats;
mod subscribe;
mod subscribed;
mod sweep;
mod take_in;
mod turn;
mod unsubscribe;
mod view;
mod visit;
mod work;
mod write;

use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message;

use self::awaiting::Awaiting;
use self::barriers::Barriers;
use self::conn::{Closing, Conn, Control};
use self::departures::Departures;
use self::evict::Evictions;
use self::follows::Follows;
use self::forbidden::Forbidden;
pub use self::id::ConnId;
use self::id::{GroupId, NameId, ViewId};
use self::pages::Pages;
use self::payers::Payers;
use self::permits::Permits;
use self::plan::Plan;
use self::queue::Queue;
use self::quota::Quotas;
use self::rates::Rates;
pub use self::requests::AuthRequest;
use self::retire::Retiring;
use self::ring::Ring;
use self::stats::ShardStats;
use self::sweep::Sweep;
use self::view::Views;
use self::visit::Visits;
use self::work::Work;
use crate::clock::Now;
use crate::engine::Engine;
use crate::fault;
use crate::feed::{Reader, ShardSet};
use crate::publishers::Publishers;
use crate::sink::{Encoding, Origin, Sink};

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
    permits: Permits,
    views: Views,
    visits: Visits,
    /// The last ordinal at the time when the newest of its topics was followed.
    followed_from: u64,
    sweep: Sweep,
    retiring: Retiring,
    stats: Arc<ShardStats>,
    plan: Plan,
    evictions: Evictions,
    departures: Departures,
    payers: Payers,
    quotas: Quotas,
    rates: Rates,
    publishers: Publishers<u64, Origin>,
    forbidden: Forbidden,
    awaiting: Awaiting,
    barriers: Barriers,
}

/// Steps of work in each part of a round: about an eighth of a millisecond.
const WORK_PER_ROUND: usize = fault::bound(1024, 40);

/// What long requests hold that are under way when another one may begin. One may hold some 3 MiB.
const LONG_REQUESTS_BYTES: usize = 4 << 20;

impl<S: Sink> Shard<S> {
    /// Creates shard `index` of `engine`, without connections.
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
            permits: Permits::default(),
            views: Views::default(),
            visits: Visits::default(),
            followed_from: 0,
            sweep: Sweep::default(),
            retiring: Retiring::default(),
            stats,
            plan: Plan::default(),
            evictions: Evictions::default(),
            departures: Departures::default(),
            payers: Payers::default(),
            quotas: Quotas::default(),
            rates: Rates::default(),
            publishers: engine.publishers(),
            forbidden: Forbidden::default(),
            awaiting: Awaiting::default(),
            barriers: Barriers::default(),
            engine,
        }
    }

    /// The half of the engine that all shards share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Forbids the broker's own topics to this connection.
    pub fn forbid_reserved(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.forbids_reserved = true;
        }
    }

    /// Whether a connection has to authenticate before it may do anything.
    pub fn must_authenticate(&self, id: ConnId) -> bool {
        self.permits.must_authenticate(id)
    }

    /// Takes out a connection with permissions that is gone. Its number may be another connection's by now.
    pub fn next_departed(&mut self) -> Option<ConnId> {
        self.permits.next_departed()
    }

    /// The number of a connection's session, which no other connection has.
    pub fn session(&self, id: ConnId) -> Option<u64> {
        self.conns.get(id).filter(|conn| !conn.gone).map(|conn| conn.session)
    }

    /// The shard's counters.
    pub fn stats(&self) -> &ShardStats {
        &self.stats
    }

    /// Whether the feed has an entry that has not been taken in.
    pub fn has_entries(&mut self) -> bool {
        self.reader.peek().is_some()
    }

    /// A connection's sink, for its driver.
    pub fn sink(&mut self, id: ConnId) -> Option<&mut S> {
        self.conns.get_mut(id).filter(|conn| !conn.gone).map(|conn| &mut conn.sink)
    }

    /// Begins the part of the round in which requests are read, which lasts until [`Shard::tick`]: requests have a
    /// budget of work of their own, whatever was done before.
    pub fn begin_requests(&mut self) {
        self.work.begin_requests();
    }

    /// Whether this round has work left for requests.
    pub fn may_work(&self) -> bool {
        !self.work.is_spent()
    }

    /// Whether another long request may begin. Those under way hold some thirty times the length of their messages, and
    /// none of them is done earlier if more have begun.
    pub fn may_begin_long(&self) -> bool {
        self.queue.request_bytes() < LONG_REQUESTS_BYTES
    }

    /// Returns the steps of all work that the shard has done. What a part of it took is the difference of two calls.
    pub fn work_done(&self) -> u64 {
        self.work.done()
    }

    /// Charges the bytes read from clients or written to them as work.
    pub fn worked(&self, bytes: usize) {
        self.work.charge_bytes(bytes);
    }

    /// Whether a request of this connection may be read now: it reads its answers, its last request is done, and it is
    /// not being closed.
    pub fn may_read(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| {
            !conn.gone
                && conn.closing == Closing::No
                && conn.in_progress.is_none()
                && !conn.is_falling
                && conn.control_bytes() < self.engine.limits.answers_bytes_max()
        }) && !self.permits.is_checking(id)
            && !self.awaiting.is_full(id)
    }

    /// Whether a request of this connection is still in progress.
    pub fn is_busy(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| conn.in_progress.is_some())
    }

    /// Notes that a frame came from the client, which is therefore alive.
    pub fn heard(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.pings_unanswered = 0;
        }
    }

    /// Notes that the socket takes bytes again.
    pub fn writable(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && self.queue.unpark(id, &mut conn.queue_state)
        {
            self.stats.parked.sub(1);
        }
        if self.conns.get(id).is_some_and(|conn| !conn.gone && conn.sink.holds_output()) {
            // It holds less by what it has just sent.
            self.count_buffers(id);
        }
    }

    /// Notes that the peer took bytes that its sink held, although not all of them: it has not stalled.
    pub fn took(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stalled_since_ms = None;
        }
    }

    /// Queues a finished payload as an answer: it may overtake data.
    pub fn answer(&mut self, now: Now, id: ConnId, payload: &[u8]) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.last_data_ms = now.mono_ms();
        }
        self.count_sent(id, 1);
        self.control(now, id, |control, encoding| control.text(encoding, payload));
    }

    /// Queues an error as an answer.
    pub fn refuse(&mut self, now: Now, id: ConnId, request: Option<&[u8]>, code: ErrorCode, text: &str) {
        let mut payload = Vec::new();
        message::error(&mut payload, request, code, text);
        self.stats.errors.add(code, 1);
        self.answer(now, id, &payload);
    }

    /// Answers a client's ping.
    pub fn pong(&mut self, now: Now, id: ConnId, payload: &[u8]) {
        self.control(now, id, |control, _| control.pong(payload));
    }

    /// Queues messages that are no data: answers, pings, pongs.
    fn control(&mut self, now: Now, id: ConnId, push: impl FnOnce(&mut Control, Option<&Encoding>)) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.gone || conn.closing != Closing::No {
            return;
        }
        let encoding = conn.sink.encoding();
        push(conn.control(), encoding);
        self.enqueue(id, now.mono_us);
        self.count_buffers(id);
    }

    /// Every open connection from number `from` on.
    pub fn connections(&self, from: ConnId) -> impl Iterator<Item = ConnId> + '_ {
        self.conns.iter_from(from).filter(|(_, conn)| !conn.gone).map(|(id, _)| id)
    }

    /// Whether anything waits for this connection.
    pub fn has_pending(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| !conn.gone && conn.has_work())
    }

    /// Queues a connection that has something to get from now on.
    fn enqueue(&mut self, id: ConnId, now_us: u64) {
        let conn = &mut self.conns[id];
        conn.begin_waiting(now_us);
        self.queue.push(id, &mut conn.queue_state);
    }
}

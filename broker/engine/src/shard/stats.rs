//! Counters of one shard: written by its thread alone, read by any other thread.

use std::sync::atomic::{AtomicU64, Ordering};

use broker_protocol::codes::{CloseReason, ErrorCode};

/// A number that one thread writes and many read: a plain load and store, no locked instruction.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds; only the owning thread may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts; only the owning thread may.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Replaces; only the owning thread may.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Returns the value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Buckets of a [`Histogram`].
pub const BUCKETS: usize = 28;

/// Counts by powers of two: bucket `i` holds values up to `2^i`, the last one all above.
#[derive(Debug)]
pub struct Histogram {
    buckets: [Cell; BUCKETS],
    sum: Cell,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Cell::default()), sum: Cell::default() }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        let bucket = (u64::BITS - value.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].add(1);
        self.sum.add(value);
    }

    /// The counts and the sum of all values.
    pub fn read(&self) -> ([u64; BUCKETS], u64) {
        (std::array::from_fn(|i| self.buckets[i].get()), self.sum.get())
    }
}

/// Counts by error code.
#[derive(Debug, Default)]
pub struct ErrorCounts([Cell; ErrorCode::ALL.len()]);

impl ErrorCounts {
    /// Counts errors of one code; only the owning thread may.
    pub fn add(&self, code: ErrorCode, n: u64) {
        self.0[code.index()].add(n);
    }

    /// Errors of one code.
    pub fn get(&self, code: ErrorCode) -> u64 {
        self.0[code.index()].get()
    }
}

/// Counts by the reason for which the broker closed a connection.
#[derive(Debug, Default)]
pub struct CloseCounts([Cell; CloseReason::ALL.len()]);

impl CloseCounts {
    /// Counts a connection; only the owning thread may.
    pub fn count(&self, reason: CloseReason) {
        self.0[reason.index()].add(1);
    }

    /// Connections closed for one reason.
    pub fn get(&self, reason: CloseReason) -> u64 {
        self.0[reason.index()].get()
    }
}

/// The counters of a shard.
#[derive(Debug, Default)]
pub struct ShardStats {
    /// Open connections now.
    pub connections: Cell,
    /// Open connections that only listen, over Server-Sent Events.
    pub listeners: Cell,
    /// Connections taken on since the start.
    pub opened: Cell,
    /// Connections that are catching up because too much waited for them, as of the last sweep.
    pub behind: Cell,
    /// Connections whose socket is full now.
    pub parked: Cell,
    /// Subscriptions now, to topics and patterns.
    pub subscriptions: Cell,
    /// Feed entries taken in.
    pub entries: Cell,
    /// Data frames handed to sockets, counted when their last byte was taken.
    pub deliveries: Cell,
    /// Writes to sockets.
    pub writes: Cell,
    /// Writes of which not all bytes were taken.
    pub writes_short: Cell,
    /// Bytes that sockets took.
    pub bytes: Cell,
    /// Times a connection fell behind because too much waited for it.
    pub fell_behind: Cell,
    /// Times a connection lost its runs because that part of the ring had to be reused.
    pub evicted: Cell,
    /// Times a frame reached a connection through its topic because it was too large for the ring or had to follow the
    /// end of an earlier incarnation.
    pub detours: Cell,
    /// Connections closed because they held most of a shared sum that was exceeded.
    pub paid: Cell,
    /// Images sent.
    pub images: Cell,
    /// Gaps sent.
    pub gaps: Cell,
    /// Updates announced as lost.
    pub gap_updates: Cell,
    /// Connections closed by the broker.
    pub closed: CloseCounts,
    /// Connections whose client sent a close frame first, or hung up if it cannot send one.
    pub closed_by_client: Cell,
    /// Connections that ended without a close frame from either side.
    pub vanished: Cell,
    /// Errors answered.
    pub errors: ErrorCounts,
    /// Bytes of half-written frames held for blocked connections.
    pub pinned_bytes: Cell,
    /// Bytes of the ring in use.
    pub ring_bytes: Cell,
    /// Topics that a connection of this shard is subscribed to or waits for.
    pub local_topics: Cell,
    /// Time from taking an update in to handing it to a socket, in µs, of the oldest frame of each write.
    pub latency_us: Histogram,
    /// Data frames in a write.
    pub frames_per_write: Histogram,
    /// Duration of a round of the shard's loop that did something, in µs.
    pub round_us: Histogram,
    /// Time during which the shard's thread did not sleep, in µs.
    pub busy_us: Cell,
    /// With a journal: time from a publish or a batch of a connection until all of it was back from the log, in µs.
    pub journal_wait_us: Histogram,
    /// Bytes that waited for a connection when it fell behind.
    pub lag_bytes: Histogram,
}

//! Counts and times what arrives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::wall_us;
use crate::measure::tally::{Interval, Tally};
use crate::measure::timing::Timing;
use crate::payload::Stamp;
use crate::run::connection::{Conn, State};
use crate::run::wire::Wire;
use crate::run::{Shared, Times};

/// The time of a read.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    ns: u64,
    in_window: bool,
    /// By the wall clock; only if another publisher makes the feed.
    wall_us: u64,
}

/// Those who keep their connections in a storm.
#[derive(Debug, Clone, Copy)]
pub(in crate::run) struct Stays {
    /// The lowest of their numbers.
    pub(in crate::run) first: u32,
    /// When the storm comes, after publishing begins.
    pub(in crate::run) storm_ns: u64,
}

/// The counts of one thread.
pub(in crate::run) struct Counts {
    shared: Arc<Shared>,
    /// Whether this load publishes, so that payloads contain when they were due.
    ours: bool,
    pub(in crate::run) tally: Tally,
    pub(in crate::run) interval: Interval,
    /// Latencies that are not in `interval` and `tally` yet.
    timing: Timing,
    /// Subscribers whose subscriptions are in effect.
    pub(in crate::run) open: u32,
    pub(in crate::run) times: Option<Times>,
    /// Only in a scenario with a storm.
    pub(in crate::run) stays: Option<Stays>,
    moment: Moment,
    /// Deliveries of this read that arrived, or that something stands for; not in `shared` yet.
    covered: u64,
}

impl Counts {
    pub(super) fn new(shared: Arc<Shared>, ours: bool) -> Self {
        Self {
            shared,
            ours,
            tally: Tally::new(),
            interval: Interval::new(0),
            timing: Timing::new(),
            open: 0,
            times: None,
            stays: None,
            moment: Moment::default(),
            covered: 0,
        }
    }

    /// Notes that everything counted from now on was read at `now_ns`.
    pub(super) fn begin_read(&mut self, now_ns: u64) {
        self.moment = Moment {
            ns: now_ns,
            in_window: self.times.is_some_and(|times| times.in_window(now_ns)),
            wall_us: if self.ours { 0 } else { wall_us() },
        };
    }

    /// Notes that a read of this many bytes is over.
    pub(super) fn end_read(&mut self, bytes: usize) {
        self.tally.bytes += bytes as u64;
        self.interval.bytes += bytes as u64;
        if self.moment.in_window {
            self.tally.window_bytes += bytes as u64;
        }
        if self.covered > 0 {
            self.shared.covered.fetch_add(std::mem::take(&mut self.covered), Ordering::Relaxed);
        }
    }

    /// Takes out the interval, which is over, and begins another.
    pub(in crate::run) fn take_interval(&mut self, next_second: u32) -> Interval {
        let mut interval = std::mem::replace(&mut self.interval, Interval::new(next_second));
        self.timing.take(&mut interval.corrected, &mut self.tally);
        interval.open = self.open;
        interval
    }

    /// Notes that the server has confirmed a connection's subscriptions.
    pub(super) fn confirmed(&mut self, conn: &mut Conn) {
        self.subscribed(conn, self.moment.ns);
    }

    /// Notes that the subscriptions of a connection are in effect.
    pub(in crate::run) fn subscribed(&mut self, conn: &mut Conn, now_ns: u64) {
        if conn.state != State::Subscribing {
            return;
        }
        conn.state = State::Open;
        self.open += 1;
        self.tally.connected += 1;
        if let Some(negotiated) = conn.socket.as_ref().and_then(Wire::negotiated) {
            self.tally.tls.add(&negotiated);
        }
        let Some(rest) = &mut conn.rest else { return };
        self.tally.connect.saturating_record(now_ns.saturating_sub(rest.begun_ns));
        if rest.lost_ns > 0 {
            self.tally.reconnect.saturating_record(now_ns.saturating_sub(rest.lost_ns));
            rest.lost_ns = 0;
            self.shared.came_back(now_ns);
        }
    }

    /// Notes that this many deliveries arrived, or that something stands for them.
    pub(super) fn covered(&mut self, deliveries: u64) {
        self.covered += deliveries;
    }

    /// Counts a delivery, and its latency. `ts_us` is the server's time stamp, used if the payload has none.
    pub(super) fn delivered(&mut self, conn: &Conn, stamp: Option<Stamp>, ts_us: u64) {
        self.tally.deliveries += 1;
        self.interval.deliveries += 1;
        if self.moment.in_window {
            self.tally.window_deliveries += 1;
        }
        if conn.slow {
            self.tally.slow_deliveries += 1;
            return;
        }
        let (due_ns, raw_ns) = match stamp {
            Some(stamp) => (stamp.due_ns, self.moment.ns.saturating_sub(stamp.sent_ns)),
            // It should have a stamp, but none that can be read.
            None if self.ours => return,
            // By the wall clock, which may have been set: a negative age counts as zero.
            None => {
                let age_ns = self.moment.wall_us.saturating_sub(ts_us) * 1000;
                (self.moment.ns - age_ns.min(self.moment.ns), age_ns)
            }
        };
        let corrected_ns = self.moment.ns.saturating_sub(due_ns);
        self.timing.record(corrected_ns, raw_ns, self.times.is_some_and(|times| times.in_window(due_ns)));
        if let Some(stays) = self.stays
            && conn.number >= stays.first
        {
            self.stayed(stays.storm_ns, due_ns, corrected_ns);
        }
    }

    /// Records a delivery to a subscriber that keeps its connection in a storm.
    fn stayed(&mut self, storm_ns: u64, due_ns: u64, corrected_ns: u64) {
        let Some(times) = self.times else { return };
        if due_ns >= times.publish_ns + storm_ns {
            if due_ns < self.shared.all_back_ns.load(Ordering::Acquire) {
                self.tally.stayed_during.saturating_record(corrected_ns);
            }
        } else if due_ns >= times.window_ns.0 {
            self.tally.stayed_before.saturating_record(corrected_ns);
        }
    }
}

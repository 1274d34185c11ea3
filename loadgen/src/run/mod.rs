//! A run: connect, settle, warm up, measure, wait for the updates in flight.
//!
//! ```text
//! coordinator   starts the threads, waits for all subscriptions, fixes the times, watches server and progress
//! deal          which thread has which subscribers, and which of them a storm disconnects
//! worker        one thread; the first one publishes as well
//!   disturb     which subscribers leave, come back, or read slowly on purpose
//!   subscribers its share of them: one epoll set, their connections
//!   receive     splits what arrives into frames and messages
//!     verifier  judges them
//!     counts    counts and times them
//!   publisher   writes due updates, without ever waiting for a socket
//! ```
//!
//! All times are fixed before publishing begins. Nothing is allocated per delivery.

mod connection;
pub(crate) mod connector;
mod coordinator;
mod deal;
mod publisher;
mod receive;
mod subscribers;
mod target;
mod wire;
mod worker;

pub(crate) use coordinator::{Measured, Second, Setup, run};
pub(crate) use target::Target;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The times of a run, on the load's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When publishing begins.
    pub(crate) publish_ns: u64,
    /// The window that is measured.
    pub(crate) window_ns: (u64, u64),
    /// When the run stops waiting for updates in flight.
    pub(crate) drained_ns: u64,
}

impl Times {
    pub(crate) fn in_window(&self, ns: u64) -> bool {
        (self.window_ns.0..self.window_ns.1).contains(&ns)
    }
}

/// State that the threads of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Set once by the coordinator, when every subscriber has tried to subscribe.
    pub(crate) times: OnceLock<Times>,
    /// Subscribers whose first attempt is over, successful or not.
    pub(crate) tried: AtomicU32,
    /// Whether any subscriber was subscribed; set by all workers.
    pub(crate) subscribed: AtomicBool,
    /// Whether the publishers are connected.
    pub(crate) publishing: AtomicBool,
    /// Updates of each topic that were handed to a socket; written only by the publisher's thread.
    pub(crate) published: Box<[AtomicU64]>,
    /// Deliveries due for all published updates; written only by the publisher's thread.
    pub(crate) due: AtomicU64,
    /// Deliveries that arrived, or that images and gaps stand for; added to by all workers.
    pub(crate) covered: AtomicU64,
    /// Subscribers that a storm disconnects and that are not back; added to and taken from by all workers.
    pub(crate) away: AtomicU32,
    /// When the last of them was back; `u64::MAX` before.
    pub(crate) all_back_ns: AtomicU64,
    /// Workers whose subscribers have everything.
    pub(crate) complete: AtomicU32,
    /// Workers whose subscribers are all gone for good.
    pub(crate) deserted: AtomicU32,
    /// Whether all threads end at once; set by the thread that finds that the run cannot go on.
    pub(crate) stop: AtomicBool,
    /// Why the run stops; set before `stop`.
    pub(crate) why: OnceLock<String>,
}

impl Shared {
    /// `away` subscribers lose their connection in a storm.
    pub(crate) fn new(topics: usize, away: u32) -> Self {
        Self {
            times: OnceLock::new(),
            tried: AtomicU32::new(0),
            subscribed: AtomicBool::new(false),
            publishing: AtomicBool::new(false),
            published: (0..topics).map(|_| AtomicU64::new(0)).collect(),
            due: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            away: AtomicU32::new(away),
            all_back_ns: AtomicU64::new(u64::MAX),
            complete: AtomicU32::new(0),
            deserted: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            why: OnceLock::new(),
        }
    }

    /// Notes that a subscriber of a storm is back, or did not have to leave.
    pub(crate) fn came_back(&self, now_ns: u64) {
        if self.away.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_back_ns.store(now_ns, Ordering::Release);
        }
    }

    pub(crate) fn published(&self, topic: u32) -> u64 {
        self.published.get(topic as usize).map_or(0, |count| count.load(Ordering::Acquire))
    }
}

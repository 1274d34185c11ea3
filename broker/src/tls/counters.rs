//! What TLS counts, for the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use broker_engine::Histogram;

/// How a handshake ended, as the labels of its metric name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// The version of TLS; `none` if none was agreed.
    pub(crate) version: &'static str,
    /// Whether it was a full one or resumed an earlier session; `none` if that was not decided.
    pub(crate) kind: &'static str,
    /// Whether it succeeded.
    pub(crate) result: &'static str,
}

impl Done {
    /// A handshake that succeeded.
    pub(super) const fn ok(version: &'static str, kind: &'static str) -> Done {
        Done { version, kind, result: "ok" }
    }

    /// A handshake that did not end in time.
    pub(crate) const TIMEOUT: Done = Done { version: "none", kind: "none", result: "timeout" };
    /// A handshake that one side ended.
    pub(crate) const FAILED: Done = Done { version: "none", kind: "none", result: "failed" };
}

/// Every way to end, so that the number of series is fixed.
const ALL: [Done; 6] = [
    Done::ok("1.2", "full"),
    Done::ok("1.2", "resumed"),
    Done::ok("1.3", "full"),
    Done::ok("1.3", "resumed"),
    Done::FAILED,
    Done::TIMEOUT,
];

/// A sum of bytes that several threads change.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicU64);

impl Held {
    /// Replaces what one connection holds.
    #[cfg(feature = "tls")]
    pub(super) fn change(&self, before: usize, after: usize) {
        if after >= before {
            self.0.fetch_add((after - before) as u64, Ordering::Relaxed);
        } else {
            self.0.fetch_sub((before - after) as u64, Ordering::Relaxed);
        }
    }
}

/// The counters. The main thread counts handshakes; all threads change what is held.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    handshakes: [AtomicU64; ALL.len()],
    /// How long handshakes took that succeeded, from their turn on, in µs.
    pub(crate) handshake_us: Histogram,
    pub(super) held: Held,
    /// Whether the last reload failed.
    pub(super) reload_failed: AtomicBool,
}

impl Counters {
    /// Counts a handshake.
    pub(crate) fn count(&self, done: Done, took: Duration) {
        if let Some(count) =
            ALL.iter().zip(&self.handshakes).find_map(|(known, count)| (*known == done).then_some(count))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if done.result == "ok" {
            self.handshake_us.record(took.as_micros().try_into().unwrap_or(u64::MAX));
        }
    }

    /// The number of handshakes by how they ended.
    pub(crate) fn handshakes(&self) -> impl Iterator<Item = (Done, u64)> {
        ALL.into_iter().zip(self.handshakes.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Ciphertext that is held for all connections: incomplete records, and what sockets did not take.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held.0.load(Ordering::Relaxed)
    }

    /// Whether the last reload failed, and older certificates are served.
    pub(crate) fn reload_failed(&self) -> bool {
        self.reload_failed.load(Ordering::Relaxed)
    }
}

//! What a log in NATS tells of itself, besides what every journal does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use broker_engine::log::Dropped;
use broker_protocol::codes::ErrorCode;
use tokio::sync::watch;

use crate::status::{add, get};

/// Counters and gauges, written by the journal's thread and read by everyone.
#[derive(Debug)]
pub struct NatsStatus {
    /// This broker's name.
    pub node: String,
    /// The position of the last record that the log is known to have.
    pub log_end: AtomicU64,
    /// Records that were sent again.
    pub resent: AtomicU64,
    /// Records of the log that do not count, by [`Dropped::ALL`].
    pub dropped: [AtomicU64; Dropped::ALL.len()],
    /// Updates that programs published to the log themselves, without the duplicates.
    pub inbound_taken: AtomicU64,
    /// Those that their source had published already.
    pub inbound_duplicates: AtomicU64,
    /// Those that were refused, by [`ErrorCode::ALL`].
    pub inbound_refused: [AtomicU64; ErrorCode::ALL.len()],
    /// Digests of other brokers that differ from this one's.
    pub differing: AtomicU64,
    /// How long nothing has come from the log, in milliseconds.
    pub silent_ms: AtomicU64,
    unready_ms: u64,
    is_connected: AtomicBool,
    is_in_doubt: AtomicBool,
    settings_differ: AtomicBool,
    /// Since when this broker is cut off from the log, in milliseconds since the UNIX epoch.
    stale: watch::Sender<Option<u64>>,
}

impl NatsStatus {
    pub(super) fn new(node: &str, unready_ms: u64) -> Self {
        Self {
            node: node.into(),
            log_end: AtomicU64::default(),
            resent: AtomicU64::default(),
            dropped: Default::default(),
            inbound_taken: AtomicU64::default(),
            inbound_duplicates: AtomicU64::default(),
            inbound_refused: Default::default(),
            differing: AtomicU64::default(),
            silent_ms: AtomicU64::default(),
            unready_ms,
            is_connected: AtomicBool::default(),
            is_in_doubt: AtomicBool::default(),
            settings_differ: AtomicBool::default(),
            stale: watch::Sender::new(None),
        }
    }

    /// Why clients should be sent to other brokers, if they should.
    pub fn unready(&self) -> Option<String> {
        if !self.is_connected() {
            return Some("the connection to NATS is down".into());
        }
        let silent_ms = get(&self.silent_ms);
        if silent_ms >= self.unready_ms {
            return Some(format!("nothing has come from the log for {} s", silent_ms / 1000));
        }
        self.is_in_doubt().then(|| "this broker has come to something else than others with the same log".into())
    }

    /// Whether the connections to NATS stand.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Whether other brokers have come to something else, and are not fewer than those that agree with this one.
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.load(Ordering::Relaxed)
    }

    /// Whether this broker's settings differ from those of the log, which count.
    pub fn settings_differ(&self) -> bool {
        self.settings_differ.load(Ordering::Relaxed)
    }

    /// Since when this broker is cut off from the log, in milliseconds since the UNIX epoch; `None` if it is not. Whoever
    /// has this is told of changes.
    pub fn stale(&self) -> watch::Receiver<Option<u64>> {
        self.stale.subscribe()
    }

    pub(super) fn count_inbound_refused(&self, code: ErrorCode) {
        self.inbound_refused.get(code.index()).into_iter().for_each(|counter| add(counter, 1));
    }

    pub(super) fn set_connected(&self, is: bool) {
        self.is_connected.store(is, Ordering::Relaxed);
    }

    pub(super) fn set_in_doubt(&self, is: bool) {
        self.is_in_doubt.store(is, Ordering::Relaxed);
    }

    pub(super) fn set_settings_differ(&self, is: bool) {
        self.settings_differ.store(is, Ordering::Relaxed);
    }

    pub(super) fn set_stale(&self, since_ms: Option<u64>) {
        self.stale.send_if_modified(|stale| {
            // It began when it began.
            let is_other = stale.is_some() != since_ms.is_some();
            if is_other {
                *stale = since_ms;
            }
            is_other
        });
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale.borrow().is_some()
    }
}

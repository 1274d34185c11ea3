//! What a shard holds per connection: 100 to 200 bytes at rest.
//!
//! ```text
//! control         answers, pings, the close frame: they overtake data
//! catch_up        what is sent from the topics instead of from the ring: wants and walks
//! want, walk      what the client lacks of a topic; how far the introduction of a pattern's topics has got
//! subscriptions   what it is subscribed to, and how
//! in_progress     what takes effect in portions: a request to subscribe, or new permissions
//! step            conflation intervals
//! ready           requests whose `ready` is still to be sent
//! ```

mod authorizing;
mod catch_up;
mod control;
mod in_progress;
mod ready;
mod step;
mod subscribing;
mod subscriptions;
mod walk;
mod want;

use std::num::NonZeroU32;

use broker_protocol::frame::Frame;
use smallvec::SmallVec;

pub(crate) use self::authorizing::{Authorizing, Moved, Phase};
pub(crate) use self::catch_up::CatchUp;
pub(crate) use self::control::Control;
pub(crate) use self::in_progress::InProgress;
pub(crate) use self::ready::{Readies, Token};
pub(crate) use self::step::{Step, interval, ladder, step};
pub(crate) use self::subscribing::{Begun, Subscribing};
pub use self::subscriptions::Beginning;
pub(crate) use self::subscriptions::{Asked, Subscription, Subscriptions, Target};
pub(crate) use self::walk::Walk;
pub(crate) use self::want::{At, Introduce, WANT_BYTES, Want};
use super::rates::Messages;
use crate::budget::shared::SHARED_SUMS;

/// A contiguous range of the ring that waits for a connection. Always whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) ring_offset: u64,
    pub(crate) len: u32,
}

impl Run {
    pub(crate) fn end(self) -> u64 {
        self.ring_offset + u64::from(self.len)
    }
}

/// What to do with a connection that does not keep up; see `OnSlow` of the protocol.
pub(crate) use broker_protocol::request::OnSlow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Stays open.
    No,
    /// Would hold too much, and will be closed before the round is over.
    Due,
    /// The close frame is among the control bytes, or already written; nothing will follow it.
    Sent { finished: bool },
}

/// Whether a connection waits for its turn, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// There is nothing to do for it.
    Idle,
    /// It is in one of the queues.
    Queued,
    /// Its socket is full.
    Parked,
    /// Its minimum gap since the last write has not passed.
    Delayed,
}

pub(crate) struct Conn<S> {
    // Fields that marking touches come first.
    /// The last marking pass that handled this connection: an entry is delivered once, however many subscriptions
    /// match.
    pub(crate) marked: u64,
    pub(crate) pending_bytes: u32,
    pub(crate) pending_frames: u32,
    pub(crate) queue_state: QueueState,
    pub(crate) closing: Closing,
    /// More than `behind_bytes` waited for it, and it has not caught up since.
    pub(crate) behind: bool,
    /// It is in the list of connections for which the last entries were too much.
    pub(crate) overflowed: bool,
    /// At least one of its subscriptions has `on_slow: "disconnect"`.
    pub(crate) is_strict: bool,
    /// It is sent its position.
    pub(crate) wants_positions: bool,
    /// Something was sent since its last position.
    pub(crate) position_is_due: bool,
    /// The slot is only kept until its entry in a queue comes up, or until its subscriptions are removed.
    pub(crate) gone: bool,
    /// It is in the list of connections whose subscriptions are removed in portions.
    pub(crate) in_leavers: bool,
    /// It is closing, and what it holds of the budgets is counted as leaving.
    pub(crate) counts_as_leaving: bool,
    /// What is on its runs is being turned into wants, in portions.
    pub(crate) is_falling: bool,
    /// It unsubscribed from something: it may know topics that none of its patterns introduced.
    pub(crate) has_unsubscribed: bool,
    /// It may not subscribe to topics that begin with `$`.
    pub(crate) forbids_reserved: bool,
    pub(crate) runs: SmallVec<[Run; 1]>,
    pub(crate) catch_up: Option<Box<CatchUp>>,
    /// When something first began to wait for it, on the monotonic clock in µs; 0 if nothing waits.
    pub(crate) waiting_since_us: u64,

    pub(crate) carry: Option<Box<(Frame, u32)>>,
    pub(crate) control: Option<Box<Control>>,
    pub(crate) in_progress: Option<Box<InProgress>>,
    pub(crate) readies: Readies,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) next_order: u32,
    pub(crate) session: u64,
    pub(crate) connected_wall_us: u64,
    /// When data or an answer was last sent, for heartbeats; monotonic milliseconds, wrapping.
    pub(crate) last_data_ms: u32,
    pub(crate) last_write_us: u64,
    /// Messages that it was sent and that it sent since the sweep last looked; see `rates`.
    pub(crate) messages: Messages,
    /// Since when it has taken no bytes although something waits, as seen by the sweep.
    pub(crate) stalled_since_ms: Option<NonZeroU32>,
    pub(crate) last_ping_ms: u32,
    pub(crate) pings_unanswered: u8,
    pub(crate) last_position_ms: u32,
    /// Bytes that it buffers, as counted in the budget.
    pub(crate) buffered_bytes: u32,
    /// The size classes under which it is filed among those that may have to pay.
    pub(crate) filed: [u8; SHARED_SUMS],
    pub(crate) sink: S,
}

impl<S> Conn<S> {
    /// Notes that something waits for it from now on, unless something already does.
    #[inline]
    pub(crate) fn begin_waiting(&mut self, now_us: u64) {
        if self.waiting_since_us == 0 {
            self.waiting_since_us = now_us.max(1);
        }
    }

    pub(crate) fn control(&mut self) -> &mut Control {
        self.control.get_or_insert_default()
    }

    pub(crate) fn control_bytes(&self) -> usize {
        self.control.as_ref().map_or(0, |control| control.bytes.len() - control.written)
    }

    /// Whether only answers may be sent: something has taken partial effect and is not answered yet, or the connection
    /// is falling out of step.
    pub(crate) fn is_held(&self) -> bool {
        self.is_falling || self.in_progress.as_ref().is_some_and(|request| request.has_effect())
    }

    pub(crate) fn has_work(&self) -> bool {
        self.carry.is_some()
            || self.control.is_some()
            || !self.runs.is_empty()
            || self.catch_up.is_some()
            || self.in_progress.is_some()
    }

    pub(crate) fn subscription(&self, target: Target) -> Option<&Subscription> {
        self.subscriptions.get(target)
    }

    /// Drops the catch-up state if nothing is left in it.
    pub(crate) fn settle(&mut self) {
        if self.catch_up.as_ref().is_some_and(|catch_up| catch_up.is_empty()) {
            self.catch_up = None;
            self.behind = false;
        }
    }
}

//! What a shard holds per connection: 100 to 200 bytes at rest.

use std::collections::{BTreeMap, VecDeque};

use broker_protocol::frame::{self, Frame};
use smallvec::SmallVec;

use super::catch_up::{At, Introduce, Want};
pub(crate) use super::subscriptions::{Subscription, Subscriptions, Target};
use super::walk::Walk;
use crate::topic::TopicId;

/// A contiguous range of the ring that waits for a connection. Always whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) at: u64,
    pub(crate) len: u32,
}

impl Run {
    pub(crate) fn end(self) -> u64 {
        self.at + u64::from(self.len)
    }
}

/// A place on the ladder of intervals, 0 for every update.
pub(crate) type Step = u8;

/// What to do for a connection that does not keep up; see `OnSlow` of the protocol.
pub(crate) use broker_protocol::request::OnSlow;

/// Answers, pings and the close frame: bytes of whole frames, the first `written` of which are gone.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
}

impl Control {
    /// Drops what was not written of it, but for the rest of a half-written frame.
    pub(crate) fn drop_unsent(&mut self) {
        let mut end = 0;
        while end < self.written {
            end += frame::first_len(&self.bytes[end..]);
        }
        self.bytes.truncate(end);
        self.bytes.drain(..self.written);
        self.bytes.shrink_to_fit();
        self.written = 0;
    }
}

/// What a connection gets from the topics instead of from the ring.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    pub(crate) wants: BTreeMap<TopicId, Want>,
    pub(crate) walks: Vec<Walk>,
    /// Where the next turn begins, so that topics take turns too.
    pub(crate) cursor: TopicId,
    /// Bytes that came in meanwhile for topics in `wants`.
    pub(crate) swallowed_bytes: u64,
    pub(crate) swallowed_updates: u64,
    /// The wants that only swallow, by the place in the feed at which they are over. It rises.
    expiry: VecDeque<(u64, TopicId)>,
}

impl CatchUp {
    pub(crate) fn is_empty(&self) -> bool {
        self.wants.is_empty() && self.walks.is_empty()
    }

    /// About how many wants there are of which something is still to be sent: those that only swallow wait for the feed.
    pub(crate) fn unsent(&self) -> usize {
        self.wants.len().saturating_sub(self.expiry.len())
    }

    /// Puts a want in, in place of any of the same topic.
    pub(crate) fn want(&mut self, want: Want) {
        let topic = want.topic.id();
        self.expires(topic, want.at, want.introduce);
        self.wants.insert(topic, want);
    }

    /// A want goes on at `at`; what it had to introduce is.
    pub(crate) fn go_on(&mut self, topic: TopicId, at: At) -> Option<&mut Want> {
        let want = self.wants.get_mut(&topic)?;
        (want.at, want.introduce) = (at, Introduce::No);
        self.expires(topic, at, Introduce::No);
        self.wants.get_mut(&topic)
    }

    fn expires(&mut self, topic: TopicId, at: At, introduce: Introduce) {
        if let At::After { place, .. } = at
            && introduce == Introduce::No
        {
            self.expiry.push_back((place, topic));
        }
    }

    /// Lets go of wants whose only task was to swallow what the shard has read by now.
    pub(crate) fn expire(&mut self, read: u64) {
        while let Some((place, topic)) = self.expiry.front().copied()
            && place <= read
        {
            self.expiry.pop_front();
            let over = |want: &Want| matches!(want.at, At::After { place, .. } if place <= read);
            if self.wants.get(&topic).is_some_and(|want| want.introduce == Introduce::No && over(want)) {
                self.wants.remove(&topic);
            }
        }
        if self.expiry.capacity() > 64 && self.expiry.len() < self.expiry.capacity() / 4 {
            self.expiry.shrink_to(self.expiry.len() * 2);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Stays open.
    No,
    /// Would hold too much, and is told to go before the round is over.
    Due,
    /// The close frame is among the control bytes, or already written; nothing else will be.
    Sent { finished: bool },
}

/// Whether and where a connection waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing to do for it.
    Rest,
    /// In the FIFO.
    Queued,
    /// Its socket is full.
    Parked,
    /// Among those whose minimum gap since the last write has not passed.
    Delayed,
}

pub(crate) struct Conn<S> {
    // What marking touches comes first.
    /// The last pass that dealt with this connection: an entry is delivered once, however many subscriptions match.
    pub(crate) marked: u64,
    pub(crate) pending_bytes: u32,
    pub(crate) pending_frames: u32,
    pub(crate) place: Place,
    pub(crate) closing: Closing,
    /// More than `behind_bytes` waited for it, and it has not caught up since.
    pub(crate) behind: bool,
    /// It is among those for whom the last entries were too much.
    pub(crate) overflowed: bool,
    /// Some subscription of it said `on_slow: "disconnect"`.
    pub(crate) is_strict: bool,
    /// It is told its position in the broker's order.
    pub(crate) positions: bool,
    /// Something went out since it was told last.
    pub(crate) unpositioned: bool,
    /// The slot only waits for its place in the FIFO to come by, or for its subscriptions to be left.
    pub(crate) gone: bool,
    /// It is among those whose subscriptions are left in portions.
    pub(crate) in_leavers: bool,
    /// What it holds of the sums goes with it, as they know.
    pub(crate) leaves_budgets: bool,
    /// What is on its runs is becoming wants, in portions.
    pub(crate) is_falling: bool,
    /// It unsubscribed from something: it may know topics that none of its patterns introduced.
    pub(crate) has_left: bool,
    /// Topics that begin with `$` are not for it.
    pub(crate) no_reserved: bool,
    pub(crate) runs: SmallVec<[Run; 1]>,
    pub(crate) catch_up: Option<Box<CatchUp>>,
    /// When what waits first began to wait, on the monotonic clock in µs; 0 where nothing does.
    pub(crate) waiting_since_us: u64,

    pub(crate) carry: Option<Box<(Frame, u32)>>,
    pub(crate) control: Option<Box<Control>>,
    pub(crate) subscribing: Option<Box<super::subscribe::Subscribing>>,
    pub(crate) readies: super::ready::Readies,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) next_order: u32,
    pub(crate) session: u64,
    pub(crate) connected_wall_us: u64,
    /// Monotonic milliseconds, wrapping.
    /// When data or an answer last went out, for heartbeats.
    pub(crate) last_data_ms: u32,
    pub(crate) last_write_us: u64,
    /// Since when it has taken no byte although something waits, as the sweep saw it.
    pub(crate) stalled_since_ms: Option<u32>,
    pub(crate) last_ping_ms: u32,
    pub(crate) pings_unanswered: u8,
    pub(crate) last_position_ms: u32,
    /// What it buffers, as the sum was told.
    pub(crate) buffered_bytes: u32,
    /// The size classes by which it is filed among those who may have to pay.
    pub(crate) filed: [u8; super::payers::PURSES],
    pub(crate) sink: S,
}

impl<S> Conn<S> {
    pub(crate) fn control(&mut self) -> &mut Vec<u8> {
        &mut self.control.get_or_insert_default().bytes
    }

    pub(crate) fn control_bytes(&self) -> usize {
        self.control.as_ref().map_or(0, |control| control.bytes.len() - control.written)
    }

    /// Nothing but answers goes out: a request has taken effect in part and is not answered yet, or the connection is falling
    /// out of step.
    pub(crate) fn is_held(&self) -> bool {
        self.is_falling || self.subscribing.as_ref().is_some_and(|request| request.has_effect())
    }

    pub(crate) fn has_work(&self) -> bool {
        self.carry.is_some()
            || self.control.is_some()
            || !self.runs.is_empty()
            || self.catch_up.is_some()
            || self.subscribing.is_some()
    }

    pub(crate) fn subscription(&self, target: Target) -> Option<&Subscription> {
        self.subscriptions.get(target)
    }

    /// Lets go of the catch-up where nothing is left of it.
    pub(crate) fn settle(&mut self) {
        if self.catch_up.as_ref().is_some_and(|catch_up| catch_up.is_empty()) {
            self.catch_up = None;
            self.behind = false;
        }
    }
}

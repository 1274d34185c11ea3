//! Views: one topic at one interval, for all subscribers that asked for at most one message per interval.
//!
//! The first change of a quiet topic is sent at once; after that at most one message per interval, each with the newest
//! state. The message is encoded once for all members: the image, or the difference since the last message if the topic
//! has patches and the difference is smaller. A difference only fits a member that has exactly the last message; a
//! member that got an image of its own since then gets an image again.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::conn::{Step, ladder};
use super::mark::Mark;
use super::pages::Pages;
use super::visit::Which;
use super::{ConnId, NameId, Shard, ViewId};
use crate::fault::{self, Fault};
use crate::image::Tree;
use crate::sink::Sink;
use crate::topic::{StateSnapshot, Topic};

/// Maximum number of due views that are sent in one round.
const VIEWS_PER_ROUND: usize = fault::bound(64, 1);
/// Maximum number of subscribers visited for them, not counting the last view's.
const VISITS_PER_ROUND: usize = fault::bound(65_536, 4);

pub(crate) struct View {
    pub(crate) name_id: NameId,
    pub(crate) step: Step,
    /// The `seq` of the last message; all members except those in `ahead` have exactly that.
    pub(crate) sent_seq: u64,
    /// The state of the last message, if differences may be needed.
    sent: Option<Tree>,
    sent_us: Option<u64>,
    /// When the next message is due; `None` if nothing changed since the last.
    pub(crate) due_us: Option<u64>,
    /// Members that got an image of their own which is newer than the last message, with its `seq`.
    pub(crate) ahead: HashMap<ConnId, u64, RandomState>,
    /// Their states, if differences may be needed: so they get a difference next, as the others do.
    ahead_states: Vec<(u64, Tree)>,
    /// What the states hold, as counted in the budget.
    counted: u64,
}

/// Maximum number of states of members that are ahead of their view; the other members get an image instead of a
/// difference.
const AHEAD_STATES_MAX: usize = 4;

/// The views of a shard, and when each is due.
#[derive(Default)]
pub(super) struct Views {
    views: Pages<View>,
    due: BTreeSet<(u64, ViewId)>,
}

impl Index<ViewId> for Views {
    type Output = View;

    fn index(&self, id: ViewId) -> &View {
        &self.views[id]
    }
}

impl IndexMut<ViewId> for Views {
    fn index_mut(&mut self, id: ViewId) -> &mut View {
        &mut self.views[id]
    }
}

impl Views {
    /// Adds a view of a name at a step, of which nothing has been sent yet.
    fn insert(&mut self, name_id: NameId, step: Step) -> ViewId {
        self.views.insert(View {
            name_id,
            step,
            sent_seq: 0,
            sent: None,
            sent_us: None,
            due_us: None,
            ahead: HashMap::default(),
            ahead_states: Vec::new(),
            counted: 0,
        }) as ViewId
    }

    fn remove(&mut self, id: ViewId) -> Option<View> {
        self.set_due(id, None);
        self.views.remove(id)
    }

    /// Sets when a view is due next; `None` if nothing changed since its last message.
    fn set_due(&mut self, id: ViewId, due_us: Option<u64>) {
        let Some(view) = self.views.get_mut(id) else { return };
        if let Some(old) = std::mem::replace(&mut view.due_us, due_us) {
            self.due.remove(&(old, id));
        }
        if let Some(new) = due_us {
            self.due.insert((new, id));
        }
    }

    /// The view that is due first, and when, on the monotonic clock in µs.
    pub(super) fn next_due(&self) -> Option<(u64, ViewId)> {
        self.due.first().copied()
    }

    /// Forgets what a leaving member got on its own.
    pub(super) fn forget_member(&mut self, views: &[ViewId], conn: ConnId) {
        for view in views {
            self.views[*view].ahead.remove(&conn);
        }
    }
}

impl<S: Sink> Shard<S> {
    /// Returns the view of a name at a step, creating it if necessary.
    pub(super) fn view(&mut self, name_id: NameId, step: Step) -> ViewId {
        let views = &self.views;
        let held = &self.follows.names[name_id].views;
        if let Some(view) = held.iter().find(|view| views[**view].step == step) {
            return *view;
        }
        let id = self.views.insert(name_id, step);
        self.follows.names[name_id].views.push(id);
        id
    }

    /// Drops a view that its name has already forgotten.
    pub(super) fn drop_view(&mut self, id: ViewId) {
        let Some(view) = self.views.remove(id) else { return };
        self.engine.budget.bases.change(view.counted, 0);
    }

    /// Notes that a connection got the image `seq` on its own; with its state if differences may be needed.
    pub(super) fn joined_view(&mut self, conn: ConnId, topic: &Arc<Topic>, step: Step, seq: u64, state: Option<Tree>) {
        let Some(name_id) = self.follows.named(topic.name()) else { return };
        if self.follows.names[name_id].topic.as_ref().is_none_or(|held| !Arc::ptr_eq(held, topic)) {
            return;
        }
        let id = self.view(name_id, step);
        let view = &mut self.views[id];
        if view.sent_seq == 0 && view.sent_us.is_none() && view.due_us.is_none() {
            // Nothing was sent yet: the view starts from here.
            (view.sent_seq, view.sent) = (seq, state);
        } else if seq > view.sent_seq {
            view.ahead.insert(conn, seq);
            let is_held = view.ahead_states.iter().any(|(held, _)| *held == seq);
            if let Some(state) = state.filter(|_| !is_held && view.ahead_states.len() < AHEAD_STATES_MAX) {
                view.ahead_states.push((seq, state));
            }
        }
        self.count_view(id);
    }

    /// Counts the states that a view holds; if that would be too much they are dropped, and images are sent instead of
    /// differences.
    fn count_view(&mut self, id: ViewId) {
        let (view, budget) = (&mut self.views[id], &self.engine.budget);
        let states = view.sent.iter().chain(view.ahead_states.iter().map(|(_, state)| state));
        let bytes = states.map(|state| state.held_bytes() as u64).sum();
        let max = self.engine.limits.images_encoded_bytes_max().saturating_sub(budget.encoded());
        if budget.bases.try_change(view.counted, bytes, max) {
            view.counted = bytes;
        } else {
            budget.bases.change(view.counted, 0);
            (view.sent, view.ahead_states, view.counted) = (None, Vec::new(), 0);
        }
    }

    /// Handles the topic's newest update, which the shard just took in, for the views at these steps.
    pub(super) fn changed(&mut self, name_id: NameId, steps: u16, seq: u64, now_us: u64) {
        for step in (1..16).filter(|step| steps & 1 << step != 0) {
            let id = self.view(name_id, step);
            let view = &mut self.views[id];
            if seq <= view.sent_seq || view.due_us.is_some() {
                continue;
            }
            let interval_us = u64::from(ladder(step)) * 1000;
            let due = view.sent_us.map_or(now_us, |sent| sent + interval_us);
            if due <= now_us {
                self.emit(id, now_us);
            } else if !fault::strikes(Fault::ViewLosesLastUpdate) {
                self.views.set_due(id, Some(due));
            }
        }
    }

    /// Sends the views that are due, as far as this round's work allows. Returns whether more are already due.
    pub(super) fn views_due(&mut self, now_us: u64) -> bool {
        self.visits.count = 0;
        for _ in 0..VIEWS_PER_ROUND {
            match self.views.next_due() {
                Some((due, id)) if due <= now_us => {
                    if self.work.is_spent() || self.visits.count > VISITS_PER_ROUND {
                        return true;
                    }
                    self.emit(id, now_us);
                }
                _ => return false,
            }
        }
        true
    }

    /// Sends the newest state to the members that lack it.
    pub(super) fn emit(&mut self, id: ViewId, now_us: u64) {
        self.views.set_due(id, None);
        let view = &mut self.views[id];
        let (name_id, step, sent_seq) = (view.name_id, view.step, view.sent_seq);
        let encoded_max = self.engine.limits.images_encoded_bytes_max();
        let Some(topic) = self.follows.names[name_id].topic.clone() else { return };
        if self.follows.steps(name_id) & 1 << step == 0 {
            self.follows.names[name_id].views.retain(|held| *held != id);
            self.drop_view(id);
            return;
        }
        let Some(now) = topic.snapshot() else { return };
        let seq = now.seq;
        if seq <= sent_seq {
            return;
        }
        let view = &mut self.views[id];
        let ahead = std::mem::take(&mut view.ahead);
        let mut bases = std::mem::take(&mut view.ahead_states);
        bases.extend(view.sent.take().map(|state| (sent_seq, state)));
        (view.sent_seq, view.sent_us) = (seq, Some(now_us));
        view.sent = now.has_patches.then(|| now.tree.clone());
        self.count_view(id);
        // By the `seq` that a member has: the difference since then, if there is one.
        let mut messages: SmallVec<[(u64, ViewMessage); 2]> = SmallVec::new();
        for (has, state) in bases {
            if has >= seq || !now.has_patches {
                continue;
            }
            if let Some(frame) = self.difference(&topic, &now, has, &state) {
                let len = frame.len();
                messages
                    .push((has, ViewMessage { in_ring: self.put(&topic, has + 1, true, &frame), len, first: has + 1 }));
            }
        }
        // If there is no difference since the last message, all members that have just that get the image.
        let is_covered = |has: u64| messages.iter().any(|(base, _)| *base == has);
        if !is_covered(sent_seq) {
            if !now.is_encoded() {
                self.work.charge_bytes(now.tree.bytes());
            }
            let frame = topic.image_frame(&now, encoded_max);
            let (first, len) = (sent_seq + 1, frame.len());
            messages.push((sent_seq, ViewMessage { in_ring: self.put(&topic, first, true, &frame), len, first }));
        }
        let mut mark = Mark {
            ring_offset: 0,
            len: 0,
            joins: false,
            topic: &topic,
            name: topic.name(),
            seq,
            first: seq,
            oldest: 0,
            taken_us: now_us,
            end_bytes: u64::MAX,
            closes: false,
        };
        let mut apart = Vec::new();
        self.each_member(name_id, Which::Conflated, |marker, conn, via, own_step| {
            let has = ahead.get(&conn).copied().unwrap_or(sent_seq);
            if own_step != step || has >= seq {
                return;
            }
            match messages.iter().find(|(base, _)| *base == has) {
                Some((_, ViewMessage { in_ring: Some((ring_offset, joins)), len, first })) => {
                    (mark.ring_offset, mark.joins, mark.len, mark.first) = (*ring_offset, *joins, *len as u32, *first);
                    marker.mark(conn, via, &mark);
                }
                // It gets the image through the topic.
                _ => apart.push((conn, via, has + 1)),
            }
        });
        mark.len = 0;
        for (conn, via, first) in apart {
            mark.first = first;
            self.deliver_through_topic(conn, via, &mark, true);
        }
        self.settle_overflow(now_us);
    }

    /// The difference since the state of `has`, as a frame, if there is one that is smaller than the image.
    fn difference(&self, topic: &Topic, now: &StateSnapshot, has: u64, state: &Tree) -> Option<Frame> {
        let mut patch = Vec::new();
        let is_expressible = Tree::diff(state, &now.tree, &mut patch);
        self.work.charge_bytes(patch.len());
        if !is_expressible || patch.len() >= now.tree.bytes() {
            return None;
        }
        let mut scratch = Vec::with_capacity(patch.len() + topic.name().len() + 128);
        let from = (has + 1 < now.seq).then_some(has + 1);
        Some(Frame::encode(&mut scratch, |out| {
            message::update(out, Kind::Patch, topic.name(), now.seq, from, now.ts, now.source_ts, |out| {
                out.extend_from_slice(&patch);
            });
        }))
    }
}

/// A view's message: where it is in the ring, if it fits there, and the first `seq` that it covers.
struct ViewMessage {
    in_ring: Option<(u64, bool)>,
    len: usize,
    first: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_due_once_and_not_after_it_is_gone() {
        let mut views = Views::default();
        let (one, other) = (views.insert(7, 1), views.insert(7, 2));
        views.set_due(one, Some(30));
        views.set_due(other, Some(20));
        views.set_due(other, Some(40));
        assert_eq!((views.next_due(), views[other].due_us), (Some((30, one)), Some(40)));
        views.set_due(one, None);
        assert_eq!(views.next_due(), Some((40, other)));
        assert!(views.remove(other).is_some() && views.remove(other).is_none());
        assert_eq!(views.next_due(), None);
    }
}

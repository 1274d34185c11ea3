//! Views: one topic at one interval, for all who asked for at most one message per interval.
//!
//! The first change of a quiet topic goes at once; then at most one per interval, each with the newest state. The message
//! is encoded once for all members: the image, or where patches made it and it is smaller the difference since the last.
//! A difference fits only who has exactly the last; who got an image of his own since then gets an image again.

use std::collections::HashMap;
use std::sync::Arc;

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message;
use foldhash::fast::RandomState;

use super::catch_up::ladder;
use super::connection::Step;
use super::deliver::Mark;
use super::{ConnId, LocalId, Shard, ViewId};
use crate::fault::{self, Fault};
use crate::image::Tree;
use crate::sink::Sink;
use crate::topic::{Snapshot, Topic};

/// Views that come due in one round at most.
const VIEWS_PER_ROUND: usize = fault::bound(64, 1);

pub(crate) struct View {
    pub(crate) local: LocalId,
    pub(crate) step: Step,
    /// The `seq` of the last message; all members but those in `ahead` have exactly that.
    pub(crate) sent_seq: u64,
    /// The state of the last message, where differences may be asked for.
    sent: Option<Tree>,
    sent_us: Option<u64>,
    /// When the next message is due; `None` where nothing changed since the last.
    pub(crate) due_us: Option<u64>,
    /// Members that got an image of their own, and its `seq`.
    pub(crate) ahead: HashMap<ConnId, u64, RandomState>,
}

impl<S: Sink> Shard<S> {
    /// The view of a name at a step, made where there is none.
    pub(super) fn view(&mut self, local: LocalId, step: Step) -> ViewId {
        let views = &self.views;
        let held = &self.locals[local].views;
        if let Some(view) = held.iter().find(|view| views[**view].step == step) {
            return *view;
        }
        let id = self.views.insert(View {
            local,
            step,
            sent_seq: 0,
            sent: None,
            sent_us: None,
            due_us: None,
            ahead: HashMap::default(),
        }) as ViewId;
        self.locals[local].views.push(id);
        id
    }

    /// The view is no more; its local has forgotten it already.
    pub(super) fn drop_view(&mut self, id: ViewId) {
        let Some(view) = self.views.remove(id) else { return };
        if let Some(due) = view.due_us {
            self.due.remove(&(due, id));
        }
    }

    /// A connection got the image `seq` on its own.
    pub(super) fn joined_view(&mut self, conn: ConnId, topic: &Arc<Topic>, step: Step, seq: u64) {
        let Some(local) = self.by_name.get(topic.name()).copied() else { return };
        if self.locals[local].topic.as_ref().is_none_or(|held| !Arc::ptr_eq(held, topic)) {
            return;
        }
        let view = self.view(local, step);
        self.views[view].ahead.insert(conn, seq);
    }

    /// The topic's newest update, which the shard just took in, concerns the views of these steps.
    pub(super) fn changed(&mut self, local: LocalId, steps: u16, seq: u64, now_us: u64) {
        for step in (1..16).filter(|step| steps & 1 << step != 0) {
            let id = self.view(local, step);
            let view = &mut self.views[id];
            if seq <= view.sent_seq || view.due_us.is_some() {
                continue;
            }
            let interval_us = u64::from(ladder(step)) * 1000;
            let due = view.sent_us.map_or(now_us, |sent| sent + interval_us);
            if due <= now_us {
                self.emit(id, now_us);
            } else if !fault::strikes(Fault::ViewLosesLastUpdate) {
                view.due_us = Some(due);
                self.due.insert((due, id));
            }
        }
    }

    /// Sends what is due. Returns whether more is due already.
    pub(super) fn views_due(&mut self, now_us: u64) -> bool {
        for _ in 0..VIEWS_PER_ROUND {
            match self.due.first() {
                Some((due, id)) if *due <= now_us => {
                    let id = *id;
                    self.emit(id, now_us);
                }
                _ => return false,
            }
        }
        true
    }

    /// Sends the newest state to the members, where they lack it.
    pub(super) fn emit(&mut self, id: ViewId, now_us: u64) {
        let view = &mut self.views[id];
        if let Some(due) = view.due_us.take() {
            self.due.remove(&(due, id));
        }
        let (local_id, step, sent_seq) = (view.local, view.step, view.sent_seq);
        let Some(topic) = self.locals[local_id].topic.clone() else { return };
        if self.steps(&self.locals[local_id]) & 1 << step == 0 {
            self.locals[local_id].views.retain(|held| *held != id);
            self.drop_view(id);
            return;
        }
        let Some(now) = topic.snapshot() else { return };
        let seq = now.seq;
        if seq <= sent_seq {
            return;
        }
        let difference = if now.has_patches { self.difference(id, &topic, &now) } else { None };
        let view = &mut self.views[id];
        let ahead = std::mem::take(&mut view.ahead);
        (view.sent_seq, view.sent_us) = (seq, Some(now_us));
        view.sent = now.has_patches.then(|| now.tree.clone());
        // With a difference only who lacks its base needs the image.
        let image = (difference.is_none() || !ahead.is_empty()).then(|| topic.image_frame(&now));
        let first = sent_seq + 1;
        let difference = difference.map(|frame| (self.put(&topic, first, true, &frame), frame.len()));
        let image = image.map(|frame| (self.put(&topic, first, true, &frame), frame.len()));
        let mut mark = Mark {
            at: 0,
            len: 0,
            joins: false,
            topic: &topic,
            name: topic.name(),
            seq,
            oldest: 0,
            taken_us: now_us,
            end_bytes: u64::MAX,
            closes: false,
        };
        let mut too_large = Vec::new();
        self.each_member(local_id, |marker, conn, via, own_step| {
            let has = ahead.get(&conn);
            if own_step != step || has.is_some_and(|has| *has >= seq) {
                return;
            }
            let message = if has.is_none() { difference.as_ref().or(image.as_ref()) } else { image.as_ref() };
            match message {
                Some((Some((at, joins)), len)) => {
                    (mark.at, mark.joins, mark.len) = (*at, *joins, *len as u32);
                    marker.mark(conn, via, &mark);
                }
                Some((None, _)) => too_large.push((conn, via)),
                None => {}
            }
        });
        mark.len = 0;
        for (conn, via) in too_large {
            self.want_instead(conn, via, &mark, true);
        }
        self.settle_overflow(now_us);
    }

    /// The difference since the view's last message, as a frame, where there is one and it is smaller than the image.
    fn difference(&mut self, id: ViewId, topic: &Topic, now: &Snapshot) -> Option<Frame> {
        let view = &self.views[id];
        let mut patch = Vec::new();
        if !Tree::diff(view.sent.as_ref()?, &now.tree, &mut patch) || patch.len() >= now.tree.bytes() {
            return None;
        }
        let mut payload = Vec::with_capacity(patch.len() + 128);
        let from = (view.sent_seq + 1 < now.seq).then_some(view.sent_seq + 1);
        message::update(&mut payload, Kind::Patch, topic.name(), now.seq, from, now.ts, now.source_ts, |out| {
            out.extend_from_slice(&patch);
        });
        Some(Frame::text(&payload))
    }
}

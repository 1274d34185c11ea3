//! Putting frames onto runs, and taking them off again when a connection falls out of step.

use broker_protocol::message::GapReason;

use super::conn::{At, Conn, Introduce, OnSlow, Subscription, Want};
use super::follows::Resolved;
use super::mark::{Mark, Via, may_mark};
use super::{ConnId, GroupId, Shard};
use crate::budget::shared::SharedSum;
use crate::sink::Sink;

impl<S: Sink> Shard<S> {
    /// The connection's most specific subscription that covers a name; the latest of equally specific ones.
    pub(super) fn resolve(&self, conn: &Conn<S>, name: &str) -> Option<Resolved> {
        self.resolve_as(conn, name, |_, held| Some(held.order))
    }

    /// The same, with `order_of` deciding among equally specific patterns; `None` excludes a pattern.
    pub(super) fn resolve_as(
        &self,
        conn: &Conn<S>,
        name: &str,
        order_of: impl Fn(GroupId, &Subscription) -> Option<u32>,
    ) -> Option<Resolved> {
        let (resolved, steps) = self.follows.resolve(&conn.subscriptions, name, order_of);
        self.work.charge(steps);
        resolved
    }

    /// Whether the subscription that covers a name says `on_slow: "disconnect"`.
    pub(super) fn is_strict(&self, id: ConnId, name: &str) -> bool {
        self.resolve(&self.conns[id], name).is_some_and(|resolved| resolved.on_slow == OnSlow::Disconnect)
    }

    /// Delivers a frame that is too large for the ring through its topic, as a want.
    pub(super) fn deliver_through_topic(&mut self, id: ConnId, via: Via, mark: &Mark<'_>, merged: bool) {
        let behind_bytes = self.engine.limits.behind_bytes();
        let conn = &mut self.conns[id];
        if conn.is_leaving() {
            return;
        }
        if conn.catch_up.is_some() && !may_mark(conn, id, via, mark, behind_bytes, &mut self.departures) {
            return;
        }
        self.stats.detours.add(1);
        // What already waits of the topic must be sent before it.
        let pending = conn.runs.iter().any(|run| {
            self.ring.slots(run.ring_offset, run.len as usize).any(|slot| slot.topic.id() == mark.topic.id())
        });
        if pending {
            self.fall_out(id);
            if self.conns[id].is_leaving() {
                return;
            }
        }
        let Some(name_id) = self.follows.named(mark.name) else { return };
        let strict = self.conns[id].is_strict && self.is_strict(id, mark.name);
        let conn = &mut self.conns[id];
        let catch_up = conn.catch_up.get_or_insert_default();
        if !catch_up.wants.contains_key(&mark.topic.id()) {
            let after = self.follows.names[name_id].unfinished(catch_up, mark.topic);
            catch_up.want(Want {
                introduce: if mark.seq == 0 { Introduce::Begins } else { Introduce::No },
                after,
                strict,
                ..Want::new(
                    mark.topic.clone(),
                    if merged { At::Image(mark.first) } else { At::From(mark.seq.max(1)) },
                    GapReason::Slow,
                )
            });
        }
        self.enqueue(id, mark.taken_us);
        self.file(id, SharedSum::Wants);
    }
}

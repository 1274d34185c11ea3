//! Taking in: feed entries, in order, onto the runs of the connections that they concern.

use std::sync::Arc;

use broker_protocol::kind::Kind;

use super::conn::{Step, ladder};
use super::mark::{Mark, Via};
use super::visit::Which;
use super::{ConnId, LocalId, Shard};
use crate::clock::Now;
use crate::engine::begins_frame;
use crate::fault::{self, Fault};
use crate::feed::{Entry, What};
use crate::sink::Sink;
use crate::topic::Topic;

/// Maximum number of entries taken in before connections get their turns again.
pub(crate) const ENTRIES_PER_TAKE_IN: usize = fault::bound(1024, 3);
/// Maximum number of subscribers visited for them, not counting the last entry's: about a millisecond's work.
const VISITS_PER_TAKE_IN: usize = fault::bound(65_536, 4);

impl<S: Sink> Shard<S> {
    /// Begins a round: takes in up to [`ENTRIES_PER_TAKE_IN`] entries. Returns whether more are available.
    pub fn take_in(&mut self, now: Now) -> bool {
        self.work.renew();
        self.settle_overflow(now.mono_us);
        self.evict_ahead();
        let mut more = true;
        let mut taken = 0;
        self.visits.count = 0;
        // Only a part of the ring, so that it does not overtake readers before their turn.
        let ring_end = self.ring.head() + self.ring.round_bytes();
        for _ in 0..ENTRIES_PER_TAKE_IN {
            if self.must_settle_first() {
                break;
            }
            let Some(entry) = self.reader.peek() else {
                more = false;
                break;
            };
            if entry.interest & self.bit == 0 {
                taken += 1;
                self.reader.advance();
                continue;
            }
            let entry = entry.clone();
            if self.must_wait_for_room(entry.frame.len()) || self.must_let_go_first() {
                break;
            }
            taken += 1;
            self.reader.advance();
            if fault::strikes(Fault::OrderAcrossTopics) {
                self.take_next_first(&entry);
            }
            match &entry.what {
                What::Update => self.take_update(&entry),
                What::Begins(topic) => self.take_beginning(&entry, topic),
                What::Closed(topic) => self.take_end(&entry, topic, now),
            }
            if !self.evictions.overflowed.is_empty() {
                self.settle_overflow(now.mono_us);
            }
            if self.visits.count > VISITS_PER_TAKE_IN || self.ring.head() > ring_end {
                break;
            }
        }
        if taken > 0 {
            self.reader.publish_progress(&self.engine.feed);
            self.stats.entries.add(taken);
        }
        // Connections that are falling out of step have to finish that, even if nothing more comes.
        more || self.is_evicting()
    }

    /// A planted fault: swaps the entry with the next one.
    fn take_next_first(&mut self, entry: &Entry) {
        let Some(next) = self.reader.peek().cloned() else { return };
        let updates = matches!((&entry.what, &next.what), (What::Update, What::Update));
        if updates && next.topic != entry.topic && next.interest & self.bit != 0 {
            self.reader.advance();
            self.take_update(&next);
        }
    }

    fn take_update(&mut self, entry: &Entry) {
        let Some(local_id) = self.follows.of_topic(entry.topic) else { return };
        let local = &mut self.follows.locals[local_id];
        let Some(topic) = local.topic.clone() else { return };
        local.read_seq = local.read_seq.max(entry.seq);
        let merged = topic.kind() != Kind::Event;
        let steps = if merged { self.follows.steps(local_id) } else { 0 };
        if !merged || self.follows.has_plain(local_id) {
            self.give(local_id, &topic, entry, |step| step == 0 || !merged);
        }
        if steps != 0 {
            self.changed(local_id, steps, entry.seq, entry.taken_us);
        }
    }

    /// Delivers an entry's frame to the members at the steps that it is meant for.
    fn give(&mut self, local_id: LocalId, topic: &Arc<Topic>, entry: &Entry, wanted: impl Fn(Step) -> bool) {
        let place = self.put(topic, entry.seq, false, &entry.frame);
        let (at, joins) = place.unwrap_or_default();
        let mark = Mark {
            at,
            len: entry.frame.len() as u32,
            joins,
            topic,
            name: topic.name(),
            seq: entry.seq,
            first: entry.seq,
            oldest: entry.oldest,
            taken_us: entry.taken_us,
            end_bytes: entry.end_bytes,
            closes: matches!(entry.what, What::Closed(_)),
        };
        if place.is_none() {
            let mut concerned: Vec<(ConnId, Via)> = Vec::new();
            self.each_member(local_id, Which::All, |_, conn, via, step| {
                if wanted(step) {
                    concerned.push((conn, via));
                }
            });
            for (conn, via) in concerned {
                self.want_instead(conn, via, &mark, false);
            }
            return;
        }
        self.each_member(local_id, Which::All, |marker, conn, via, step| {
            if wanted(step) {
                marker.mark(conn, via, &mark);
            }
        });
    }

    /// A topic began: connections that wait for its name, and those whose patterns match it, are sent that.
    fn take_beginning(&mut self, entry: &Entry, topic: &Arc<Topic>) {
        let local_id = match self.follows.named(topic.name()) {
            Some(local) => local,
            None => {
                if self.matching(topic.name()).is_empty() || fault::strikes(Fault::PatternMissesTopic) {
                    topic.lock().interest &= !self.bit;
                    return;
                }
                // The directory may hold a later incarnation by now: this one's end is still to be read then.
                self.insert_local(topic.name().clone())
            }
        };
        if self.follows.locals[local_id].topic.is_none() {
            self.attach(local_id, topic.clone());
        }
        // The connection for which the shard began to follow it has it from the topic; the others wait for this entry.
        // If the shard follows another incarnation, or this one ended while nobody here was interested, nothing is
        // sent.
        if self.follows.locals[local_id].topic.as_ref().is_none_or(|held| !Arc::ptr_eq(held, topic)) {
            return;
        }
        // Patterns subscribed to while the name had no topic did not find it in the directory.
        if !fault::strikes(Fault::PatternMissesTopic) {
            self.link_all(local_id);
        }
        let tail = self.ring.tail();
        self.follows.locals[local_id].prune(tail);
        self.give_beginning(local_id, topic, entry, |step| step == 0 || !topic.has_image());
        if topic.has_image() {
            let steps = self.follows.steps(local_id);
            for own in (1..16).filter(|step| steps & 1 << step != 0) {
                let frame = begins_frame(topic, ladder(own));
                let entry = Entry { frame, ..entry.clone() };
                self.give_beginning(local_id, topic, &entry, |step| step == own);
            }
        }
    }

    /// A connection that falls out of step to make room for the frame may have the ended incarnation pending, which
    /// comes first.
    fn give_beginning(&mut self, local_id: LocalId, topic: &Arc<Topic>, entry: &Entry, wanted: impl Fn(Step) -> bool) {
        self.make_room(entry.frame.len());
        self.queue_behind_previous(local_id, entry, topic);
        self.give(local_id, topic, entry, wanted);
    }

    /// Connections that have not caught up with an ended incarnation get the new one after it.
    fn queue_behind_previous(&mut self, local_id: LocalId, entry: &Entry, topic: &Arc<Topic>) {
        if self.follows.locals[local_id].previous.is_empty() {
            return;
        }
        let mut behind: Vec<(ConnId, Via)> = Vec::new();
        self.each_member(local_id, Which::All, |marker, conn, via, _| {
            if marker.conns[conn].catch_up.is_some() {
                behind.push((conn, via));
            }
        });
        let local = &self.follows.locals[local_id];
        behind.retain(|(conn, _)| {
            let catch_up = self.conns[*conn].catch_up.as_deref();
            catch_up.is_some_and(|catch_up| local.unfinished(catch_up, topic).is_some())
        });
        let mark = Mark {
            at: 0,
            len: 0,
            joins: false,
            topic,
            name: topic.name(),
            seq: 0,
            first: 0,
            oldest: 1,
            taken_us: entry.taken_us,
            end_bytes: entry.end_bytes,
            closes: matches!(entry.what, What::Closed(_)),
        };
        for (conn, via) in behind {
            self.want_instead(conn, via, &mark, false);
        }
    }

    /// A topic ended: views send what they still hold, then every subscriber is sent the end.
    fn take_end(&mut self, entry: &Entry, topic: &Arc<Topic>, now: Now) {
        self.give_end(entry, now);
        if topic.end_was_read(self.bit) {
            self.engine.directory.write().forget_ended(topic);
        }
    }

    fn give_end(&mut self, entry: &Entry, now: Now) {
        let Some(local_id) = self.follows.of_topic(entry.topic) else { return };
        let Some(topic) = self.follows.locals[local_id].topic.clone() else { return };
        for view in self.follows.locals[local_id].views.clone() {
            self.emit(view, now.mono_us);
        }
        // Connections whose walk has not reached the topic are also concerned.
        self.link_all(local_id);
        self.give(local_id, &topic, entry, |_| true);
        let (tail, head) = (self.ring.tail(), self.ring.head());
        let local = &mut self.follows.locals[local_id];
        local.prune(tail);
        local.previous.push((Arc::downgrade(&topic), head));
        drop(topic);
        self.detach(local_id);
        self.release(local_id);
    }
}

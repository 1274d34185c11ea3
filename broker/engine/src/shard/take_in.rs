//! Taking in: feed entries, in order, onto the runs of the connections that they concern.

use std::sync::Arc;

use broker_protocol::kind::Kind;

use super::conn::{Step, ladder};
use super::mark::{Mark, Via};
use super::visit::Which;
use super::{ConnId, NameId, Shard};
use crate::clock::Now;
use crate::engine::begins_frame;
use crate::fault::{self, Fault};
use crate::feed::{Entry, EntryKind};
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
            if self.must_wait_for_room(entry.frame.len()) || self.must_drop_first() {
                break;
            }
            taken += 1;
            self.reader.advance();
            if fault::strikes(Fault::OrderAcrossTopics) {
                self.take_next_first(&entry);
            }
            match &entry.kind {
                EntryKind::Update => self.take_update(&entry),
                EntryKind::Begins(topic) => self.take_beginning(&entry, topic),
                EntryKind::Closed(topic) => self.take_end(&entry, topic, now),
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
        let updates = matches!((&entry.kind, &next.kind), (EntryKind::Update, EntryKind::Update));
        if updates && next.topic != entry.topic && next.interest & self.bit != 0 {
            self.reader.advance();
            self.take_update(&next);
        }
    }

    fn take_update(&mut self, entry: &Entry) {
        let Some(name_id) = self.follows.of_topic(entry.topic) else { return };
        let followed = &mut self.follows.names[name_id];
        let Some(topic) = followed.topic.clone() else { return };
        followed.read_seq = followed.read_seq.max(entry.seq);
        let merged = topic.kind() != Kind::Event;
        let steps = if merged { self.follows.steps(name_id) } else { 0 };
        if !merged || self.follows.has_plain(name_id) {
            self.deliver(name_id, &topic, entry, |step| step == 0 || !merged);
        }
        if steps != 0 {
            self.changed(name_id, steps, entry.seq, entry.taken_us);
        }
    }

    /// Delivers an entry's frame to the members at the steps that it is meant for.
    fn deliver(&mut self, name_id: NameId, topic: &Arc<Topic>, entry: &Entry, wanted: impl Fn(Step) -> bool) {
        let in_ring = self.put(topic, entry.seq, false, &entry.frame);
        let (ring_offset, joins) = in_ring.unwrap_or_default();
        let mark = Mark {
            ring_offset,
            len: entry.frame.len() as u32,
            joins,
            topic,
            name: topic.name(),
            seq: entry.seq,
            first: entry.seq,
            oldest: entry.oldest,
            taken_us: entry.taken_us,
            end_bytes: entry.end_bytes,
            closes: matches!(entry.kind, EntryKind::Closed(_)),
        };
        if in_ring.is_none() {
            let mut concerned: Vec<(ConnId, Via)> = Vec::new();
            self.each_member(name_id, Which::All, |_, conn, via, step| {
                if wanted(step) {
                    concerned.push((conn, via));
                }
            });
            for (conn, via) in concerned {
                self.deliver_through_topic(conn, via, &mark, false);
            }
            return;
        }
        self.each_member(name_id, Which::All, |marker, conn, via, step| {
            if wanted(step) {
                marker.mark(conn, via, &mark);
            }
        });
    }

    /// A topic began: connections that wait for its name, and those whose patterns match it, are sent that.
    fn take_beginning(&mut self, entry: &Entry, topic: &Arc<Topic>) {
        let name_id = match self.follows.named(topic.name()) {
            Some(name_id) => name_id,
            None => {
                if self.matching(topic.name()).is_empty() || fault::strikes(Fault::PatternMissesTopic) {
                    topic.lock().interest &= !self.bit;
                    return;
                }
                // The directory may hold a later incarnation by now: this one's end is still to be read then.
                self.insert_followed(topic.name().clone())
            }
        };
        if self.follows.names[name_id].topic.is_none() {
            self.attach(name_id, topic.clone());
        }
        // The connection for which the shard began to follow it has it from the topic; the others wait for this entry.
        // If the shard follows another incarnation, or this one ended while nobody here was interested, nothing is
        // sent.
        if self.follows.names[name_id].topic.as_ref().is_none_or(|held| !Arc::ptr_eq(held, topic)) {
            return;
        }
        // Patterns subscribed to while the name had no topic did not find it in the directory.
        if !fault::strikes(Fault::PatternMissesTopic) {
            self.link_all(name_id);
        }
        let tail = self.ring.tail();
        self.follows.names[name_id].prune(tail);
        self.deliver_beginning(name_id, topic, entry, |step| step == 0 || !topic.has_image());
        if topic.has_image() {
            let steps = self.follows.steps(name_id);
            for own in (1..16).filter(|step| steps & 1 << step != 0) {
                let frame = begins_frame(topic, ladder(own));
                let entry = Entry { frame, ..entry.clone() };
                self.deliver_beginning(name_id, topic, &entry, |step| step == own);
            }
        }
    }

    /// A connection that falls out of step to make room for the frame may have the ended incarnation pending, which
    /// comes first.
    fn deliver_beginning(&mut self, name_id: NameId, topic: &Arc<Topic>, entry: &Entry, wanted: impl Fn(Step) -> bool) {
        self.make_room(entry.frame.len());
        self.queue_behind_previous(name_id, entry, topic);
        self.deliver(name_id, topic, entry, wanted);
    }

    /// Connections that have not caught up with an ended incarnation get the new one after it.
    fn queue_behind_previous(&mut self, name_id: NameId, entry: &Entry, topic: &Arc<Topic>) {
        if self.follows.names[name_id].previous.is_empty() {
            return;
        }
        let mut behind: Vec<(ConnId, Via)> = Vec::new();
        self.each_member(name_id, Which::All, |marker, conn, via, _| {
            if marker.conns[conn].catch_up.is_some() {
                behind.push((conn, via));
            }
        });
        let followed = &self.follows.names[name_id];
        behind.retain(|(conn, _)| {
            let catch_up = self.conns[*conn].catch_up.as_deref();
            catch_up.is_some_and(|catch_up| followed.unfinished(catch_up, topic).is_some())
        });
        let mark = Mark {
            ring_offset: 0,
            len: 0,
            joins: false,
            topic,
            name: topic.name(),
            seq: 0,
            first: 0,
            oldest: 1,
            taken_us: entry.taken_us,
            end_bytes: entry.end_bytes,
            closes: matches!(entry.kind, EntryKind::Closed(_)),
        };
        for (conn, via) in behind {
            self.deliver_through_topic(conn, via, &mark, false);
        }
    }

    /// A topic ended: views send what they still hold, then every subscriber is sent the end.
    fn take_end(&mut self, entry: &Entry, topic: &Arc<Topic>, now: Now) {
        self.deliver_end(entry, now);
        if topic.end_was_read(self.bit) {
            self.engine.directory.write().forget_ended(topic);
        }
    }

    fn deliver_end(&mut self, entry: &Entry, now: Now) {
        let Some(name_id) = self.follows.of_topic(entry.topic) else { return };
        let Some(topic) = self.follows.names[name_id].topic.clone() else { return };
        for view in self.follows.names[name_id].views.clone() {
            self.emit(view, now.mono_us);
        }
        // Connections whose walk has not reached the topic are also concerned.
        self.link_all(name_id);
        self.deliver(name_id, &topic, entry, |_| true);
        let (tail, head) = (self.ring.tail(), self.ring.head());
        let followed = &mut self.follows.names[name_id];
        followed.prune(tail);
        followed.previous.push((Arc::downgrade(&topic), head));
        drop(topic);
        self.detach(name_id);
        self.release(name_id);
    }
}

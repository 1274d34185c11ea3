//! The end of topics: deleted, or idle for too long.

use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::frame::Frame;
use broker_protocol::message;
use broker_protocol::request::Refusal;
use broker_protocol::topic::is_reserved;

use super::apply::At;
use super::{Engine, Publisher, check_writable, refuse};
use crate::clock::Now;
use crate::feed::{Draft, EntryKind};
use crate::journal::ReplyTo;
use crate::log::Entry;
use crate::outcome::{Outcome, Published};
use crate::topic::Topic;

impl Engine {
    /// Ends a topic: its subscribers get `closed` after everything that they still lack. Its bytes no longer count
    /// against live topics.
    ///
    /// # Errors
    /// `bad_topic`, `forbidden`, `not_found` if there is no topic of this name, and `unavailable` while connections
    /// still want too much of topics that ended earlier.
    pub fn delete(&self, now: Now, name: &str, by: Publisher) -> Result<Published, Refusal> {
        let topic = self.check_end(name, by)?;
        self.end(At::next(now), &topic, None).ok_or_else(|| not_found(name))
    }

    /// Returns the topic, if it may be ended now.
    pub(super) fn check_end(&self, name: &str, by: Publisher) -> Result<Arc<Topic>, Refusal> {
        check_writable(name, by)?;
        let topic = self.directory.read().get(name).cloned();
        let topic = topic.ok_or_else(|| not_found(name))?;
        if !self.may_end() {
            let message =
                format!("\"{name}\": clients are still being notified of topics that ended earlier; try again soon");
            return Err(refuse(ErrorCode::Unavailable, message));
        }
        Ok(topic)
    }

    /// Applies the end of a topic.
    pub(super) fn apply_end(&self, at: At, name: &str, only: Option<(&str, u64)>) -> Result<Outcome, Refusal> {
        let topic = self.directory.read().get(name).cloned().ok_or_else(|| not_found(name))?;
        if only.is_some_and(|(epoch, _)| epoch != topic.epoch()) {
            return Ok(Outcome::WentOn);
        }
        if !topic.lock().advance(at.place) {
            return Ok(Outcome::Skipped);
        }
        Ok(match self.end(at, &topic, only.map(|(_, seq)| seq)) {
            Some(ended) => {
                self.saving.note_end(at.place, name);
                Outcome::Ended(ended)
            }
            None => Outcome::WentOn,
        })
    }

    /// Whether one more topic may end: what ended topics hold for connections that still want it is within its bound,
    /// if necessary after some of it was dropped.
    fn may_end(&self) -> bool {
        let max = self.limits.behind_bytes_max();
        self.budget.fit_ended(max);
        self.budget.ended() <= max
    }

    /// Ends a topic; `None` if it has already ended, or if it is to end only with another newest `seq`.
    fn end(&self, at: At, topic: &Arc<Topic>, only: Option<u64>) -> Option<Published> {
        let mut state = topic.lock();
        if state.closed || only.is_some_and(|seq| seq != state.seq()) {
            return None;
        }
        let (seq, interest) = (state.seq(), state.interest);
        if interest != 0 {
            let appended = self.feed.append(Draft {
                topic: topic.id(),
                place: at.place,
                seq: seq + 1,
                oldest: state.history.oldest(),
                interest,
                taken_us: at.mono_us,
                kind: EntryKind::Closed(topic.clone()),
                frame: Frame::encode(&mut Vec::new(), |out| message::closed(out, topic.name())),
            });
            state.closed_to = Some((interest, appended.end_bytes));
        }
        if at.place.is_some() {
            self.sums.end(state.image.as_ref());
        }
        topic.close(&mut state, interest);
        drop(state);
        self.retire(topic);
        self.feed.wake_all(interest);
        Some(Published { topic: topic.clone(), seq, duplicate: false })
    }

    /// Takes an ended topic out of the directory, which remembers it until every shard has read its end.
    pub(super) fn retire(&self, topic: &Arc<Topic>) {
        let mut names = self.directory.write();
        if topic.lock().unread_by == 0 { names.remove(topic) } else { names.end(topic) }
    }

    /// Visits `count` topics after `after`: drops updates that are too old, and ends topics that were idle for too
    /// long. Returns the name to continue from, or `None` at the end.
    pub fn tidy(&self, now: Now, after: Option<&str>, count: usize) -> Option<Arc<str>> {
        let mut at: Option<Arc<str>> = after.map(Into::into);
        for _ in 0..count {
            let topic = self.directory.read().next(at.as_deref()).cloned()?;
            at = Some(topic.name().clone());
            let mut state = topic.lock();
            if state.retain.ms > 0 {
                let retain = state.retain;
                state.history.trim(&retain, now.mono_us);
                self.budget.count_history(&topic, &mut state);
            }
            let idle_us = now.mono_us.saturating_sub(state.last_mono_us);
            let seq = state.seq();
            drop(state);
            let idle_max = self.limits.topic_idle_ms();
            if idle_max > 0 && idle_us > idle_max * 1000 && !is_reserved(topic.name()) && self.may_end() {
                // An update that came meanwhile keeps it alive.
                match &self.journal {
                    None => _ = self.end(At::next(now), &topic, Some(seq)),
                    Some(journal) if journal.gathering().has_room() => {
                        let end = Entry::End { topic: topic.name(), only: Some((topic.epoch(), seq)) };
                        // While the log cannot be written, the topic lives on. It is looked at again.
                        let _ = journal.gathering().submit(&end, ReplyTo::Nobody);
                    }
                    Some(_) => {}
                }
            }
        }
        at
    }
}

pub(super) fn not_found(name: &str) -> Refusal {
    refuse(ErrorCode::NotFound, format!("there is no topic \"{name}\""))
}

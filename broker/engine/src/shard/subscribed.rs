//! The answer to a subscribe request, once all of its entries have taken effect.

use super::conn::{Subscribing, ladder};
use super::entry::CheckedEntry;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;
use broker_protocol::message::{self, EntryError, PatternStart, TopicStart};
use broker_protocol::topic::is_pattern;

impl<S: Sink> Shard<S> {
    pub(super) fn answer_subscribe(&mut self, now: Now, id: ConnId, request: Subscribing) {
        let topics: Vec<TopicStart<'_>> = request
            .begun
            .iter()
            .map(|begun| TopicStart {
                topic: &begun.name,
                kind: begun.topic.as_ref().map(|topic| topic.kind()),
                epoch: begun.topic.as_ref().map(|topic| topic.epoch()),
                seq: begun.seq,
                oldest: begun.oldest,
                start: begun.start,
                conflate_ms: begun.conflate_ms,
            })
            .collect();
        let conflate_ms = ladder(request.step);
        let patterns: Vec<PatternStart<'_>> = request
            .patterns
            .iter()
            .filter_map(|at| match &request.entries[*at as usize] {
                CheckedEntry::Pattern { pattern, matched, .. } => {
                    Some(PatternStart { pattern: pattern.as_str(), matched: *matched, conflate_ms })
                }
                _ => None,
            })
            .collect();
        let errors = request.errors.into_list();
        let errors: Vec<EntryError<'_>> = errors
            .iter()
            .map(|(at, code, message)| {
                let topic = request.entries[*at as usize].text();
                EntryError { topic, is_pattern: is_pattern(topic), code: *code, message }
            })
            .collect();
        let mut payload = Vec::new();
        message::subscribed(&mut payload, request.id.as_deref(), &topics, &patterns, &errors);
        self.work.charge_bytes(payload.len());
        let has_nothing = request.begun.is_empty() && request.patterns.is_empty();
        let conn = &mut self.conns[id];
        conn.wants_positions |= request.positions;
        // Nothing of it is delivered if the client was ahead: it keeps the position that it has.
        conn.position_is_due |= !(request.may_be_beyond && has_nothing);
        self.answer(now, id, &payload);
        if let Some(token) = request.ready {
            self.conns[id].readies.push(request.id, token);
            self.send_ready(id, now);
        }
        self.count_buffers(id);
    }
}

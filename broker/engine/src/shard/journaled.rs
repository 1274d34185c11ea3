//! Publishing with a journal: updates go on their way to the log, and the answer is given when they are back.

use broker_protocol::message;
use broker_protocol::request::{Id, Publication, Refusal, Request};

use super::awaiting::{Answer, Awaited, Awaiting, Batch, Message, Reach};
use super::quota::LeftOut;
use super::refused::Refused;
use super::requests::INDEX_BYTES;
use super::{AuthRequest, ConnId, Shard};
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::journal::{Completion, ReplyTo, unknown};
use crate::outcome::{Outcome, Published};
use crate::sink::Sink;

/// The most answers of the log that are passed on in one round.
const ANSWERS_PER_ROUND: usize = 4096;
/// Work to pass one on, in steps.
const ANSWER_STEPS: usize = 2;

impl<S: Sink> Shard<S> {
    /// Submits an update.
    pub(super) fn submit(&mut self, now: Now, conn: ConnId, id: Option<Id<'_>>, update: &Publication<'_>) {
        let allowed = self.check_publish(conn, &update.topic);
        let request = id.as_ref().map(Id::as_bytes);
        match allowed.and_then(|()| self.submit_update(conn, 0, update)) {
            Ok(()) => {
                let answer = Answer::Single(None);
                let id = request.map(Into::into);
                self.awaiting.push(conn, Awaited { id, open: 1, since_us: now.mono_us, answer });
                self.count_buffers(conn);
            }
            Err(refusal) => {
                self.note_forbidden(conn, &update.topic, &refusal);
                self.engine.count_refused(refusal.code);
                self.refuse_in_order(now, conn, request, &refusal);
            }
        }
    }

    /// Submits the updates of a batch.
    pub(super) fn submit_batch(
        &mut self,
        now: Now,
        conn: ConnId,
        id: Option<Id<'_>>,
        updates: &[Result<Publication<'_>, Refusal>],
    ) {
        let (rejected, left_out) = (Refused::none(), LeftOut::default());
        let mut batch = Box::new(Batch { accepted: 0, duplicates: 0, rejected, left_out });
        let mut open = 0;
        for (index, update) in updates.iter().enumerate() {
            let allowed = self.check_in_batch(now, conn, update, &mut batch.left_out);
            match allowed.and_then(|update| self.submit_update(conn, index as u32, update)) {
                Ok(()) => open += 1,
                Err(refusal) => self.refuse_in_batch(conn, (index, update), &refusal, &mut batch.rejected),
            }
        }
        if fault::strikes(Fault::AnswerBeforeApply) {
            open = open.min(1);
        }
        let id = id.as_ref().map(|id| id.as_bytes().into());
        let answer = Answer::Batch(batch);
        self.awaiting.push(conn, Awaited { id, open, since_us: now.mono_us, answer });
        self.answer_finished(now, conn);
    }

    /// Whether answers of the log wait to be passed on.
    pub fn has_answers(&self) -> bool {
        self.engine.journal().is_some_and(|journal| journal.has_answers(self.index))
            || !self.awaiting.answers.is_empty()
    }

    /// Passes on answers of the log to the connections that wait for them. Returns whether there are more.
    pub fn take_answers(&mut self, now: Now) -> bool {
        let Some(journal) = self.engine.journal() else { return false };
        let Awaiting { answers, collected, .. } = &mut self.awaiting;
        if answers.is_empty() {
            journal.collect(self.index, collected);
            answers.extend(collected.drain(..));
        }
        for _ in 0..ANSWERS_PER_ROUND {
            let Some(completion) = self.awaiting.answers.pop_front() else { break };
            self.work.charge(ANSWER_STEPS);
            let (id, session, index, result) = match completion {
                Completion::Command { conn, session, index, result } => (conn, session, index, result),
                Completion::Barrier { is_back } => {
                    self.take_barrier(is_back);
                    continue;
                }
            };
            self.complete(now, (id, session, index), result);
            // At once, so that what is back belongs to the first request: otherwise it would be looked for behind all
            // that are finished.
            self.answer_first(now, id);
            // What comes for one connection in a row is accounted for once.
            let goes_on = |next: &Completion| matches!(next, Completion::Command { conn, session: of, .. } if *conn == id && *of == session);
            if !self.awaiting.answers.front().is_some_and(goes_on) {
                self.settle(id);
            }
        }
        self.go_on() || !self.awaiting.answers.is_empty()
    }

    /// Takes out a connection whose messages waited for answers that it has by now: it is to be read.
    pub fn next_released(&mut self) -> Option<ConnId> {
        self.awaiting.next_released()
    }

    /// Whether a connection has a message that waited for answers that it has by now.
    pub fn has_released(&self, id: ConnId) -> bool {
        self.awaiting.has_released(id)
    }

    /// Executes the first such message; see [`Shard::handle`].
    pub fn handle_released(&mut self, now: Now, id: ConnId) -> Option<AuthRequest> {
        let (message, reach) = self.awaiting.take_held(id)?;
        self.count_buffers(id);
        // Others may be held behind it.
        match message {
            Message::Text(text) => {
                self.work.charge_bytes(text.len());
                self.take_in_order(now, id, broker_protocol::request::parse(&text), reach, || text.clone())
            }
            Message::Subscribe(subscribe) => {
                let request = Request::Subscribe(*subscribe);
                self.execute(now, id, request, reach.unwrap_or(Reach::Read));
                None
            }
        }
    }

    /// Answers what has waited for the log for too long, with the refusal that says that nobody knows.
    pub(super) fn give_up_waiting(&mut self, now: Now, id: ConnId) {
        let Some(journal) = self.engine.journal() else { return };
        let late_us = now.mono_us.saturating_sub(journal.unavailable_ms() * 1000);
        while let Some(request) = self.awaiting.give_up(id, late_us) {
            // It may still come back, some time later.
            self.stats.journal_wait_us.record(now.mono_us.saturating_sub(request.since_us));
            let refusal = unknown();
            self.engine.count_refused(refusal.code);
            self.refuse(now, id, request.id.as_deref(), refusal.code, &refusal.message);
            self.answer_finished(now, id);
        }
    }

    /// Refuses a request once the requests before it are answered.
    pub(super) fn refuse_in_order(&mut self, now: Now, conn: ConnId, id: Option<&[u8]>, refusal: &Refusal) {
        let mut payload = Vec::new();
        message::error(&mut payload, id, refusal.code, &refusal.message);
        self.stats.errors.add(refusal.code, 1);
        self.answer_in_order(now, conn, payload);
    }

    /// Answers a request once the requests before it are answered.
    pub(super) fn answer_in_order(&mut self, now: Now, conn: ConnId, payload: Vec<u8>) {
        if !self.awaiting.has(conn) {
            return self.answer(now, conn, &payload);
        }
        let answer = Answer::Refused(payload.into_boxed_slice());
        self.awaiting.push(conn, Awaited { id: None, open: 0, since_us: now.mono_us, answer });
        self.count_buffers(conn);
    }

    /// Hands an update to the journal; `index` is its place within its request.
    fn submit_update(&self, conn: ConnId, index: u32, update: &Publication<'_>) -> Result<(), Refusal> {
        // Nobody comes here without a journal.
        let Some(journal) = self.engine.journal() else { return Err(unknown()) };
        let session = self.conns.get(conn).map_or(u64::MAX, |conn| conn.session);
        let reply_to = ReplyTo::Connection { shard: self.index, conn, session, index };
        self.engine.submit_publish(journal, update, reply_to)
    }

    /// Takes in what came of a connection's update.
    fn complete(&mut self, now: Now, (id, session, index): (ConnId, u64, u32), result: Result<Outcome, Refusal>) {
        let result = result.and_then(|outcome| outcome.published().ok_or_else(unknown));
        // The number may be another connection's by now.
        if self.session(id) != Some(session) && !fault::strikes(Fault::AnswerToAnother) {
            return;
        }
        if let Ok(published) = &result {
            self.note_publisher(now, id, published);
        }
        let mut refused = None;
        self.awaiting.take_back(id, |answer| match (answer, result) {
            (Answer::Batch(batch), Ok(Published { duplicate, .. })) => {
                batch.accepted += 1;
                batch.duplicates += u64::from(duplicate);
            }
            (Answer::Batch(batch), Err(refusal)) => {
                batch.rejected.add(index as usize, INDEX_BYTES, refusal.code, &refusal.message);
                refused = Some((refusal.code, true));
            }
            (Answer::Single(answer), result) => {
                refused = result.as_ref().err().map(|refusal| (refusal.code, false));
                *answer = Some(result);
            }
            (Answer::Refused(_), _) => {}
        });
        match refused {
            Some((code, true)) => self.count_refused(code),
            Some((code, false)) => self.engine.count_refused(code),
            None => {}
        }
    }

    /// Answers a connection's first requests, as far as all of their updates are back, and accounts for that.
    fn answer_finished(&mut self, now: Now, conn: ConnId) {
        self.answer_first(now, conn);
        self.settle(conn);
    }

    fn answer_first(&mut self, now: Now, conn: ConnId) {
        while let Some(Awaited { id, since_us, answer, .. }) = self.awaiting.pop_finished(conn) {
            if !matches!(answer, Answer::Refused(_)) {
                self.stats.journal_wait_us.record(now.mono_us.saturating_sub(since_us));
            }
            if !self.is_closing(conn) {
                self.answer_awaited(now, conn, id.as_deref(), answer);
            }
        }
    }

    fn settle(&mut self, conn: ConnId) {
        self.awaiting.settle(conn);
        self.count_buffers(conn);
    }

    fn answer_awaited(&mut self, now: Now, conn: ConnId, id: Option<&[u8]>, answer: Answer) {
        match answer {
            Answer::Refused(payload) => self.answer(now, conn, &payload),
            Answer::Single(None) => {}
            Answer::Single(Some(Ok(published))) => self.answer_published(now, conn, id, &published),
            Answer::Single(Some(Err(refusal))) => self.refuse(now, conn, id, refusal.code, &refusal.message),
            Answer::Batch(batch) => {
                let Batch { accepted, duplicates, rejected, left_out } = *batch;
                self.answer_batch(now, conn, id, (accepted, duplicates), rejected, &left_out);
            }
        }
    }
}

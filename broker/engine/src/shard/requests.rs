//! A client's requests, executed and answered.

use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{self, SubscriptionRow};
use broker_protocol::request::{Id, Publication, Refusal, Request};

use super::awaiting::{Message, Reach};
use super::conn::{InProgress, Target, ladder};
use super::quota::LeftOut;
use super::refused::Refused;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::engine::Publisher;
use crate::outcome::Published;
use crate::sink::Sink;

/// Work to list a subscription, in steps.
const LIST_STEPS: usize = 2;
/// Work to publish an update, in steps.
const PUBLISH_STEPS: usize = 4;
/// Approximate bytes of an index in a batch.
pub(super) const INDEX_BYTES: usize = 5;

/// The answer to whatever a client asks for that has to authenticate.
const AUTHENTICATE_FIRST: &str = "authenticate first: send auth with a token";

/// A client's token, which the engine cannot check.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthRequest {
    /// The `id` of the request, as JSON.
    pub id: Option<Box<[u8]>>,
    /// The token.
    pub token: String,
}

/// A message as it was parsed; of one that is no request, its `id` and what is wrong with it.
pub(super) type Parsed<'a> = Result<Request<'a>, (Option<Id<'a>>, Refusal)>;

impl<S: Sink> Shard<S> {
    /// Continues what is in progress on a connection, as far as this round's work allows.
    pub(super) fn continue_request(&mut self, id: ConnId, now: Now) {
        let Some(mut request) = self.conns.get_mut(id).and_then(|conn| conn.in_progress.take()) else { return };
        let done = match &mut *request {
            InProgress::Subscribing(request) => self.continue_subscribe(id, request),
            InProgress::Authorizing(request) => self.continue_authorizing(id, now, request),
        };
        if !done {
            self.conns[id].in_progress = Some(request);
            self.count_buffers(id);
            return;
        }
        match *request {
            InProgress::Subscribing(request) => self.answer_subscribe(now, id, request),
            InProgress::Authorizing(request) => {
                if let Some(answer) = request.answer {
                    self.answer(now, id, &answer);
                } else if self.conns[id].catch_up.is_some() {
                    // What it may newly see is introduced even if nothing says that it may.
                    self.enqueue(id, now.mono_us);
                }
                self.send_ready(id, now);
            }
        }
        self.count_buffers(id);
        self.next_authorization(id, now);
    }

    /// Parses and executes one message of a client. Whatever is wrong with it is answered; the connection stays open.
    /// Returns a token, if the message has one: the caller has to check it, and then to call [`Shard::authorize`] or
    /// [`Shard::refuse_auth`]. Until then the connection is not read.
    pub fn handle(&mut self, now: Now, id: ConnId, text: &str) -> Option<AuthRequest> {
        self.work.charge_bytes(text.len());
        self.count_received(id);
        let parsed = broker_protocol::request::parse(text);
        if self.awaiting.must_hold(id, parsed.as_ref().ok()) {
            // It has to wait for what was published before it.
            self.awaiting.hold(id, text, parsed.as_ref().ok());
            self.count_buffers(id);
            return None;
        }
        self.take_in_order(now, id, parsed, None, || text.into())
    }

    /// Executes a message that is counted already, and that waits for no request before it; unless it has to wait for
    /// the log, and has not.
    pub(super) fn take_in_order(
        &mut self,
        now: Now,
        id: ConnId,
        parsed: Parsed<'_>,
        known: Option<Reach>,
        text: impl FnOnce() -> Box<str>,
    ) -> Option<AuthRequest> {
        let reach = match &parsed {
            Ok(request) => known.or_else(|| self.reach(id, request)),
            Err(_) => Some(Reach::Read),
        };
        let Some(reach) = reach else {
            self.wait_for_log(now, id, Message::Text(text()));
            return None;
        };
        match parsed {
            Ok(request @ Request::Auth { .. }) if self.permits.get(id).is_some() => {
                // It is counted, and never refused.
                self.is_over_quota(now, id, &request);
                let Request::Auth { id: request, token } = request else { return None };
                let request = request.map(|request| request.as_bytes().into());
                self.permits.begin_check(id);
                return Some(AuthRequest { id: request, token: token.into_owned() });
            }
            Ok(request) => self.execute(now, id, request, reach),
            Err((request, _)) if self.is_unreadable_over_quota(now, id, request) => {}
            Err((request, refusal)) if self.permits.must_authenticate(id) => {
                // The message may be an `auth` with a mistake. No refusal repeats its token.
                let text = format!("{AUTHENTICATE_FIRST}. This message is wrong: {}", refusal.message);
                self.refuse(now, id, request.as_ref().map(Id::as_bytes), ErrorCode::BadToken, &text);
            }
            Err((request, refusal)) => self.refuse_with(now, id, request, &refusal),
        }
        None
    }

    /// Executes one request of a client and queues the answer. That of a stream may have to wait for the log first.
    pub fn request(&mut self, now: Now, conn: ConnId, request: Request<'_>) {
        match request {
            Request::Subscribe(subscribe) => self.request_of_stream(now, conn, subscribe),
            request => self.execute(now, conn, request, Reach::Read),
        }
    }

    /// Executes one request that waits for nothing.
    pub(super) fn execute(&mut self, now: Now, conn: ConnId, request: Request<'_>, reach: Reach) {
        if self.is_over_quota(now, conn, &request) {
            return;
        }
        if self.permits.must_authenticate(conn) && !matches!(request, Request::Ping { .. }) {
            let id = request.id().map(|id| id.as_bytes());
            let refusal = Refusal { code: ErrorCode::BadToken, message: AUTHENTICATE_FIRST.into() };
            return self.refuse_in_order(now, conn, id, &refusal);
        }
        match request {
            Request::Subscribe(subscribe) => self.subscribe(now, conn, &subscribe, reach),
            Request::Unsubscribe { id, entries } => self.unsubscribe(now, conn, id, &entries),
            Request::Publish { id, update } => self.publish(now, conn, id, &update),
            Request::Batch { id, updates } => self.publish_batch(now, conn, id, &updates),
            Request::Auth { id, .. } => {
                let text = "this broker accepts no tokens: none are configured";
                self.refuse(now, conn, id.as_ref().map(Id::as_bytes), ErrorCode::BadRequest, text);
            }
            Request::List { id } => self.list(now, conn, id),
            Request::Ping { id } => {
                let mut payload = Vec::new();
                message::pong(&mut payload, id.as_ref().map(Id::as_bytes), now.wall_us);
                self.answer(now, conn, &payload);
            }
        }
    }

    fn refuse_with(&mut self, now: Now, conn: ConnId, id: Option<Id<'_>>, refusal: &Refusal) {
        self.refuse(now, conn, id.as_ref().map(Id::as_bytes), refusal.code, &refusal.message);
    }

    fn publish(&mut self, now: Now, conn: ConnId, id: Option<Id<'_>>, update: &Publication<'_>) {
        self.work.charge(PUBLISH_STEPS);
        if self.engine.journal().is_some() {
            return self.submit(now, conn, id, update);
        }
        let allowed = self.check_publish(conn, &update.topic);
        match allowed.and_then(|()| self.engine.publish(now, update, Publisher::Client)) {
            Ok(published) => {
                self.note_publisher(now, conn, &published);
                self.answer_published(now, conn, id.as_ref().map(Id::as_bytes), &published);
            }
            Err(refusal) => {
                self.note_forbidden(conn, &update.topic, &refusal);
                self.engine.count_refused(refusal.code);
                self.refuse_with(now, conn, id, &refusal);
            }
        }
    }

    /// Answers a publish that was accepted, if it has an id.
    pub(super) fn answer_published(&mut self, now: Now, conn: ConnId, id: Option<&[u8]>, published: &Published) {
        let Published { topic, seq, duplicate } = published;
        if id.is_some() {
            let mut payload = Vec::new();
            message::published(&mut payload, id, topic.name(), topic.epoch(), *seq, *duplicate);
            self.answer(now, conn, &payload);
        }
    }

    pub(super) fn note_publisher(&mut self, now: Now, conn: ConnId, published: &Published) {
        if let Some(conn) = self.conns.get(conn) {
            self.engine.note_publisher(&mut self.publishers, now, published, conn.session, || conn.sink.origin());
        }
    }

    /// Counts a refused update of a batch; for a single update the error answer is counted.
    pub(super) fn count_refused(&self, code: ErrorCode) {
        self.engine.count_refused(code);
        self.stats.errors.add(code, 1);
    }

    fn publish_batch(
        &mut self,
        now: Now,
        conn: ConnId,
        id: Option<Id<'_>>,
        updates: &[Result<Publication<'_>, Refusal>],
    ) {
        self.work.charge(updates.len() * PUBLISH_STEPS);
        if self.engine.journal().is_some() {
            return self.submit_batch(now, conn, id, updates);
        }
        let (mut accepted, mut duplicates) = (0, 0);
        let (mut rejected, mut left_out) = (Refused::none(), LeftOut::default());
        for (index, update) in updates.iter().enumerate() {
            let allowed = self.check_in_batch(now, conn, update, &mut left_out);
            match allowed.and_then(|update| self.engine.publish(now, update, Publisher::Client)) {
                Ok(published) => {
                    self.note_publisher(now, conn, &published);
                    accepted += 1;
                    duplicates += u64::from(published.duplicate);
                }
                Err(refusal) => self.refuse_in_batch(conn, (index, update), &refusal, &mut rejected),
            }
        }
        let id = id.as_ref().map(Id::as_bytes);
        self.answer_batch(now, conn, id, (accepted, duplicates), rejected, &left_out);
    }

    /// Returns an update of a batch if it was read, and the connection may publish it and has enough of its quotas left.
    pub(super) fn check_in_batch<'a, 'b>(
        &mut self,
        now: Now,
        conn: ConnId,
        update: &'b Result<Publication<'a>, Refusal>,
        left_out: &mut LeftOut,
    ) -> Result<&'b Publication<'a>, Refusal> {
        let update = update.as_ref().map_err(Refusal::clone)?;
        self.check_publish(conn, &update.topic)?;
        self.take_for_update(now, conn, update, left_out)?;
        Ok(update)
    }

    /// Takes in that the update with this index in a batch is refused.
    pub(super) fn refuse_in_batch(
        &mut self,
        conn: ConnId,
        (index, update): (usize, &Result<Publication<'_>, Refusal>),
        refusal: &Refusal,
        rejected: &mut Refused<usize>,
    ) {
        if let Ok(update) = update {
            self.note_forbidden(conn, &update.topic, refusal);
        }
        self.count_refused(refusal.code);
        rejected.add(index, INDEX_BYTES, refusal.code, &refusal.message);
    }

    /// Answers a batch: how many updates were accepted, and how many of those are duplicates.
    pub(super) fn answer_batch(
        &mut self,
        now: Now,
        conn: ConnId,
        id: Option<&[u8]>,
        (accepted, duplicates): (u64, u64),
        rejected: Refused<usize>,
        left_out: &LeftOut,
    ) {
        // Errors are sent with or without an id.
        if id.is_none() && rejected.count() == 0 {
            return;
        }
        let rejected = rejected.into_list();
        let mut payload = Vec::new();
        let retry_ms = self.retry_ms(now, conn, left_out);
        message::published_batch(&mut payload, id, accepted, duplicates, &rejected, retry_ms);
        self.answer(now, conn, &payload);
        if retry_ms.is_some() {
            self.note_refused(now, conn);
        }
    }

    fn list(&mut self, now: Now, conn: ConnId, id: Option<Id<'_>>) {
        let Some(held) = self.conns.get(conn) else { return };
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        self.work.charge(held.subscriptions.len() * LIST_STEPS);
        for (target, subscription) in held.subscriptions.iter() {
            let (rows, name): (&mut Vec<SubscriptionRow<'_>>, &str) = match target {
                Target::Topic(name_id) => (&mut topics, &self.follows.names[name_id].name),
                Target::Pattern(group) => (&mut patterns, self.follows.groups[group].pattern.as_str()),
            };
            rows.push(SubscriptionRow { name, conflate_ms: ladder(subscription.step), on_slow: subscription.on_slow });
        }
        topics.sort_by_key(|row| row.name);
        patterns.sort_by_key(|row| row.name);
        let mut payload = Vec::new();
        message::subscriptions(&mut payload, id.as_ref().map(Id::as_bytes), &topics, &patterns);
        self.answer(now, conn, &payload);
    }
}

//! What each connection has left of its quotas. Connections without quotas have no entry here, so they cost nothing.
//!
//! A request that exceeds a quota is refused with `rate_limited`; a batch publishes the updates that fit and rejects the
//! others. What makes a client stop (`unsubscribe`, `auth`, `ping`, pings and pongs) is counted and never refused.

use std::collections::{HashMap, VecDeque};

use broker_protocol::codes::{CloseReason, ErrorCode};
use broker_protocol::message;
use broker_protocol::request::{Id, Publication, Refusal, Request};
use foldhash::fast::RandomState;

use super::{ConnId, Shard};
use crate::clock::Now;
use crate::quota::{Bucket, Granted, Publishes, Quota, Rate, Rates, Unfit, Wait};
use crate::sink::Sink;

/// A client with this many refused requests within [`REFUSED_US`] does not listen: it is sent away.
const REFUSED_MAX: usize = 20;
const REFUSED_US: u64 = 5_000_000;
/// How long it is asked to stay away.
const AWAY_MS: u64 = 5_000;

/// The connections that have quotas.
pub(super) type Quotas = HashMap<ConnId, Box<Left>, RandomState>;

/// What a connection has left.
pub(super) struct Left {
    granted: Granted,
    requests: Bucket,
    subscribes: Bucket,
    /// Used if the connection's user shares nothing.
    publishes: Publishes,
    /// When its last requests were refused, on the monotonic clock in µs; at most [`REFUSED_MAX`].
    refused_us: VecDeque<u64>,
}

/// What a batch could not publish because of quotas.
#[derive(Default)]
pub(super) struct LeftOut {
    updates: u64,
    bytes: u64,
}

impl Left {
    /// Takes what a request needs besides publishing. Nothing is taken if something does not fit.
    fn take(&mut self, now: Now, request: &Request<'_>) -> Result<(), Unfit> {
        let Rates { requests, subscribes, .. } = self.granted.rates;
        let (requests, subscribes) = (Rate::of(requests.into()), Rate::of(subscribes.into()));
        match request {
            Request::Unsubscribe { .. } | Request::Auth { .. } | Request::Ping { .. } => {
                self.count(now);
                return Ok(());
            }
            Request::Subscribe(subscribe) => {
                fits(&self.requests, now, requests, 1, Quota::Requests)?;
                let entries = subscribe.entries.len() as u64;
                take(&mut self.subscribes, now, subscribes, entries, Quota::Subscribes)?;
            }
            Request::Publish { update, .. } => {
                fits(&self.requests, now, requests, 1, Quota::Requests)?;
                self.publish(now, update)?;
            }
            Request::Batch { .. } | Request::List { .. } => {}
        }
        take(&mut self.requests, now, requests, 1, Quota::Requests)
    }

    /// Takes what an update needs.
    fn publish(&mut self, now: Now, update: &Publication<'_>) -> Result<(), Unfit> {
        let (rates, bytes) = (&self.granted.rates, update.data.raw().len() as u64);
        match &self.granted.publishes {
            Some(shared) => shared.take(now, rates, 1, bytes),
            None => self.publishes.take(now, rates, 1, bytes),
        }
    }

    /// Returns how long it takes until all of this can be published.
    fn wait(&self, now: Now, left_out: &LeftOut) -> Option<Wait> {
        let (rates, LeftOut { updates, bytes }) = (&self.granted.rates, left_out);
        let unfit = match &self.granted.publishes {
            Some(shared) => shared.wait(now, rates, *updates, *bytes),
            None => self.publishes.wait(now, rates, *updates, *bytes),
        };
        unfit.map(|unfit| unfit.wait)
    }

    /// Counts a request that is never refused.
    fn count(&mut self, now: Now) {
        if let Some(rate) = Rate::of(self.granted.rates.requests.into()) {
            self.requests.drain(now, rate, 1);
        }
    }

    /// Notes that a request was refused. Returns whether these were too many.
    fn note_refused(&mut self, now: Now) -> bool {
        while self.refused_us.front().is_some_and(|us| us + REFUSED_US <= now.mono_us) {
            self.refused_us.pop_front();
        }
        self.refused_us.push_back(now.mono_us);
        self.refused_us.len() >= REFUSED_MAX
    }
}

fn fits(bucket: &Bucket, now: Now, rate: Option<Rate>, units: u64, quota: Quota) -> Result<(), Unfit> {
    let wait = rate.and_then(|rate| bucket.wait(now, rate, units));
    wait.map_or(Ok(()), |wait| Err(Unfit { quota, wait }))
}

fn take(bucket: &mut Bucket, now: Now, rate: Option<Rate>, units: u64, quota: Quota) -> Result<(), Unfit> {
    let Some(rate) = rate else { return Ok(()) };
    bucket.take(now, rate, units).map_err(|wait| Unfit { quota, wait })
}

impl<S: Sink> Shard<S> {
    /// Grants a connection this much from now on. What it has used of what it had before stays used.
    pub fn grant(&mut self, id: ConnId, granted: Granted) {
        if self.conns.get(id).is_none_or(|conn| conn.gone) {
            return;
        }
        if !granted.rates.are_bounds() {
            self.quotas.remove(&id);
            return;
        }
        match self.quotas.get_mut(&id) {
            Some(left) => left.granted = granted,
            None => {
                let (bucket, refused_us) = (Bucket::default(), VecDeque::new());
                let (requests, subscribes, publishes) = (bucket, bucket, Publishes::default());
                self.quotas.insert(id, Box::new(Left { granted, requests, subscribes, publishes, refused_us }));
            }
        }
    }

    /// Counts a ping or pong of the client.
    pub fn count_control(&mut self, now: Now, id: ConnId) {
        if let Some(left) = self.quotas.get_mut(&id) {
            left.count(now);
        }
    }

    /// Takes what a request needs. If it exceeds a quota, refuses it and returns true.
    pub(super) fn is_over_quota(&mut self, now: Now, id: ConnId, request: &Request<'_>) -> bool {
        let Some(Err(unfit)) = self.quotas.get_mut(&id).map(|left| left.take(now, request)) else { return false };
        if !self.engine.refusals.refuses(unfit.quota) {
            return false;
        }
        let request_id = match request {
            Request::Publish { id, .. } => {
                self.engine.count_refused(ErrorCode::RateLimited);
                id
            }
            Request::Subscribe(subscribe) => &subscribe.id,
            Request::Unsubscribe { id, .. } | Request::Batch { id, .. } | Request::Auth { id, .. } => id,
            Request::List { id } | Request::Ping { id } => id,
        };
        self.refuse_over_quota(now, id, request_id.as_ref().map(Id::as_bytes), unfit);
        true
    }

    /// The same for a message that is no request.
    pub(super) fn is_unreadable_over_quota(&mut self, now: Now, id: ConnId, request_id: Option<Id<'_>>) -> bool {
        self.is_over_quota(now, id, &Request::List { id: request_id })
    }

    fn refuse_over_quota(&mut self, now: Now, id: ConnId, request_id: Option<&[u8]>, unfit: Unfit) {
        let mut payload = Vec::new();
        message::rate_limited(&mut payload, request_id, unfit.quota.exceeded(), unfit.wait.ms);
        self.stats.errors.add(ErrorCode::RateLimited, 1);
        self.answer_in_order(now, id, payload);
        self.note_refused(now, id);
    }

    /// Takes what an update of a batch needs.
    ///
    /// # Errors
    /// It exceeds a quota, and is added to what is left out.
    pub(super) fn take_for_update(
        &mut self,
        now: Now,
        id: ConnId,
        update: &Publication<'_>,
        left_out: &mut LeftOut,
    ) -> Result<(), Refusal> {
        match self.quotas.get_mut(&id).map(|left| left.publish(now, update)) {
            Some(Err(unfit)) if self.engine.refusals.refuses(unfit.quota) => {
                left_out.updates += 1;
                left_out.bytes += update.data.raw().len() as u64;
                Err(Refusal { code: ErrorCode::RateLimited, message: unfit.quota.exceeded().into() })
            }
            _ => Ok(()),
        }
    }

    /// Returns when what a batch left out can be published, in milliseconds from now; `None` if it left out nothing.
    pub(super) fn retry_ms(&self, now: Now, id: ConnId, left_out: &LeftOut) -> Option<u64> {
        let left = self.quotas.get(&id).filter(|_| left_out.updates > 0)?;
        Some(left.wait(now, left_out).map_or(1, |wait| wait.ms))
    }

    /// Notes that a request was refused, or a part of a batch, and answered. Sends a client away that goes on all the
    /// same.
    pub(super) fn note_refused(&mut self, now: Now, id: ConnId) {
        if self.quotas.get_mut(&id).is_none_or(|left| !left.note_refused(now)) {
            return;
        }
        let mut payload = Vec::new();
        message::goaway(&mut payload, ErrorCode::RateLimited.as_str(), AWAY_MS);
        self.answer(now, id, &payload);
        self.close(now, id, CloseReason::LimitExceeded, "rate_limited: the client went on in spite of refusals");
    }
}

#[cfg(test)]
mod tests;

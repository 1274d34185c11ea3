//! What new permissions have ended on a connection is reported: an error for each subscription and each topic, in
//! portions, before the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message;
use broker_protocol::pattern::Pattern;

use super::conn::{Authorizing, Phase};
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::fault;
use crate::sink::Sink;
use crate::topic::Topic;

/// Maximum number of names looked at before the directory's lock is released.
const NAMES_AT_ONCE: usize = fault::bound(64, 2);
/// Work to look at a name, in steps.
const NAME_STEPS: usize = 4;
/// The reason in the errors.
const NO_LONGER: &str = "the client's permissions have changed and no longer allow it";
const NO_ROOM: &str = "the client's permissions have changed, and there is no room for another pattern";

impl<S: Sink> Shard<S> {
    /// Whether an error may be reported now: there is work left, and the client reads its answers.
    fn may_report(&self, id: ConnId) -> bool {
        !self.work.is_spent() && self.conns[id].control_bytes() < self.engine.limits.answers_bytes_max()
    }

    fn report(&mut self, id: ConnId, now: Now, entry: &str, code: ErrorCode) {
        let text = if code == ErrorCode::Limit { NO_ROOM } else { NO_LONGER };
        let mut payload = Vec::new();
        message::subscription_error(&mut payload, entry, code, text);
        self.work.charge_bytes(payload.len());
        self.stats.errors.add(code, 1);
        self.answer(now, id, &payload);
    }

    /// Reports the subscriptions that ended. Returns whether all are reported.
    pub(super) fn report_ended(
        &mut self,
        id: ConnId,
        now: Now,
        request: &mut Authorizing,
        mut after: Option<Arc<str>>,
    ) -> bool {
        use std::ops::Bound;
        loop {
            if !self.may_report(id) {
                request.phase = Phase::ReportEnded { after };
                return false;
            }
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let Some((entry, code)) = request.ended.range::<str, _>((from, Bound::Unbounded)).next() else { break };
            self.report(id, now, entry, *code);
            after = Some(entry.clone());
        }
        request.phase = Phase::ReportDenied { moved: 0, denied: 0, after: None };
        true
    }

    /// Reports the topics that a moved pattern no longer brings because of one denied pattern. Returns whether all are
    /// reported.
    pub(super) fn report_denied(
        &mut self,
        id: ConnId,
        now: Now,
        request: &mut Authorizing,
        moved: usize,
        denied: usize,
        mut after: Option<Arc<str>>,
    ) -> bool {
        let Some(one) = request.moved.get(moved) else {
            request.phase = Phase::Done;
            return true;
        };
        let Some(pattern) = one.denied.patterns().get(denied).cloned() else {
            request.phase = Phase::ReportDenied { moved: moved + 1, denied: 0, after: None };
            return true;
        };
        if one.was_denied.patterns().contains(&pattern) {
            request.phase = Phase::ReportDenied { moved, denied: denied + 1, after: None };
            return true;
        }
        loop {
            if !self.may_report(id) {
                request.phase = Phase::ReportDenied { moved, denied, after };
                return false;
            }
            let (met, next) = self.names_from(&pattern, after.as_deref());
            self.work.charge(request.moved.len());
            if let Some(topic) = met
                && self.was_known(request, &topic)
                && request.reports(moved, denied, &topic)
            {
                self.report(id, now, topic.name(), ErrorCode::Forbidden);
            }
            match next {
                Some(name) => after = Some(name),
                None => break,
            }
        }
        request.phase = Phase::ReportDenied { moved, denied: denied + 1, after: None };
        true
    }

    /// The next live topic after a name that a pattern matches, if few names are tried, and the name to continue from, if
    /// there may be more.
    pub(super) fn names_from(&self, pattern: &Pattern, after: Option<&str>) -> (Option<Arc<Topic>>, Option<Arc<str>>) {
        let mut steps = NAMES_AT_ONCE;
        let next = self.engine.directory.read().next_match(pattern, after, &mut steps).map(Option::<&_>::cloned);
        self.work.charge((NAMES_AT_ONCE - steps + 1) * NAME_STEPS);
        match next {
            Ok(Some(topic)) => (Some(topic.clone()), Some(topic.name().clone())),
            Ok(None) => (None, None),
            Err(name) => (None, Some(name)),
        }
    }

    /// Whether the shard had read a topic's beginning when the permissions took effect.
    pub(super) fn was_known(&self, request: &Authorizing, topic: &Topic) -> bool {
        let begun_bytes = topic.begun_bytes.load(Ordering::Acquire);
        begun_bytes > 0 && begun_bytes <= request.feed_position
    }
}

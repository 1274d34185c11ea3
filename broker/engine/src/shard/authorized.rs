//! What new permissions have ended on a connection is reported: an error for each subscription and each topic, in
//! portions, before the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message;
use broker_protocol::pattern::Pattern;

use super::conn::{Authorizing, Phase};
use super::permits::PATTERNS_PER_STEP;
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
        request.phase = Phase::ReportDenied { denied: 0, after: None };
        true
    }

    /// Reports the topics that moved patterns no longer bring because of one denied pattern. Returns whether all are
    /// reported.
    pub(super) fn report_denied(
        &mut self,
        id: ConnId,
        now: Now,
        request: &mut Authorizing,
        denied: usize,
        mut after: Option<Arc<str>>,
    ) -> bool {
        let Some(more) = request.newly_denied[denied..].iter().position(|is_new| *is_new) else {
            request.phase = Phase::Done;
            return true;
        };
        let denied = denied + more;
        let pattern = request.readable.deny()[denied].clone();
        loop {
            if !self.may_report(id) {
                request.phase = Phase::ReportDenied { denied, after };
                return false;
            }
            let (met, next) = self.names_from(&pattern, after.as_deref());
            self.work.charge(request.denied_size() / PATTERNS_PER_STEP);
            if let Some(topic) = met
                && self.was_known(request, &topic)
                && request.reports(denied, &topic)
            {
                self.report(id, now, topic.name(), ErrorCode::Forbidden);
            }
            match next {
                Some(name) => after = Some(name),
                None => break,
            }
        }
        request.phase = Phase::ReportDenied { denied: denied + 1, after: None };
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

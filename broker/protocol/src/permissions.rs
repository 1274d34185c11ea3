//! What a client may do, as patterns: which topics it may read, to which it may publish, and which of both are denied.
//!
//! Allowed is what matches an allowed pattern and no denied one. A subscription to a pattern has to lie inside one
//! allowed pattern as a whole: silently narrowing it would leave the client waiting for topics that never come.

use std::fmt::Write as _;

use crate::codes::ErrorCode;
use crate::pattern::{Pattern, Segment};
use crate::quote::quote;
use crate::request::Refusal;
use crate::topic::is_reserved;

/// Maximum number of allowed patterns that an error names.
const NAMED_MAX: usize = 5;
/// An error names no further pattern once it has this many bytes: an answer may contain thousands of them.
const REFUSAL_BYTES: usize = 200;

/// The permissions of one client. Several clients may share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    sub: Vec<Pattern>,
    publish: Vec<Pattern>,
    deny: Vec<Pattern>,
    conflate_ms_min: u32,
    subscriptions_max: Option<u64>,
}

impl Permissions {
    /// Makes permissions from the patterns of topics that may be read, of topics that may be published to, and of topics
    /// for which neither is allowed. The order of a list and repeated patterns do not matter.
    pub fn new(sub: Vec<Pattern>, publish: Vec<Pattern>, deny: Vec<Pattern>) -> Permissions {
        Permissions {
            sub: set(sub),
            publish: set(publish),
            deny: set(deny),
            conflate_ms_min: 0,
            subscriptions_max: None,
        }
    }

    /// The same, with a least interval of conflation in ms; 0 is none.
    pub fn with_conflate_ms_min(self, conflate_ms_min: u32) -> Permissions {
        Permissions { conflate_ms_min, ..self }
    }

    /// The same, with a bound on the subscriptions of one connection; `None` is the bound that all have.
    pub fn with_subscriptions_max(self, subscriptions_max: Option<u64>) -> Permissions {
        Permissions { subscriptions_max, ..self }
    }

    /// The most subscriptions of one connection, if that is less than all may have.
    pub fn subscriptions_max(&self) -> Option<u64> {
        self.subscriptions_max
    }

    /// The patterns of topics that may be read, in the order of their texts.
    pub fn sub(&self) -> &[Pattern] {
        &self.sub
    }

    /// The patterns of topics that may be published to, in the order of their texts.
    pub fn publish(&self) -> &[Pattern] {
        &self.publish
    }

    /// The patterns of topics that are neither read nor published to, in the order of their texts.
    pub fn deny(&self) -> &[Pattern] {
        &self.deny
    }

    /// The least interval of a subscription, in ms: a shorter one is raised to it. 0 is none.
    pub fn conflate_ms_min(&self) -> u32 {
        self.conflate_ms_min
    }

    /// The number of all patterns.
    pub fn size(&self) -> usize {
        self.sub.len() + self.publish.len() + self.deny.len()
    }

    /// Whether a topic may be read.
    pub fn may_read(&self, topic: &str) -> bool {
        matches(&self.sub, topic) && !matches(&self.deny, topic)
    }

    /// Whether a topic may be published to.
    pub fn may_publish(&self, topic: &str) -> bool {
        matches(&self.publish, topic) && !matches(&self.deny, topic)
    }

    /// Whether a pattern may be subscribed to. Some of its topics may be denied nevertheless.
    pub fn may_subscribe(&self, pattern: &Pattern) -> bool {
        self.sub.iter().any(|allowed| allowed.covers(pattern)) && !self.deny.iter().any(|denied| denied.covers(pattern))
    }

    /// The denied patterns that match some topic of `pattern`, in the order of their texts.
    pub fn denied_within(&self, pattern: &Pattern) -> impl Iterator<Item = &Pattern> {
        self.deny.iter().filter(|denied| denied.overlaps(pattern))
    }

    /// Refuses to read a topic, unless that is allowed.
    ///
    /// # Errors
    /// `forbidden`, whether the topic exists or not.
    pub fn check_read(&self, topic: &str) -> Result<(), Refusal> {
        if self.may_read(topic) { Ok(()) } else { Err(forbidden(topic, "read it")) }
    }

    /// Refuses to publish to a topic, unless that is allowed.
    ///
    /// # Errors
    /// `forbidden`, whether the topic exists or not.
    pub fn check_publish(&self, topic: &str) -> Result<(), Refusal> {
        if self.may_publish(topic) { Ok(()) } else { Err(forbidden(topic, "publish to it")) }
    }

    /// Says why a subscription to a topic is refused.
    pub fn topic_refusal(&self, topic: &str) -> String {
        let denied =
            if matches(&self.sub, topic) { self.deny.iter().find(|denied| denied.matches(topic)) } else { None };
        self.refusal(denied)
    }

    /// Says why a subscription to a pattern is refused.
    pub fn pattern_refusal(&self, pattern: &Pattern) -> String {
        let is_within = self.sub.iter().any(|allowed| allowed.covers(pattern));
        let denied = if is_within { self.deny.iter().find(|denied| denied.covers(pattern)) } else { None };
        self.refusal(denied)
    }

    /// Names the pattern that denies what would be allowed without it, or else some patterns that are allowed.
    fn refusal(&self, denied: Option<&Pattern>) -> String {
        let mut text = String::from("this client may not read it");
        if let Some(denied) = denied {
            let _ = write!(text, ": {denied} is denied");
            return text;
        }
        for (at, pattern) in self.sub.iter().enumerate() {
            if at == NAMED_MAX || text.len() > REFUSAL_BYTES {
                text.push_str(", …");
                break;
            }
            let _ = write!(text, "{}{pattern}", if at == 0 { "; it may subscribe within " } else { ", " });
        }
        text
    }
}

fn forbidden(topic: &str, what: &str) -> Refusal {
    Refusal { code: ErrorCode::Forbidden, message: format!("{}: this client may not {what}", quote(topic)) }
}

/// Whether one of the patterns matches a topic.
fn matches(patterns: &[Pattern], topic: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(topic))
}

fn set(mut patterns: Vec<Pattern>) -> Vec<Pattern> {
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

impl Pattern {
    /// Whether it matches every topic that `inner` matches, judged segment by segment: `>` covers all that follows, `*`
    /// covers `*` and a literal.
    pub fn covers(&self, inner: &Pattern) -> bool {
        if self.excludes_reserved() && is_reserved(inner.as_str()) {
            return false;
        }
        let mut inner = inner.segments();
        for outer in self.segments() {
            match (outer, inner.next()) {
                (Segment::Rest, Some(_)) => return true,
                (Segment::One, Some(Segment::One | Segment::Literal(_))) => {}
                (Segment::Literal(outer), Some(Segment::Literal(inner))) if outer == inner => {}
                _ => return false,
            }
        }
        inner.next().is_none()
    }

    /// Whether some topic matches both patterns.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let excludes = |one: &Pattern, other: &Pattern| one.excludes_reserved() && is_reserved(other.as_str());
        if excludes(self, other) || excludes(other, self) {
            return false;
        }
        let (mut ours, mut theirs) = (self.segments(), other.segments());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Segment::Rest), Some(_)) | (Some(_), Some(Segment::Rest)) => return true,
                (Some(Segment::Literal(one)), Some(Segment::Literal(other))) if one != other => return false,
                (Some(_), Some(_)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect("a pattern")
    }

    fn permissions(sub: &[&str], publish: &[&str], deny: &[&str]) -> Permissions {
        let list = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect();
        Permissions::new(list(sub), list(publish), list(deny))
    }

    #[test]
    fn a_pattern_lies_inside_another() {
        let table = [
            ("stocks.>", "stocks.AAPL.quote", true),
            ("stocks.>", "stocks.*.quote", true),
            ("stocks.>", "stocks.>", true),
            ("stocks.>", "stocks", false),
            ("stocks.*", "stocks.>", false),
            ("stocks.*", "stocks.*", true),
            ("stocks.*", "stocks.AAPL", true),
            ("stocks.AAPL", "stocks.*", false),
            ("*.quote", "stocks.quote", true),
            ("*.>", ">", false),
            (">", "*.>", true),
            (">", "$SYS.>", false),
            ("*.stats", "$SYS.stats", false),
            ("$SYS.>", "$SYS.stats", true),
        ];
        for (outer, inner, expected) in table {
            assert_eq!(pattern(outer).covers(&pattern(inner)), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn allowed_less_denied() {
        let held = permissions(&["stocks.>", "users.42.>"], &["chat.>"], &["stocks.*.internal", "chat.admin"]);
        let reads = ["stocks.A", "stocks.A.quote", "users.42.x"].map(|topic| held.may_read(topic));
        assert_eq!(reads, [true; 3]);
        let not = ["stocks.A.internal", "users.41.x", "chat.x", "$SYS.stats"].map(|topic| held.may_read(topic));
        assert_eq!(not, [false; 4]);
        assert_eq!(["chat.x", "chat.admin", "stocks.A"].map(|topic| held.may_publish(topic)), [true, false, false]);
        assert!(held.may_subscribe(&pattern("stocks.>")));
        assert!(!held.may_subscribe(&pattern("stocks.*.internal")) && !held.may_subscribe(&pattern(">")));
        let within = |text| held.denied_within(&pattern(text)).map(Pattern::as_str).collect::<Vec<_>>();
        assert_eq!((within("stocks.>"), within("users.42.>")), (vec!["stocks.*.internal"], vec![]));
    }

    #[test]
    fn a_refusal_names_at_most_five_patterns() {
        let held = permissions(&["a", "b", "c", "d", "e", "f"], &[], &[]);
        let refusal = "this client may not read it; it may subscribe within a, b, c, d, e, …";
        assert_eq!((held.topic_refusal("x"), held.pattern_refusal(&pattern(">"))), (refusal.into(), refusal.into()));
        assert_eq!(Permissions::default().topic_refusal("a"), "this client may not read it");
    }

    #[test]
    fn a_refusal_names_what_denies_only_where_that_is_the_reason() {
        let held = permissions(&["stocks.>"], &[], &["stocks.*.internal", "chat.>"]);
        let denied = "this client may not read it: stocks.*.internal is denied";
        assert_eq!(held.topic_refusal("stocks.A.internal"), denied);
        assert_eq!(held.pattern_refusal(&pattern("stocks.*.internal")), denied);
        let within = "this client may not read it; it may subscribe within stocks.>";
        assert_eq!(held.topic_refusal("chat.a"), within);
        assert_eq!(held.pattern_refusal(&pattern("chat.*")), within);
    }
}

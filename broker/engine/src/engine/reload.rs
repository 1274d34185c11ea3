//! New limits while the broker runs.

use std::sync::Arc;

use super::Engine;
use crate::clock::Now;
use crate::limits::Limits;

/// Updates that a topic drops before others may have its lock.
const DROPPED_AT_ONCE: usize = 1024;

impl Engine {
    /// Takes on new limits: those that may change ([`InForce`](crate::InForce)). A lower bound is kept from now on; what
    /// exceeds it already is given up as always, the largest first. Topics take on new rules in
    /// [`Engine::adopt_rules`].
    pub fn change_limits(&self, limits: Limits) {
        // By the caller and not by whoever publishes next.
        self.budget.fit_histories(limits.retain_bytes_max);
        self.budget.fit_encoded(limits.images_encoded_bytes_max);
        self.limits.change(limits);
    }

    /// Lets `count` topics after `after` take on the rules in force: how much of them is kept. Their kind remains, as
    /// long as they live. Returns the name to continue from, or `None` at the end.
    pub fn adopt_rules(&self, now: Now, after: Option<&str>, count: usize) -> Option<Arc<str>> {
        let rules = self.limits.rules();
        let mut at: Option<Arc<str>> = after.map(Into::into);
        for _ in 0..count {
            let topic = self.directory.read().next(at.as_deref()).cloned()?;
            at = Some(topic.name().clone());
            let (_, retain) = rules.of(topic.name());
            let mut state = topic.lock();
            while !state.closed && !state.history.trim_some(&retain, now.mono_us, DROPPED_AT_ONCE) {
                self.budget.count_history(&topic, &mut state);
                drop(state);
                state = topic.lock();
            }
            state.retain = retain;
            self.budget.count_history(&topic, &mut state);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use broker_protocol::data::Data;
    use broker_protocol::kind::Kind;
    use broker_protocol::pattern::Pattern;
    use broker_protocol::request::Publication;

    use super::*;
    use crate::engine::Publisher;
    use crate::limits::{Retain, TopicRule};

    const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

    fn publish(engine: &Engine, topic: &str, kind: Option<Kind>) -> Arc<crate::Topic> {
        let update = Publication {
            topic: Cow::Borrowed(topic),
            kind,
            data: Data::check("1").unwrap(),
            source: None,
            source_ts: None,
        };
        engine.publish(NOW, &update, Publisher::Client).unwrap().topic
    }

    fn kept(topic: &crate::Topic) -> u64 {
        let state = topic.lock();
        state.seq() + 1 - state.history.oldest()
    }

    /// Adopts the rules topic by topic.
    fn adopt_all(engine: &Engine) {
        let mut after = engine.adopt_rules(NOW, None, 1);
        while let Some(name) = after {
            after = engine.adopt_rules(NOW, Some(&name), 1);
        }
    }

    #[test]
    fn topics_take_on_new_rules_and_keep_their_kind() {
        let updates = DROPPED_AT_ONCE as u64 * 3;
        let retain = Retain { updates, bytes: 1 << 30, ms: 0 };
        let engine = Engine::new(Limits { retain, ..Limits::default() }, 1, Vec::new());
        let topics = ["a.one", "a.two", "b"].map(|name| publish(&engine, name, Some(Kind::Event)));
        for _ in 1..updates {
            topics.iter().for_each(|topic| drop(publish(&engine, topic.name(), None)));
        }
        assert_eq!(topics.each_ref().map(|topic| kept(topic)), [updates; 3]);
        let rule = TopicRule {
            pattern: Pattern::parse("a.>").unwrap(),
            kind: Some(Kind::State),
            retain: Retain { updates: 5, ..retain },
        };
        engine.change_limits(Limits { retain, topics: vec![rule], topic_idle_ms: 7, ..Limits::default() });
        assert_eq!(engine.limits().topic_idle_ms(), 7);
        adopt_all(&engine);
        assert_eq!(topics.each_ref().map(|topic| kept(topic)), [5, 5, updates]);
        assert_eq!(engine.budget().histories(), topics.iter().map(|topic| topic.lock().history.bytes()).sum::<u64>());
        publish(&engine, "a.one", None);
        assert_eq!((kept(&topics[0]), topics[0].kind()), (5, Kind::Event));
        assert_eq!(publish(&engine, "a.three", None).kind(), Kind::State);
        // More again.
        engine.change_limits(Limits { retain, ..Limits::default() });
        adopt_all(&engine);
        for _ in 0..10 {
            publish(&engine, "a.one", None);
        }
        assert_eq!(kept(&topics[0]), 15);
    }

    #[test]
    fn what_no_longer_fits_is_given_up_at_once() {
        let engine = Engine::new(Limits::default(), 1, Vec::new());
        for _ in 0..1000 {
            publish(&engine, "a", Some(Kind::Event));
        }
        let held = engine.budget().histories();
        engine.change_limits(Limits { retain_bytes_max: held / 3, ..Limits::default() });
        assert!(engine.budget().histories() <= held / 3);
    }
}

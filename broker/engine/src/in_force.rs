//! The limits in force. Those that may change while the broker runs are atomics, so that reading one on the delivery
//! path costs what reading a plain number costs; the others are plain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use broker_protocol::kind::Kind;

use crate::limits::{Limits, Retain, TopicRule};
use crate::log::Rule;
use crate::sync::unpoisoned;

/// How much is kept of which topics.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Of a topic that no rule matches.
    pub(crate) retain: Retain,
    topics: Vec<TopicRule>,
}

impl Rules {
    /// The rule for a topic: its kind if the configuration fixes one, and how much of it is kept. A topic that grows by
    /// patches has the kind of states.
    pub(crate) fn of(&self, topic: &str) -> (Option<Kind>, Retain) {
        match self.topics.iter().find(|rule| rule.pattern.matches(topic)) {
            Some(rule) => (rule.kind.map(Kind::of_topic), rule.retain),
            None => (None, self.retain),
        }
    }

    /// The kinds that the rules fix, in their order, as a journal's log has them.
    pub(crate) fn kinds(&self) -> Vec<Rule> {
        self.topics.iter().map(|rule| Rule { pattern: rule.pattern.clone(), kind: rule.kind }).collect()
    }
}

/// Declares [`InForce`]: the limits that never change, and those that may.
macro_rules! in_force {
    (fixed { $($fixed:ident: $fixed_type:ty,)+ } live { $($live:ident: $live_type:ty,)+ }) => {
        /// The limits that the engine runs on, each as in [`Limits`].
        #[derive(Debug)]
        pub struct InForce {
            $(
                #[doc = concat!("See [`Limits::", stringify!($fixed), "`].")]
                pub $fixed: $fixed_type,
            )+
            $($live: AtomicU64,)+
            rules: RwLock<Arc<Rules>>,
        }

        impl InForce {
            pub(crate) fn new(limits: Limits) -> Self {
                Self {
                    $($live: AtomicU64::new(limits.$live as u64),)+
                    rules: RwLock::new(Arc::new(Rules { retain: limits.retain, topics: limits.topics })),
                    $($fixed: limits.$fixed,)+
                }
            }

            $(
                #[doc = concat!("See [`Limits::", stringify!($live), "`].")]
                #[inline]
                pub fn $live(&self) -> $live_type {
                    self.$live.load(Ordering::Relaxed) as $live_type
                }
            )+

            /// Takes on the values of those that may change.
            pub(crate) fn change(&self, limits: Limits) {
                $(self.$live.store(limits.$live as u64, Ordering::Relaxed);)+
                *unpoisoned(self.rules.write()) = Arc::new(Rules { retain: limits.retain, topics: limits.topics });
            }
        }
    };
}

in_force! {
    fixed {
        // A client was told these, and relies on them as long as its connection lasts.
        heartbeat_ms: u32,
        message_bytes: u64,
        // Memory that exists already.
        ring_bytes: usize,
        feed_bytes_max: u64,
        // What a run of the broker is known by.
        order_base: u64,
        order_first: u64,
        order_base_mono_us: u64,
        order_age_us: u64,
        server: String,
        node: Option<String>,
        close_ms: u32,
    }
    live {
        topics_max: u64,
        image_bytes: u64,
        images_bytes_max: u64,
        images_encoded_bytes_max: u64,
        images_partial_bytes_max: u64,
        sources_bytes_max: u64,
        behind_bytes_max: u64,
        buffers_bytes_max: u64,
        names_waited_bytes_max: u64,
        subscriptions_bytes_max: u64,
        publishers_bytes_max: u64,
        retain_bytes_max: u64,
        subscriptions: u64,
        behind_bytes: u64,
        turn_bytes_max: usize,
        answers_bytes_max: usize,
        write_gap_us: u64,
        stall_ms: u32,
        topic_idle_ms: u64,
    }
}

impl InForce {
    /// How much is kept of which topics. They are read when a topic begins, and not when it is published to.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        unpoisoned(self.rules.read()).clone()
    }

    /// How much is kept of a topic that no rule matches.
    pub fn retain(&self) -> Retain {
        self.rules().retain
    }

    /// Whether these rules are still those in force.
    pub(crate) fn are_in_force(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(rules, &*unpoisoned(self.rules.read()))
    }

    /// Whether updates or topics can grow too old.
    pub fn has_ages(&self) -> bool {
        let rules = self.rules();
        let ages = rules.retain.ms > 0 || rules.topics.iter().any(|rule| rule.retain.ms > 0);
        ages || self.topic_idle_ms() > 0
    }
}

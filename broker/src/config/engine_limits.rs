//! The engine's share of the configuration, in the engine's own terms.

use broker_engine::{Limits, Rates, Retain, TopicRule};

use super::settings::Config;

impl Config {
    /// The engine's limits. What a rule for some topics does not set is as for all topics.
    pub fn engine_limits(&self) -> Limits {
        let retain = Retain { updates: self.retain_updates, bytes: self.retain_bytes, ms: self.retain_ms };
        let rules = self.topics.iter().map(|rule| TopicRule {
            pattern: rule.pattern.clone(),
            kind: rule.kind,
            retain: Retain {
                updates: rule.retain_updates.unwrap_or(retain.updates),
                bytes: rule.retain_bytes.unwrap_or(retain.bytes),
                ms: rule.retain_ms.unwrap_or(retain.ms),
            },
        });
        Limits {
            topics_max: self.topics_max.into(),
            image_bytes: self.image_bytes,
            images_bytes_max: self.images_bytes_max,
            images_encoded_bytes_max: match self.images_encoded_bytes_max {
                0 => self.images_bytes_max / 2,
                bytes => bytes,
            },
            images_partial_bytes_max: self.images_partial_bytes_max,
            sources_bytes_max: self.sources_bytes_max,
            behind_bytes_max: self.behind_bytes_max,
            buffers_bytes_max: self.buffers_bytes_max,
            names_waited_bytes_max: self.names_waited_bytes_max,
            subscriptions_bytes_max: self.subscriptions_bytes_max,
            publishers_bytes_max: self.publishers_bytes_max,
            retain,
            retain_bytes_max: self.retain_bytes_max,
            topics: rules.collect(),
            subscriptions: self.subscriptions.into(),
            behind_bytes: self.behind_bytes,
            turn_bytes_max: size(self.turn_bytes_max),
            answers_bytes_max: size(self.answers_bytes_max),
            ring_bytes: size(self.ring_bytes),
            write_gap_us: u64::from(self.write_gap_ms) * 1000,
            heartbeat_ms: self.heartbeat_ms,
            stall_ms: self.stall_ms,
            feed_bytes_max: self.feed_bytes_max,
            message_bytes: self.message_bytes,
            topic_idle_ms: self.topic_idle_ms,
            quota_dry_run: self.quota_dry_run,
            ..Limits::default()
        }
    }
}

impl Config {
    /// What every client may do in a second.
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            requests: self.requests_per_s,
            subscribes: self.subscribes_per_s,
            publishes: self.publishes_per_s,
            publish_bytes: self.publish_bytes_per_s,
        }
    }
}

/// A size in memory. The settings' bounds are far below what a 64-bit machine can address.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

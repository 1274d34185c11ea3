//! What programs publish to the log themselves, under `NAME.in.TOPIC`: the payload is `data`, and headers say the rest.
//! All brokers read it where it stands, whatever they are configured with.

use std::time::Duration;

use async_nats::HeaderMap;
use broker_engine::log::Inbound;
use broker_engine::{Applied, Engine, Outcome};
use broker_protocol::topic::TOPIC_BYTES_MAX;
use tokio::time::Instant;

use super::reader::Logged;
use super::status::NatsStatus;
use crate::status::add;

/// The kind of the update; the topic's own if it is absent.
const KIND: &str = "Tickcast-Kind";
/// The source.
const SOURCE: &str = "Tickcast-Source";
/// Its `source_seq`.
const SOURCE_SEQ: &str = "Tickcast-Source-Seq";
/// The producer's own time.
const SOURCE_TS: &str = "Tickcast-Source-Ts";

/// How often it is said in this broker's log what was refused.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What has come from such programs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    said: Option<Instant>,
    /// Refused since then, and not said.
    unsaid: u64,
}

impl Programs {
    /// Applies a message. What is not valid is counted, and not applied by any broker.
    pub(super) fn apply(
        &mut self,
        engine: &Engine,
        applied: &mut Applied,
        status: &NatsStatus,
        mono_us: u64,
        topic: &str,
        message: &Logged,
    ) {
        let result = applied.apply_inbound(engine, mono_us, &inbound(topic, message));
        match result {
            Ok(Outcome::Published(done)) if done.duplicate => add(&status.inbound_duplicates, 1),
            Ok(_) => add(&status.inbound_taken, 1),
            Err(refusal) => {
                status.count_inbound_refused(refusal.code);
                self.say(topic, message.position, &refusal.message);
            }
        }
    }

    /// Says why something was refused. Whoever published it has been told by NATS that it is stored, and nothing more.
    fn say(&mut self, topic: &str, position: u64, why: &str) {
        if self.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            self.unsaid += 1;
            return;
        }
        let others = std::mem::take(&mut self.unsaid);
        self.said = Some(Instant::now());
        let topic: String = topic.chars().take(TOPIC_BYTES_MAX).flat_map(char::escape_default).collect();
        tracing::warn!(position, others, "what a program published to {topic} in NATS is not taken: {why}");
    }
}

fn inbound<'a>(topic: &'a str, message: &'a Logged) -> Inbound<'a> {
    let header = |name| text(message.headers.as_ref(), name);
    Inbound {
        ts_us: message.ts_us,
        topic,
        kind: header(KIND),
        source: header(SOURCE),
        source_seq: header(SOURCE_SEQ),
        source_ts: header(SOURCE_TS),
        data: &message.bytes,
    }
}

/// A header's text; the first, if there are several.
fn text<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(|value| value.as_str())
}

//! The generation of a log: what its epochs and its ids are made from. It stands in the log itself, under a subject of its
//! own, and in the head of each checkpoint.
//!
//! A new one begins when the log is new, or when it has lost what brokers had read: then all epochs are new, and clients
//! are told to begin anew.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use serde::{Deserialize, Serialize};

use super::error::NatsError;
use super::options::Options;
use crate::store::Generation;

/// The version of the rules by which commands are applied.
pub(super) const RULES: u64 = 1;

/// How often it is tried to find or to begin a generation beside other brokers.
const TRIES: u32 = 10;

/// A message that begins a generation, as JSON: operators can read it with the tools of NATS.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begins {
    nonce: u64,
    start_us: u64,
    rules: u64,
    why: String,
}

impl Begins {
    /// A generation whose ids are above this one.
    pub(super) fn new(nonce: u64, start_us: u64, why: &str) -> Self {
        Self { nonce, start_us, rules: RULES, why: why.into() }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, NatsError> {
        serde_json::to_vec(self).map_err(|error| NatsError::api("beginning a generation", error))
    }

    /// # Errors
    /// It is not one, or of other rules than this program's.
    pub(super) fn decode(bytes: &[u8]) -> Result<Generation, NatsError> {
        let begins: Self =
            serde_json::from_slice(bytes).map_err(|error| NatsError::api("reading the log's generation", error))?;
        if begins.rules != RULES {
            return Err(NatsError::Rules { found: begins.rules, own: RULES });
        }
        Ok(Generation { nonce: begins.nonce, start_us: begins.start_us, first_ordinal: 0 })
    }
}

/// The newest generation that stands in the log, and its position.
pub(super) async fn newest(stream: &Stream, options: &Options) -> Result<Option<(Generation, u64)>, NatsError> {
    match stream.get_last_raw_message_by_subject(&options.generations()).await {
        Ok(message) => Ok(Some((Begins::decode(&message.payload)?, message.sequence))),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::JetStream(found) if found.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            kind => Err(NatsError::api("reading the log's generation", kind)),
        },
    }
}

/// Begins a generation after the one at the position `before`, 0 for none, unless another broker is faster: then that
/// one's counts.
pub(super) async fn begin(
    js: &Context,
    stream: &Stream,
    options: &Options,
    before: u64,
    begins: &Begins,
) -> Result<(Generation, u64), NatsError> {
    let failed = |why: &dyn std::fmt::Display| NatsError::api("beginning a generation", why);
    let mut last = None;
    for _ in 0..TRIES {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, before.to_string());
        let sent = js.publish_with_headers(options.generations(), headers, begins.encode()?.into()).await;
        let acknowledged = sent.map_err(|error| failed(&error))?.await;
        match acknowledged {
            Ok(_) => {}
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
            // It may have been taken all the same.
            Err(error) => last = Some(error),
        }
        if let Some((generation, position)) = newest(stream, options).await?
            && position > before
        {
            return Ok((generation, position));
        }
    }
    Err(failed(&last.map_or_else(|| "it was not taken".into(), |error| error.to_string())))
}

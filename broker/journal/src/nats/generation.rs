//! The generation of a log: what its epochs and its ids are made from. It stands in the log itself, under a subject of its
//! own, and in the head of each checkpoint.
//!
//! A new one begins when the log is new, or when it has lost what brokers had read: then all epochs are new, and clients
//! are told to begin anew.

use serde::{Deserialize, Serialize};

use super::error::NatsError;
use crate::store::Generation;

/// The version of the rules by which commands are applied.
pub(super) const RULES: u64 = 1;

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

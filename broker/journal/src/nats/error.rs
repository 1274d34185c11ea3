//! Why a log in NATS cannot be used.

use std::io;
use std::path::PathBuf;

use broker_engine::log::{Flaw, RecordError};

use crate::checkpoint::{CheckpointError, RestoringError};

/// Why a log in NATS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// An address is not one.
    #[error("{address:?} is no address of a NATS server: expected nats://host:4222 or tls://host:4222")]
    Address {
        /// Without user and password.
        address: String,
    },
    /// A file of the settings cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The servers do not let this broker in.
    #[error(
        "NATS does not let this broker in: {why}. Check user and password in journal_nats, or journal_nats_credentials"
    )]
    Refused {
        /// What they say.
        why: String,
    },
    /// No TLS.
    #[error("no TLS connection to NATS: {why}. Check journal_nats_ca, journal_nats_cert and journal_nats_key")]
    Tls {
        /// Why.
        why: String,
    },
    /// The servers take shorter messages than this broker may write.
    #[error(
        "a record of the log may have {needed} bytes (journal_record_bytes and message_bytes), and the NATS servers take \
         {max_payload}: raise max_payload there, or lower these settings"
    )]
    MaxPayload {
        /// What they take.
        max_payload: u64,
        /// What is needed.
        needed: u64,
    },
    /// The servers are too old.
    #[error("the NATS server is version {version}: 2.11 or later is needed")]
    Version {
        /// What it says.
        version: String,
    },
    /// The servers have no JetStream, or another answer was not what was needed.
    #[error("NATS JetStream: {what}: {why}")]
    Api {
        /// What was asked for.
        what: &'static str,
        /// What came of it.
        why: String,
    },
    /// A stream of this name is not a log.
    #[error("the stream {stream} cannot be the log: {}", flaws.join("; "))]
    Stream {
        /// Its name.
        stream: String,
        /// What is wrong, and what to do.
        flaws: Vec<String>,
    },
    /// The log is not the one that the checkpoints are from.
    #[error(
        "the log {stream} does not go on where its checkpoints are: it was deleted, emptied or restored ({why}). Restore it \
         as it was; or delete the stream, if it is there, and start one broker with journal_recreate = true to begin anew: \
         then topics are lost, and clients are told to begin anew"
    )]
    Incomplete {
        /// The stream.
        stream: String,
        /// What was found.
        why: String,
    },
    /// The generation is of other rules.
    #[error(
        "the log follows version {found} of the rules, and this program version {own}: all brokers of a log have to run \
         programs of one version"
    )]
    Rules {
        /// What the log says.
        found: u64,
        /// What this program follows.
        own: u64,
    },
    /// A record that stands in the log cannot be read.
    #[error(
        "record {position} of the log, by {node}, cannot be applied: {error}. A program of another version may have written \
         it: run the newest of those that are in use"
    )]
    Record {
        /// Its position.
        position: u64,
        /// Who wrote it.
        node: String,
        /// What is wrong with it.
        #[source]
        error: RecordError,
    },
    /// A message of the log is of nobody.
    #[error("message {position} of the log has the subject {subject}, which no broker writes")]
    Subject {
        /// Its position.
        position: u64,
        /// The subject.
        subject: String,
    },
    /// Another broker has this broker's name.
    #[error("another broker with the name {node} (journal_node) has taken over: each broker needs a name of its own")]
    Superseded {
        /// The name.
        node: String,
    },
    /// A checkpoint cannot be restored.
    #[error(transparent)]
    Restoring(#[from] RestoringError),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What this broker says of itself does not fit into a record.
    #[error("the journal's own record: {0}")]
    Own(#[from] Flaw),
}

impl NatsError {
    pub(super) fn api(what: &'static str, why: impl std::fmt::Display) -> Self {
        NatsError::Api { what, why: why.to_string() }
    }
}

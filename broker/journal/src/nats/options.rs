//! What a log in NATS is made and used with.

use std::path::PathBuf;

/// How a log in NATS is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Addresses of the servers, as in `nats://host:4222` or `tls://host:4222`. User and password may stand in them.
    pub servers: Vec<String>,
    /// A file with credentials: a JWT and the seed of its key.
    pub credentials: Option<PathBuf>,
    /// A file with the certificates of authorities that the servers' certificates may be from; without it, those that the
    /// system trusts.
    pub ca: Option<PathBuf>,
    /// Files with the certificate and the key by which the servers know this broker.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name of the log: its stream is `NAME_LOG`, the store of its checkpoints `NAME_CP`.
    pub name: String,
    /// This broker's name, which no other one of the log may have.
    pub node: String,
    /// Replicas of a stream that has to be made.
    pub replicas: usize,
    /// Maximum bytes of a stream that has to be made.
    pub bytes_max: u64,
    /// Maximum bytes of a record: what the servers have to take as one message.
    pub record_bytes_max: u64,
    /// Records that may be on their way.
    pub in_flight: usize,
    /// How long after it was sent a record is sent again that was not acknowledged, in milliseconds.
    pub ack_ms: u64,
    /// How long nothing may come from the log until clients are told that the broker is stale, in milliseconds.
    pub stale_ms: u64,
    /// How long nothing may come from the log until the broker is not ready, in milliseconds.
    pub unready_ms: u64,
    /// Whether programs may publish to the log themselves: the stream has a subject for them.
    pub inbound: bool,
    /// Begin anew if the stream does not go on where the checkpoints are.
    pub recreate: bool,
    /// A directory for files that are needed for a while: checkpoints on their way.
    pub scratch: PathBuf,
    /// A checkpoint is begun when the log has grown by this much since the last one, or by twice the size of that if it
    /// is more, in bytes.
    pub checkpoint_bytes: u64,
}

impl Options {
    pub(super) fn stream(&self) -> String {
        format!("{}_LOG", self.name)
    }

    pub(super) fn bucket(&self) -> String {
        format!("{}_CP", self.name)
    }

    /// The subject of this broker's records.
    pub(super) fn own_subject(&self) -> String {
        format!("{}.log.{}", self.name, self.node)
    }

    /// The subjects of all records.
    pub(super) fn subjects(&self) -> Vec<String> {
        let mut subjects = vec![format!("{}.log.*", self.name), self.generations()];
        subjects.extend(self.inbound.then(|| self.inbound_subjects()));
        subjects
    }

    /// The subjects of what programs publish to the log themselves.
    pub(super) fn inbound_subjects(&self) -> String {
        format!("{}.in.>", self.name)
    }

    /// The subject of the messages that begin a generation.
    pub(super) fn generations(&self) -> String {
        format!("{}.generation", self.name)
    }

    /// The broker that wrote a record, by its subject.
    pub(super) fn node_of<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.name)?.strip_prefix(".log.")
    }

    /// The topic to which a program has published, by the subject.
    pub(super) fn topic_of<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.name)?.strip_prefix(".in.")
    }
}

//! With a journal, what clients ask for is done when it stands in the log: it is gathered into records here, whoever
//! drives the log writes and applies them, and the answers come back the way the requests came.
//!
//! ```text
//! shards, HTTP ──submit──▶ gathering ──take──▶ the log, then Applied::apply ──answer──▶ mailbox of each shard, waiters
//! ```
//!
//! Nothing here reads a clock, writes a file or waits.

mod answers;
mod gathering;
mod rules;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

pub use self::answers::{Answers, Completion, ReplyTo, Waiter};
pub use self::gathering::{Gathered, Gathering, Waiting};
pub(crate) use self::rules::Rules;
use crate::log::Settings;
use crate::sync::{Mutex, lock};

/// What an engine with a journal is made with.
pub struct JournalOptions {
    /// What sets the epochs of this log apart from those of any other.
    pub nonce: u64,
    /// A record that has this many bytes is closed. The last command may exceed it.
    pub record_bytes: usize,
    /// Publishers wait while this much waits for the log, in bytes.
    pub queue_bytes: u64,
    /// How long a publish may wait for its answer, in milliseconds; then it is `unavailable`.
    pub unavailable_ms: u64,
    /// Whether other brokers write this log, too: then a client may come from one that has read more of it.
    pub shared: bool,
    /// How long such a client may wait until this broker has read as much, in milliseconds; then what it asks for is
    /// `unavailable`. Without effect unless the log is shared.
    pub stale_ms: u64,
    /// Called when something waits and nothing did before.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

/// What an engine with a journal has in addition.
pub struct Journal {
    pub(crate) nonce: u64,
    unavailable_ms: u64,
    shared: bool,
    stale_ms: u64,
    gathering: Gathering,
    mailboxes: Box<[Mutex<Vec<Completion>>]>,
    pub(crate) rules: Rules,
}

impl Journal {
    pub(crate) fn new(options: JournalOptions, shards: usize) -> Self {
        let JournalOptions { nonce, record_bytes, queue_bytes, unavailable_ms, shared, stale_ms, wake } = options;
        Self {
            nonce,
            unavailable_ms,
            shared,
            stale_ms,
            gathering: Gathering::new(record_bytes, queue_bytes, wake),
            mailboxes: (0..shards).map(|_| Mutex::default()).collect(),
            rules: Rules::default(),
        }
    }

    /// What waits for the log.
    pub fn gathering(&self) -> &Gathering {
        &self.gathering
    }

    /// The settings of the log that are in force; `None` before the first.
    pub fn settings(&self) -> Option<Settings> {
        self.rules.settings()
    }

    /// How long a publish may wait for its answer, in milliseconds.
    pub fn unavailable_ms(&self) -> u64 {
        self.unavailable_ms
    }

    /// Whether other brokers write its log, too.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// How long a client that is ahead of this broker may wait for it, in milliseconds.
    pub fn stale_ms(&self) -> u64 {
        self.stale_ms
    }

    /// Gives a shard answers.
    fn deliver(&self, shard: usize, answers: &mut Vec<Completion>) {
        if let Some(mailbox) = self.mailboxes.get(shard) {
            lock(mailbox).append(answers);
        }
    }

    /// Takes out a shard's answers, in the order of the log.
    pub(crate) fn collect(&self, shard: usize, into: &mut Vec<Completion>) {
        std::mem::swap(&mut *lock(&self.mailboxes[shard]), into);
    }

    /// Whether a shard has answers to collect.
    pub(crate) fn has_answers(&self, shard: usize) -> bool {
        !lock(&self.mailboxes[shard]).is_empty()
    }
}

/// The refusal of a publish of which it is not known whether it will be taken.
pub fn unknown() -> Refusal {
    let message = "the journal has not answered in time. It is unknown whether this is taken: publish it again with the \
                   same source and source_seq";
    Refusal { code: ErrorCode::Unavailable, message: message.into() }
}

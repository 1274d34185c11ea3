//! What a record can say.

use broker_protocol::{Data, Kind, Pattern};

use crate::log::digest::Digest;

/// A command of a record: an update, the end of a topic, or at most once per record one of the *control* entries, by
/// which brokers tell each other about themselves.
#[derive(Debug, Clone)]
pub enum Entry<'a> {
    /// An update was published.
    Publish {
        /// The topic.
        topic: &'a str,
        /// The kind; if absent, the topic's own.
        kind: Option<Kind>,
        /// The source and its `source_seq`.
        source: Option<(&'a str, u64)>,
        /// The producer's own time.
        source_ts: Option<u64>,
        /// The value, without white space outside strings.
        data: Data<'a>,
    },
    /// A topic ends.
    End {
        /// The topic.
        topic: &'a str,
        /// The epoch and the `seq` that it must still have; without them it ends in any case.
        only: Option<(&'a str, u64)>,
    },
    /// Control: the broker begins a session. Stands in the session's first record, number 0.
    Open {
        /// The broker.
        node: &'a str,
        /// The session, which is the record's.
        session: u64,
    },
    /// Control: the broker is alive.
    Beat {
        /// The broker.
        node: &'a str,
        /// The position in the log up to which it has applied.
        position: u64,
        /// The digest of its newest whole block of commands, if there is one.
        digest: Option<Digest>,
    },
    /// Control: the broker begins to write a checkpoint.
    CheckpointBegins {
        /// The broker.
        node: &'a str,
    },
    /// Control: a checkpoint is complete.
    Checkpoint {
        /// The position in the log from which it is to be continued.
        position: u64,
        /// The name under which it is stored.
        object: &'a str,
    },
    /// Control: epochs are new from here.
    Generation {
        /// What sets its epochs apart from those of any other generation.
        nonce: u64,
        /// The version of the rules by which commands are applied.
        rules: u64,
    },
    /// Control: the settings that all brokers apply from here.
    Settings(Settings),
    /// Control: nothing. Whoever wrote it knows, once it has read it, that it has read all that was in the log before.
    Barrier,
}

impl Entry<'_> {
    /// Whether a record can have only one of these.
    pub(super) fn is_control(&self) -> bool {
        !matches!(self, Entry::Publish { .. } | Entry::End { .. })
    }
}

/// The settings on which the result of a command depends, so that they are the same on every broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Maximum bytes of one topic's image.
    pub image_bytes: u64,
    /// Maximum bytes of a message from a client.
    pub message_bytes: u64,
    /// Maximum number of live topics.
    pub topics_max: u64,
    /// Maximum bytes of all images together.
    pub images_bytes_max: u64,
    /// The number of sources that a topic remembers.
    pub topic_sources: u64,
    /// The kinds of topics; the first rule that matches a topic applies, even if it names no kind.
    pub rules: Vec<Rule>,
}

/// The kind of the topics that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The topics.
    pub pattern: Pattern,
    /// Their kind; if absent, that of their first update.
    pub kind: Option<Kind>,
}

/// The first byte of each entry.
pub(super) mod tag {
    pub(in super::super) const PUBLISH: u8 = 1;
    pub(in super::super) const END: u8 = 2;
    pub(in super::super) const OPEN: u8 = 3;
    pub(in super::super) const BEAT: u8 = 4;
    pub(in super::super) const CHECKPOINT_BEGINS: u8 = 5;
    pub(in super::super) const CHECKPOINT: u8 = 6;
    pub(in super::super) const GENERATION: u8 = 7;
    pub(in super::super) const SETTINGS: u8 = 8;
    pub(in super::super) const BARRIER: u8 = 9;
}

/// The flags of a publish. The two lowest bits are the kind's code.
pub(super) mod flag {
    pub(in super::super) const KIND: u8 = 0b0011;
    pub(in super::super) const SOURCE: u8 = 0b0100;
    pub(in super::super) const SOURCE_TS: u8 = 0b1000;
}

/// Kinds in the order of their codes; 0 is no kind.
const KINDS: [Kind; 3] = [Kind::Event, Kind::State, Kind::Patch];

/// Returns a kind's code.
pub(super) fn kind_code(kind: Option<Kind>) -> u8 {
    match kind {
        None => 0,
        Some(Kind::Event) => 1,
        Some(Kind::State) => 2,
        Some(Kind::Patch) => 3,
    }
}

/// Returns the kind of a code from 0 to 3.
pub(super) fn kind_of(code: u8) -> Option<Kind> {
    KINDS.get(usize::from(code).wrapping_sub(1)).copied()
}

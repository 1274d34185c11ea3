//! A subscribe request that takes effect in portions.

use std::sync::Arc;

use broker_protocol::message::Start;
use broker_protocol::request::{From, OnSlow};

use super::ready::Token;
use super::step::Step;
use crate::shard::entry::CheckedEntry;
use crate::shard::refused::Refused;
use crate::topic::Topic;

/// A subscribe request in progress.
#[derive(Debug)]
pub(crate) struct Subscribing {
    pub(crate) id: Option<Box<[u8]>>,
    pub(crate) entries: Vec<CheckedEntry>,
    /// The bytes of their texts.
    pub(crate) text_bytes: usize,
    pub(crate) from: From,
    /// Entries may go on from what this broker has not read yet: they are refused.
    pub(crate) may_be_beyond: bool,
    /// So do those that name no `seq`.
    pub(crate) is_beyond: bool,
    pub(crate) step: Step,
    pub(crate) on_slow: OnSlow,
    pub(crate) ready: Option<Token>,
    pub(crate) positions: bool,
    /// The topics of all patterns are counted: entries may take effect.
    pub(crate) counted: bool,
    /// The index of the next entry, and while its topics are being counted, the last name counted.
    pub(crate) at: usize,
    pub(crate) name: Option<Arc<str>>,
    /// The feed's length before the request was read: the shard reads the feed up to there before an entry takes effect
    /// whose topic began or ended since the shard last read.
    pub(crate) feed_bytes: Option<u64>,
    pub(crate) begun: Vec<Begun>,
    /// The indices in `entries` of the patterns that took effect.
    pub(crate) patterns: Vec<u32>,
    /// The refused ones, by their indices in `entries`.
    pub(crate) errors: Refused<u32>,
}

impl Subscribing {
    /// Whether some entries may have taken effect that are not answered yet.
    pub(crate) fn has_effect(&self) -> bool {
        self.counted
    }

    /// What it holds, in bytes: a request of many short names takes some thirty times as much as its message.
    pub(crate) fn held_bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<CheckedEntry>() + self.text_bytes;
        let begun = self.begun.capacity() * size_of::<Begun>() + self.patterns.capacity() * size_of::<u32>();
        size_of::<Self>() + entries + begun + self.errors.held_bytes()
    }
}

/// How one topic's subscription began, for the answer.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Option<Arc<Topic>>,
    pub(crate) seq: u64,
    pub(crate) oldest: u64,
    pub(crate) start: Start,
    pub(crate) conflate_ms: u32,
}

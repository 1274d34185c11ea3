//! Digests of what commands came to, by which brokers find out that they disagree.
//!
//! The commands of the log are counted, and each whole block of 4,096 has a digest of its own. It is not a chain: a
//! broker that begins with a checkpoint cannot know what the commands before it came to, but agrees with the others from
//! the first block that it has seen from its beginning.
//!
//! The hash is FNV-1a of 64 bits: its values are published and the same on every platform and in every version, which
//! the hashers of the standard library and foldhash do not promise, and it is in the broker already. It finds errors, not
//! forgery: whoever could forge a digest here can write to the log.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::Hasher as _;

use fnv::FnvHasher;

/// The number of commands in a block.
pub const BLOCK_COMMANDS: u64 = 4_096;
/// How many digests are kept, to compare with those of others.
pub const BLOCKS_KEPT: usize = 8;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The update got its `seq`.
    Published,
    /// The source had published it already.
    Duplicate,
    /// The topic has another kind.
    KindMismatch,
    /// The image would become too large.
    TooLarge,
    /// There would be too many topics, or too much in them.
    Limit,
    /// The topic ended.
    Ended,
    /// There was no topic to end, or it has gone on since.
    NotEnded,
    /// The command is a control entry, which has no topic.
    Control,
    /// The command was not valid, and nothing came of it.
    Invalid,
    /// The topic has no state to patch.
    NoState,
}

impl Outcome {
    /// The byte that stands for it in a digest; it never changes.
    fn code(self) -> u8 {
        match self {
            Outcome::Published => 1,
            Outcome::Duplicate => 2,
            Outcome::KindMismatch => 3,
            Outcome::TooLarge => 4,
            Outcome::Limit => 5,
            Outcome::Ended => 6,
            Outcome::NotEnded => 7,
            Outcome::Control => 8,
            Outcome::Invalid => 9,
            Outcome::NoState => 10,
        }
    }
}

/// The digest of a whole block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The block's number: that of its first command, divided by [`BLOCK_COMMANDS`].
    pub block: u64,
    /// The digest.
    pub value: u64,
}

/// What another broker's digest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Both came to the same.
    Same,
    /// They did not.
    Differs,
    /// This broker has no digest of that block: it has not come so far, began later, or no longer keeps it.
    Unknown,
}

/// The digest of the block that is under way, and those of the last whole ones.
pub struct Digests {
    /// The number of commands in the log so far.
    commands: u64,
    /// That of the present block; `None` if its beginning was not seen.
    hasher: Option<FnvHasher>,
    kept: VecDeque<Digest>,
}

impl Digests {
    /// Begins after this many commands of the log.
    pub fn new(commands: u64) -> Digests {
        let at_beginning = commands.is_multiple_of(BLOCK_COMMANDS);
        let kept = VecDeque::with_capacity(BLOCKS_KEPT);
        Digests { commands, hasher: at_beginning.then(FnvHasher::default), kept }
    }

    /// Takes in what the next command came to. Returns the digest of the block that it completes, if it does and the
    /// block was seen from its beginning.
    ///
    /// A command without a topic has empty texts and `seq` 0.
    pub fn push(&mut self, topic: &str, epoch: &str, seq: u64, outcome: Outcome) -> Option<Digest> {
        if let Some(hasher) = &mut self.hasher {
            for text in [topic, epoch] {
                hasher.write(text.as_bytes());
                // No text contains this byte, so that the end of one cannot count as the beginning of the other.
                hasher.write(&[0xff]);
            }
            hasher.write(&seq.to_le_bytes());
            hasher.write(&[outcome.code()]);
        }
        self.commands += 1;
        if !self.commands.is_multiple_of(BLOCK_COMMANDS) {
            return None;
        }
        let complete = self.hasher.replace(FnvHasher::default())?;
        let digest = Digest { block: self.commands / BLOCK_COMMANDS - 1, value: complete.finish() };
        if self.kept.len() == BLOCKS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(digest);
        Some(digest)
    }

    /// Returns the digest of the newest whole block.
    pub fn newest(&self) -> Option<Digest> {
        self.kept.back().copied()
    }

    /// Compares another broker's digest with this one's of the same block.
    pub fn compare(&self, other: Digest) -> Compared {
        match self.kept.iter().find(|own| own.block == other.block) {
            Some(own) if *own == other => Compared::Same,
            Some(_) => Compared::Differs,
            None => Compared::Unknown,
        }
    }
}

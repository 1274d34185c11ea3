//! A record of the log: commands that one broker gathered, in its session, under the next number.
//!
//! # The bytes
//!
//! | field | form |
//! |---|---|
//! | version | one byte, [`VERSION`] |
//! | session, number | eight bytes each, the lowest first |
//! | number of commands | four bytes, the lowest first, so that it can be written last |
//! | commands | one after the other: a byte for the kind, then its fields |
//!
//! Other integers are LEB128, as in WebAssembly and Protocol Buffers, in their shortest form; a text is its length and
//! its bytes; an option is a bit of the publish's flags, or a byte 0 or 1. So a record has exactly one form: what is
//! decoded and encoded again has the same bytes.
//!
//! No crate that is kept gives that: postcard accepts integers that are longer than necessary, and serde formats need
//! the number of commands before the first of them.

mod check;
mod entry;
mod error;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use self::entry::{Entry, Rule, Settings};
pub use self::error::{Flaw, RecordError};
pub use self::write::RecordWriter;

pub(in crate::log) use self::check::check_node;

use self::read::Reader;

/// The version of the records that this program writes, and the only one that it reads.
pub const VERSION: u8 = 1;
/// Maximum number of commands in a record.
pub const COMMANDS_MAX: usize = 65_536;
/// Maximum number of rules in the settings.
pub const RULES_MAX: usize = 4_096;
/// Maximum bytes of the name of a broker and of a checkpoint's object.
pub const NAME_BYTES_MAX: usize = 64;
/// Maximum bytes of an epoch.
pub const EPOCH_BYTES_MAX: usize = 32;
/// Maximum of what becomes a number in JSON: `seq`, `source_seq`, `source_ts`; and of a record's number.
pub const EXACT_MAX: u64 = (1 << 53) - 1;

/// The bytes before the first command.
const HEAD_BYTES: usize = 21;
/// Where the number of commands stands.
const COUNT_AT: usize = HEAD_BYTES - 4;
/// The shortest command that can be repeated: `end` with a topic of one byte.
const ENTRY_BYTES_MIN: usize = 4;

/// One record of the log; its texts are spans of the bytes that it was decoded from.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The session of the broker that wrote it.
    pub session: u64,
    /// Its number in that session, from 0.
    pub number: u64,
    /// What it says, in order.
    pub commands: Vec<Entry<'a>>,
}

impl<'a> Record<'a> {
    /// Decodes a record and checks all that it says.
    ///
    /// What it allocates is bounded by the length of `bytes`, whatever they claim. An error says which command is
    /// wrong, counted from 0. [`RecordError::UnknownVersion`] and [`RecordError::UnknownKind`] mean that another
    /// version of the program wrote it, the other errors that it is damaged.
    pub fn decode(bytes: &'a [u8]) -> Result<Record<'a>, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte().map_err(RecordError::DamagedHead)?;
        if version != VERSION {
            return Err(RecordError::UnknownVersion { version });
        }
        let (session, number, count) = reader.head().map_err(RecordError::DamagedHead)?;
        let mut commands = Vec::with_capacity(count.min(reader.left() / ENTRY_BYTES_MIN));
        let mut has_control = false;
        for entry in 0..count {
            let damaged = |flaw| RecordError::DamagedEntry { entry, flaw };
            let kind = reader.byte().map_err(damaged)?;
            let command = reader.entry(kind).map_err(damaged)?.ok_or(RecordError::UnknownKind { entry, kind })?;
            check::entry(&command, session, number).map_err(damaged)?;
            if command.is_control() && std::mem::replace(&mut has_control, true) {
                return Err(damaged(Flaw::SecondControl));
            }
            commands.push(command);
        }
        match reader.left() {
            0 => Ok(Record { session, number, commands }),
            bytes => Err(RecordError::TrailingBytes { bytes }),
        }
    }

    /// Returns the broker whose session begins with this record.
    pub fn opens(&self) -> Option<&'a str> {
        // Only the first record of a session can open it, so that the others need no search.
        let commands = if self.number == 0 { &self.commands[..] } else { &[] };
        commands.iter().find_map(|command| match command {
            Entry::Open { node, .. } => Some(*node),
            _ => None,
        })
    }
}

//! What can be wrong with a record.

use broker_protocol::{DataError, NameError};

use super::{COMMANDS_MAX, EXACT_MAX, VERSION};

/// Why bytes are not a record that this program can apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another version of the program wrote it; a broker that skips it comes to other results than one that does not.
    #[error("the record has version {version}, and this program knows only version {VERSION}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
    /// Another version of the program wrote it; a broker that skips it comes to other results than one that does not.
    #[error("entry {entry} of the record has kind {kind}, which this program does not know")]
    UnknownKind {
        /// The command's index in the record, from 0.
        entry: usize,
        /// The byte that stands for the kind.
        kind: u8,
    },
    /// The session, the number or the number of commands is damaged.
    #[error("the head of the record is damaged")]
    DamagedHead(#[source] Flaw),
    /// A command is damaged.
    #[error("entry {entry} of the record is damaged")]
    DamagedEntry {
        /// The command's index in the record, from 0.
        entry: usize,
        /// What is wrong with it.
        #[source]
        flaw: Flaw,
    },
    /// There is more than the head says.
    #[error("{bytes} bytes follow the last entry of the record")]
    TrailingBytes {
        /// Their number.
        bytes: usize,
    },
}

/// What is wrong with a head or a command: read, it is damaged; to be written, it is refused. Its text is of bounded
/// length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A field goes beyond the record's end.
    #[error("the record ends within it")]
    TooShort,
    /// Only one form of each integer is accepted.
    #[error("an integer is longer than necessary, or above 64 bits")]
    Integer,
    /// An option or a set of flags has a value without a meaning.
    #[error("the flags {0:#x} have no meaning")]
    Flags(u8),
    /// Not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// A name or an epoch has no characters, too many, or others than letters, digits, `_`, `-` and, within it, `.`.
    #[error("{field} must be 1 to {bytes_max} of the characters A-Z a-z 0-9 _ - and, not at its beginning, `.`")]
    Name {
        /// What it names.
        field: &'static str,
        /// Maximum bytes.
        bytes_max: usize,
    },
    /// The name of a source is too long.
    #[error("the source has {bytes} bytes; it may have 64")]
    Source {
        /// Its length.
        bytes: usize,
    },
    /// A number that does not fit into JSON exactly.
    #[error("{field} is {value}; the maximum is {EXACT_MAX}")]
    TooLarge {
        /// The number's name.
        field: &'static str,
        /// The number.
        value: u64,
    },
    /// Too many commands, or too many rules in the settings.
    #[error("there are {count} {what}; the maximum is {max}")]
    TooMany {
        /// Commands or rules.
        what: &'static str,
        /// Their number.
        count: u64,
        /// The maximum.
        max: usize,
    },
    /// A record has [`COMMANDS_MAX`] commands already.
    #[error("the record has {COMMANDS_MAX} commands already")]
    Full,
    /// Not the name of a topic.
    #[error(transparent)]
    Topic(NameError),
    /// Not a pattern.
    #[error(transparent)]
    Pattern(NameError),
    /// Not what `data` of this kind must be.
    #[error(transparent)]
    Data(DataError),
    /// `data` contains white space outside strings.
    #[error("`data` contains white space outside strings")]
    Spaced,
    /// A record can have one control entry.
    #[error("it is the second control entry of its record")]
    SecondControl,
    /// A session begins with its own record 0.
    #[error("it opens session {opened} in record {number} of session {session}")]
    MisplacedOpen {
        /// The session that it opens.
        opened: u64,
        /// The record's session.
        session: u64,
        /// The record's number.
        number: u64,
    },
}

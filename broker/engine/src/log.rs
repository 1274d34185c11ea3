//! The journal's log, as far as it is pure: what its records say, which of them count, and whether two brokers agree.
//!
//! A publish becomes a command in a record of one ordered log. Every broker reads the whole log in order and applies
//! the same commands, so all of them come to the same topics, epochs and `seq`. Nothing here reads a clock, a setting
//! or the order of a hash table: the same log gives the same results everywhere.
//!
//! | module | what it has |
//! |---|---|
//! | [`record`] | the bytes of a record: session, number, commands |
//! | [`sessions`] | the rule by which lost, repeated and late records come out right |
//! | [`inbound`] | updates that programs publish to the log themselves |
//! | [`varint`] | integers of variable length, as records and checkpoints write them |
//! | [`mod@fit`] | whether a log is the one that was read, and what of it may be cut off |
//! | [`digest`] | digests of what the commands came to, to find brokers that disagree |

pub mod digest;
pub mod fit;
pub mod inbound;
pub mod record;
pub mod sessions;
pub mod varint;

pub use digest::{Compared, Digest, Digests, Outcome};
pub use fit::{Extent, Fit, Logged, Seen, continues, cut_before, fit};
pub use inbound::Inbound;
pub use record::{Entry, Flaw, Record, RecordError, RecordWriter, Rule, Settings};
pub use sessions::{Dropped, NodeSession, RestoreError, Sessions};

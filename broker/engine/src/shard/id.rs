//! The numbers by which a shard refers to its connections, names, patterns and views.

/// A connection's number in its shard; reused after the connection is gone.
pub type ConnId = u32;
pub(crate) type NameId = u32;
pub(crate) type GroupId = u32;
pub(crate) type ViewId = u32;

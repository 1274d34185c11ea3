//! What a shard calls its connections, names, patterns and views.

/// A connection's number in its shard; used again after the connection is gone.
pub type ConnId = u32;
pub(crate) type LocalId = u32;
pub(crate) type GroupId = u32;
pub(crate) type ViewId = u32;

//! Sets of shards.

/// A set of shards, one bit each.
pub type ShardSet = u64;

/// Maximum number of shards: the bits of a [`ShardSet`].
pub const SHARDS_MAX: usize = 64;

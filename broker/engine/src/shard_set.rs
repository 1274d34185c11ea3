//! Sets of shards.

/// A set of shards, a bit each.
pub type ShardSet = u64;

/// Shards at most: the bits of a [`ShardSet`].
pub const SHARDS_MAX: usize = 64;

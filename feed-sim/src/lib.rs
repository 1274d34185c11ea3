//! Measures feeds: the part of `feed-sim` that is in no other crate.
//!
//! Feeds come from the crates `feed-scenarios` and `feed-formats`, and `feed-player` plays them; the program combines
//! them.

pub mod stats;

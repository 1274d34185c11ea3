//! What `feed-sim` does by itself, beside playing feeds: it measures them.
//!
//! Feeds come from the crates `feed-scenarios` and `feed-formats`, and `feed-player` plays them; the program puts them
//! together.

pub mod stats;

//! The journal: the log of a broker's commands, and checkpoints of its topics, on disk.

mod store;
pub use store::*;

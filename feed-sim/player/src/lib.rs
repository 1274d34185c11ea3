//! Plays a feed: takes updates from it when they are due, and publishes them to a broker over its public protocol.
//!
//! The life of an update:
//!
//! ```text
//! a feed ─▶ Timed { due_us, Publication }   in order, on the feed's own clock
//!              │
//!          faults      the faults of a real feed, if requested: counted to the last update
//!              │
//!          schedule    the updates that are due by now; late ones are counted, none is dropped
//!              │ batches
//!          publish     to a broker, as lines to an output, or to nowhere
//!              │
//!          summary     what became of every single update
//! ```
//!
//! Feeds come from elsewhere: the crate `feed-scenarios` simulates them, the crate `feed-formats` reads recorded ones.
//!
//! Invariants worth naming:
//! - Real time begins in [`schedule`]: a feed has a clock of its own.
//! - The updates of a topic reach the broker in the feed's order, also across a reconnect.
//! - Every update that was made is in exactly one of the summary's counts.
//! - The crate knows the broker by its protocol only, and does not depend on the server.

pub mod faults;
pub mod image;
pub mod progress;
pub mod publication;
pub mod publish;
pub mod random;
pub mod run;
pub mod schedule;
pub mod summary;

pub use summary::Summary;

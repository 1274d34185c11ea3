//! Simulated and recorded feeds, published to a broker over its public protocol.
//!
//! The life of an update:
//!
//! ```text
//! scenario (from a seed) ─┐
//! replay (from a file) ───┴─▶ Timed { due_us, Publication }   in order, on the feed's own clock
//!                                │
//!                            faults      what a real feed's lines do to it, where asked for: counted to the last update
//!                                │
//!                            schedule    what of it is due by now; late is counted, nothing is dropped
//!                                │ batches
//!                            publish     to a broker, to standard output, to a file, or to nowhere
//!                                │
//!                            summary     what became of every single one
//! ```
//!
//! Invariants worth naming:
//! - A scenario is a pure function of its seed: no clock, no thread, no hash order and no floating point but what is the
//!   same to the bit on every platform goes into it, so that the same seed gives the same bytes everywhere. Real time
//!   begins in [`schedule`].
//! - What a broker sees of one topic is in the feed's order, also across a reconnect.
//! - Every update that was made is in exactly one of the summary's counts.
//! - It knows the broker by its protocol only, and does not depend on the server.

pub mod demo;
pub mod faults;
mod image;
pub mod progress;
pub mod publication;
pub mod publish;
pub mod random;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod stats;
pub mod summary;

pub use demo::demo;
pub use summary::Summary;

//! Several servers, the same work, in turns: what a machine does meanwhile meets all of them alike.
//!
//! ```text
//! file      which servers, how they are started and spoken to
//! process   one of them, running on the server's core
//! rounds    every server once, then every server once in the other order, …; with the floor among them
//! table     medians with their spread, and ratios to a base
//! ```

mod file;
mod process;
mod rounds;
mod table;

pub(crate) use file::{File, Server};
pub(crate) use process::version;
pub(crate) use rounds::{Plan, beside, rounds};
pub(crate) use table::{table, verdict};

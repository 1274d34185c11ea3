//! Measures several servers with the same work in turns, so that disturbances of the machine affect all of them
//! equally.
//!
//! ```text
//! file      the servers, how they are started and which protocols they speak
//! prepared  what servers need before they start: a folder of this run, and what a command puts into it
//! process   one of them, running on the server's core
//! rounds    every server once, then every server once in reversed order, and so on; with the floor among them
//! table     medians with their spread, and ratios to a base
//! ```

mod file;
mod prepared;
mod process;
mod rounds;
mod table;

pub(crate) use file::{File, Server};
pub(crate) use prepared::Prepared;
pub(crate) use process::version;
pub(crate) use rounds::{Plan, beside, rounds};
pub(crate) use table::{table, verdict};

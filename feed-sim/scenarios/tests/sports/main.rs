//! Scores, events and statistics of games agree, over many games from many seeds. Only the messages are looked at, as a
//! subscriber sees them.

#[path = "../../../tests/common/mod.rs"]
mod common;

mod basketball;
mod football;
mod seen;

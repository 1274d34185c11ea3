//! Scores, events and statistics of games agree, over many games from many seeds: told from the messages alone, as a subscriber
//! sees them.

#[path = "../../../tests/common/mod.rs"]
mod common;

mod basketball;
mod football;
mod seen;

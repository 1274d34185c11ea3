//! The parts that the sports share.
//!
//! ```text
//! grounds   pitches or courts, on each of which one game is played after the other
//! League    the teams, and who plays whom
//! Teams     the two teams of a game, as topics and events name them
//! Sheet     the statistics of both sides
//! ```

mod grounds;
mod league;
mod sheet;

pub(super) use grounds::{Contest, Desk, contest_number, grounds};
pub(super) use league::{League, Teams};
pub(super) use sheet::{Sheet, Side};

/// Formats a clock as in messages: minutes and seconds.
pub(super) fn clock(clock_s: u32) -> String {
    format!("{:02}:{:02}", clock_s / 60, clock_s % 60)
}

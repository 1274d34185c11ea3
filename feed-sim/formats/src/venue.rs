//! The common part of the venues' formats: captures of their sockets, books of price levels, and documents that are too
//! large to be held in memory.

pub(super) mod book;
pub(super) mod capture;
pub(super) mod elements;
pub(super) mod level;
pub(super) mod line_feed;
pub(super) mod text;

//! What the venues' formats have in common: captures of their sockets, books of price levels, and documents that are too
//! large to be read whole.

pub(super) mod book;
pub(super) mod capture;
pub(super) mod elements;
pub(super) mod level;
pub(super) mod line_feed;
pub(super) mod text;

//! Statistics of any feed, simulated or replayed, from its publications alone: how often, how bursty, how large, how wide.
//!
//! Everything is streaming: a feed of any length is measured in the memory of its instruments, of which there are at most
//! [`INSTRUMENTS_MAX`]. What each figure is, and where its definition comes from, stands in `docs/statistics.md` and with the
//! estimators here.
//!
//! ```text
//! feed ─▶ observe (what a publication says) ─▶ instrument (arrivals, returns, signs, spreads) ─┐
//!                                         └──▶ collector (messages, sizes) ────────────────────┴─▶ figures ─▶ table
//! ```

mod arrivals;
mod best;
mod collector;
mod correlation;
mod decimal;
mod figures;
mod instrument;
mod moments;
mod observe;
mod quantiles;
mod returns;
mod sizes;
mod spreads;
mod table;

pub use arrivals::Arrivals;
pub use collector::{Collector, INSTRUMENTS_MAX};
pub use correlation::Autocorrelation;
pub use figures::{Figure, Figures};
pub use moments::Moments;
pub use quantiles::Quantiles;
pub use returns::{RETURN_LAGS_S, Returns};
pub use sizes::Sizes;
pub use table::{json, table};

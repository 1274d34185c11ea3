//! Statistics of any feed, simulated or replayed, from its publications alone: how often, how bursty, how large, how
//! wide.
//!
//! Everything is streaming: memory depends on the number of instruments, at most [`INSTRUMENTS_MAX`], not on the length
//! of the feed. `docs/statistics.md` defines each figure and names the sources of the definitions, as do the estimators
//! here.
//!
//! ```text
//! feed ─▶ observe (reads a publication) ─────▶ instrument (arrivals, returns, signs, spreads) ─┐
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

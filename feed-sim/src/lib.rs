//! Simulated and replayed feeds.

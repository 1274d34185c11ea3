//! Tickcast feed simulator.
fn main() {}

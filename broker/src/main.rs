//! The Tickcast server binary.
fn main() {}

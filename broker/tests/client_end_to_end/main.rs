//! The Rust client and the broker's binary, over real sockets: every request of the client, connections that are cut in
//! the middle, a broker that is killed and restarted, or replaced by another, and a reader that does not keep up.

mod addresses;
mod cut;
mod everything;
mod positions;
mod restart;
mod running;
mod slow;
mod tokens;

//! The Rust client and the broker's binary, over real sockets: everything the client can ask for, connections that are
//! cut in the middle of things, a broker that is killed and comes back, and a reader that does not keep up.

mod cut;
mod everything;
mod positions;
mod restart;
mod running;
mod slow;

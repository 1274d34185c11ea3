//! The client against a scripted broker: real sockets, real frames, and every message decided by the test.

mod addresses;
mod connect;
mod ends;
mod forbidden;
mod positions;
mod publish;
mod reconnect;
mod refused_for_now;
mod server;
mod stale;
mod subscribe;
#[cfg(feature = "tls")]
mod tls;
mod tokens;

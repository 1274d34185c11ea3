//! The client against a scripted broker: real sockets, real frames, and every message decided by the test.

mod connect;
mod ends;
mod forbidden;
mod positions;
mod publish;
mod reconnect;
mod refused_for_now;
mod server;
mod subscribe;
#[cfg(feature = "tls")]
mod tls;
mod tokens;

//! The client against a broker that follows a script: real sockets, real frames, and every word decided by the test.

mod connect;
mod ends;
mod positions;
mod publish;
mod reconnect;
mod refused_for_now;
mod server;
mod subscribe;

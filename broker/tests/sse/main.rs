//! Server-Sent Events over real sockets: the same streams as over WebSocket, resumed by one number.

#[path = "../common/mod.rs"]
mod common;

mod hostile;
mod resume;
mod slow;
mod source;
mod stream;
mod switching;

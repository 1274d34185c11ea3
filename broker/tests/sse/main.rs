//! Server-Sent Events (PROTOCOL §1) over real sockets: the same streams as over WebSocket, resumed by one number.

#[path = "../common/mod.rs"]
mod common;

mod change_over;
mod hostile;
mod resume;
mod slow;
mod source;
mod stream;

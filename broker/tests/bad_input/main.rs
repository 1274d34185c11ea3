//! Everything that a client can get wrong, or do on purpose, over real sockets: it gets the documented error or close
//! code, what it held is released, and no other client notices.

#[path = "../common/mod.rs"]
mod common;

mod fragments;
mod frames;
mod garbage;
mod handshake;
mod hogs;
mod messages;
mod names;
mod quantities;
mod readers;
mod slow_readers;
mod vanishing;

//! HTTP over real sockets: the HTTP part of `docs/protocol.md` with real bytes, against a real engine.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod admin;
mod bodies;
mod busy;
mod images;
mod journal;
mod portions;
mod publish;
mod routing;
mod server;
mod topics;
mod web;

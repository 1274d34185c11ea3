//! TLS over real sockets: what clients see is the same with it, and what strangers may do to it is bounded.
#![cfg(feature = "tls")]

#[path = "../common/mod.rs"]
mod common;

mod certificates;
mod client;
mod clients;
mod demo;
mod handshakes;
mod health;
mod hostile;
mod idle;
mod pki;
mod reload;
mod same;
mod slow;

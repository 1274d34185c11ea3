//! Brokers that share a journal on real nats-servers.
//!
//! ```text
//! servers   the servers of these tests do what the tests believe of them
//! ```

#[path = "../common/mod.rs"]
mod common;

mod servers;

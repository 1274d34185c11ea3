//! Brokers that share a journal on real nats-servers.
//!
//! ```text
//! servers      the servers of these tests do what the tests believe of them
//! members      servers with brokers, started together and compared in the end
//! across       what is published at one broker, subscribed at the other, and gone on with there
//! outages      servers are killed, stopped and paused under load
//! killed       brokers are killed, paused and held back under load
//! checkpoints  brokers start from them, and from older ones where the newest is broken
//! report       the figures of a run
//! ```
//!
//! `make cluster-test` runs the long forms too; they are the tests that are ignored here.

#[path = "../common/mod.rs"]
mod common;
#[path = "../journal/kept.rs"]
#[allow(dead_code, reason = "these tests do not need all of it")]
mod kept;
#[path = "../journal/link.rs"]
mod link;
#[path = "../journal/load/mod.rs"]
#[allow(dead_code, reason = "these tests do not need all of it")]
mod load;
#[path = "../sse/source.rs"]
#[allow(dead_code, reason = "these tests do not need all of it")]
mod source;

mod across;
mod checkpoints;
mod killed;
mod members;
mod outages;
mod report;
mod servers;

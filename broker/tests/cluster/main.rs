//! Brokers that share a journal on real nats-servers.
//!
//! ```text
//! servers      the servers of these tests do what the tests believe of them
//! members      servers with brokers, started together and compared in the end
//! across       what is published at one broker, subscribed at the other, and gone on with there
//! outages      servers are killed, stopped and paused under load
//! killed       brokers are killed, paused and held back under load
//! checkpoints  brokers start from them, and from older ones where the newest is broken
//! node         a broker that may reach its servers by ways of its own
//! numbered     numbered events: each is taken once, whatever happens
//! partition    a broker is cut off from the servers, and the log's leader from the others
//! full         no room for the log, or none on the servers
//! gone_back    an older copy of the log is put back while brokers run
//! deleted      the log's stream is gone
//! upgrade      servers are replaced by newer ones, one after the other
//! programs     programs publish to the log without a broker
//! slow         a broker that stands still disturbs no other
//! names        two brokers with one name
//! refusals     what a broker says that cannot start
//! soak         load for long: brokers come to the same
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
mod deleted;
mod full;
mod gone_back;
mod killed;
mod members;
mod names;
mod node;
mod numbered;
mod outages;
mod partition;
mod programs;
mod refusals;
mod report;
mod servers;
mod slow;
mod soak;
mod upgrade;

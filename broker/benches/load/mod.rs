//! Load for a broker in a process of its own: one thread, one epoll set, nothing per frame but a look at it.
//!
//! ```text
//! Server      the broker's binary, started, watched through /proc, stopped
//! Swarm       many subscribers: connected, subscribed, read; every stream is checked to be unbroken
//! Publisher   one connection that publishes what is due
//! Message     what of a frame the benchmarks look at, read without a JSON parser
//! report      what was asked for, and tables
//! ```
//!
//! Both ends run on one machine and share one clock: a publisher writes the moment at which an update was due into its
//! `data`, and whoever reads it knows how old it is.
#![allow(dead_code, unused_imports, reason = "shared by several benchmarks, each of which uses a part")]

mod clock;
mod continuity;
mod cores;
mod message;
mod publisher;
pub(crate) mod report;
mod server;
mod swarm;
mod tick;
mod upgrade;
mod wire;

pub(crate) use clock::{Every, mono_ns, seconds_ns};
pub(crate) use continuity::Continuity;
pub(crate) use cores::Cores;
pub(crate) use message::Message;
pub(crate) use publisher::Publisher;
pub(crate) use server::{CONNECTIONS_MAX, Server};
pub(crate) use swarm::Swarm;
pub(crate) use tick::{Kind, Tick};
pub(crate) use upgrade::upgrade;
pub(crate) use wire::masked;

use hdrhistogram::Histogram;

/// How long a benchmark waits for what has to come, before it gives up and says what that was.
pub(crate) const PATIENCE_NS: u64 = 60_000_000_000;

/// Latencies in nanoseconds, up to a quarter of an hour.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 900_000_000_000, 3).expect("bounds that the histogram can have")
}

/// A quantile in milliseconds.
pub(crate) fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e6
}

//! The [`Report`] of a run, and its forms: a table, JSON, a percentile file and a page.
//!
//! ```text
//! build      builds it from the measurements
//! table      for a terminal
//! json       the report itself, with SCHEMA
//! hgrm       HdrHistogram's percentile distribution, for its plotters
//! html       one page with everything in it
//! ```

mod build;
pub(crate) mod hgrm;
pub(crate) mod html;
pub(crate) mod number;
pub(crate) mod progress;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol;
use crate::scenario::Scenario;

pub(crate) use build::{build, machine};
pub(crate) use table::{Table, table};

/// The version of the JSON: it changes with every change that could break a reader.
pub(crate) const SCHEMA: u32 = 1;

/// The report of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// Name and version of this program.
    pub(crate) tool: String,
    /// The name of the run.
    pub(crate) label: String,
    /// When it ended, seconds since the UNIX epoch.
    pub(crate) time: u64,
    /// The machine of the load.
    pub(crate) machine: Machine,
    /// The command line of the run.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// The server's URL.
    pub(crate) target: String,
    /// The server's protocol.
    pub(crate) protocol: protocol::Name,
    /// The scenario.
    pub(crate) scenario: Scenario,
    /// The connections.
    pub(crate) connections: Connections,
    /// The updates that were published and delivered.
    pub(crate) delivery: Delivery,
    /// Latency from when an update was due until it was read.
    pub(crate) corrected: Latency,
    /// Latency from when an update was handed to the publisher's socket until it was read.
    pub(crate) raw: Latency,
    /// The verdict on all streams.
    pub(crate) continuity: Continuity,
    /// The server's resources, if it runs on this machine and its process was given.
    pub(crate) server: Option<Server>,
    /// The load's own resources.
    pub(crate) load: Load,
    /// The run second by second.
    pub(crate) seconds: Vec<Second>,
    /// Why it ended early.
    pub(crate) ended_early: Option<String>,
}

/// A machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The kernel's version.
    pub(crate) kernel: String,
}

/// The connections of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Connections {
    /// Subscribers that were subscribed when publishing began.
    pub(crate) subscribers: u32,
    /// How long it took to connect all of them, in s.
    pub(crate) connect_seconds: f64,
    /// Connections made per second.
    pub(crate) connect_rate: f64,
    /// From `connect` until the subscriptions are in effect, median, ms.
    pub(crate) connect_p50_ms: f64,
    /// The same, 99th percentile, ms.
    pub(crate) connect_p99_ms: f64,
    /// CPU of the server for each connection while all of them were made, µs: from `connect` until the subscriptions are
    /// in effect, all threads.
    #[serde(default)]
    pub(crate) server_cpu_us: Option<f64>,
    /// Connections that were made with TLS, by what was negotiated.
    #[serde(default)]
    pub(crate) tls: BTreeMap<String, u64>,
    /// Connections that could not be made, by reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Connections that the server ended, by reason.
    pub(crate) ended: BTreeMap<String, u64>,
    /// Requests that the server refused, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Connections that the load closed, as the scenario demands.
    pub(crate) closed: u64,
    /// The connections of a storm that came back.
    pub(crate) reconnect: Option<Reconnect>,
}

/// The reconnects after a storm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reconnect {
    /// How many came back.
    pub(crate) count: u64,
    /// From the loss of the connection until the subscriptions are in effect again, median, ms.
    pub(crate) p50_ms: f64,
    /// The same, 99th percentile, ms.
    pub(crate) p99_ms: f64,
    /// The same, the last connection, ms.
    pub(crate) max_ms: f64,
    /// What those saw that kept their connections, if there were any.
    #[serde(default)]
    pub(crate) stayed: Option<Stayed>,
}

/// Latency of the deliveries to subscribers that kept their connections in a storm, from when an update was due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stayed {
    /// Deliveries of updates due in the window before the storm.
    pub(crate) before: u64,
    /// Their 99th percentile, ms.
    pub(crate) before_p99_ms: f64,
    /// Deliveries of updates due from the storm's beginning until all subscribers were back.
    pub(crate) during: u64,
    /// Their 99th percentile, ms.
    pub(crate) during_p99_ms: f64,
}

/// The updates that were published and delivered, in the window unless stated otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The window's length, s.
    pub(crate) seconds: f64,
    /// Updates per second.
    pub(crate) published_per_second: f64,
    /// Messages with a payload per second.
    pub(crate) deliveries_per_second: f64,
    /// Bytes of frames per second.
    pub(crate) bytes_per_second: f64,
    /// Mean bytes of a delivered frame, head included.
    pub(crate) frame_bytes: f64,
    /// Deliveries of the window divided by those due in it; below 1 the server, or the load, fell behind. `None` if
    /// another publisher made the feed.
    pub(crate) held: Option<f64>,
    /// The fraction that arrived of all updates due to subscribers, in the whole run.
    pub(crate) reach: f64,
    /// Deliveries per read of a socket.
    pub(crate) frames_per_read: f64,
    /// Updates handed over more than a millisecond after they were due.
    pub(crate) late: u64,
    /// How often a closed loop gave up waiting for updates in flight.
    pub(crate) forgiven: u64,
}

/// A distribution of latencies, in ms.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are documentation enough: quantiles in ms")]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) max: f64,
    /// Pairs of quantile and ms, for a curve.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// The verdict on every stream of every subscriber by its sequence numbers; counted in updates, over the whole run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Continuity {
    /// Whether payloads were checked too.
    pub(crate) verified: bool,
    /// Messages with a payload that arrived.
    pub(crate) delivered: u64,
    /// Of them, images.
    pub(crate) images: u64,
    /// Updates for which an image or a merged update stands.
    pub(crate) skipped: u64,
    /// Updates that a gap named as lost.
    pub(crate) announced: u64,
    /// Updates that are missing without an announcement.
    pub(crate) lost: u64,
    /// Updates that arrived again.
    pub(crate) duplicated: u64,
    /// Updates that arrived after a later one.
    pub(crate) reordered: u64,
    /// Payloads that are not what was published.
    pub(crate) corrupted: u64,
    /// Updates that had not arrived when their subscriber's connection, or a run that was cut short, ended.
    pub(crate) missing: u64,
    /// Updates that had not arrived when the time to drain was over, at subscribers that were connected and reading.
    /// They may be lost or late.
    #[serde(default)]
    pub(crate) undelivered: u64,
    /// The first faults, in words.
    pub(crate) findings: Vec<String>,
}

impl Continuity {
    /// Whether every stream was whole.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.corrupted + self.undelivered == 0
    }
}

/// The server's resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its process id.
    pub(crate) pid: u32,
    /// The cores that it may use, as `/proc` writes them.
    pub(crate) cores: String,
    /// CPU per delivery in the window, all threads, ns.
    pub(crate) cpu_ns_per_delivery: f64,
    /// CPU in the window divided by its length: 1 is a whole core.
    pub(crate) cpu_cores: f64,
    /// Memory in RAM before the first connection, bytes.
    pub(crate) rss_before_bytes: u64,
    /// Memory in RAM with all connections, bytes.
    pub(crate) rss_bytes: u64,
    /// Memory that each subscriber added, bytes.
    pub(crate) rss_bytes_per_connection: f64,
}

/// The load's own resources.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The number of threads.
    pub(crate) threads: u32,
    /// CPU per delivery in the window, ns.
    pub(crate) cpu_ns_per_delivery: f64,
    /// CPU in the window divided by its length and the number of threads: 1 is all that it could use.
    pub(crate) cpu_part: f64,
    /// Memory that each subscriber added, bytes.
    pub(crate) rss_bytes_per_connection: f64,
    /// Why the load, and not the server, was measured, if that is so.
    pub(crate) bottleneck: Option<String>,
}

/// A second of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Its number, counted from when publishing began.
    pub(crate) second: u32,
    /// Updates published.
    pub(crate) published: u64,
    /// Messages with a payload received.
    pub(crate) deliveries: u64,
    /// Subscribers at its end.
    pub(crate) subscribers: u32,
    /// Corrected latency, ms.
    pub(crate) p50_ms: f64,
    /// Corrected latency, ms.
    pub(crate) p99_ms: f64,
    /// Corrected latency, ms.
    pub(crate) max_ms: f64,
    /// CPU of the server, in cores.
    pub(crate) server_cpu_cores: Option<f64>,
    /// Memory of the server in RAM, bytes.
    pub(crate) server_rss_bytes: Option<u64>,
}

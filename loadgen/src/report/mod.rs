//! What is said about a run: one [`Report`], told as a table, as JSON, as a percentile file and as a page.
//!
//! ```text
//! build      from what was measured
//! table      for a terminal
//! json       the report itself, with SCHEMA
//! hgrm       HdrHistogram's percentile distribution, which its plotters read
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

/// Of the JSON: changes with every change that a reader could stumble over.
pub(crate) const SCHEMA: u32 = 1;

/// A run, told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// Name and version of this program.
    pub(crate) tool: String,
    /// What the run was called.
    pub(crate) label: String,
    /// When it ended, seconds since the UNIX epoch.
    pub(crate) time: u64,
    /// The machine of the load.
    pub(crate) machine: Machine,
    /// The command line that it came from.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Where it connected to.
    pub(crate) target: String,
    /// How it spoke.
    pub(crate) protocol: protocol::Name,
    /// What it did.
    pub(crate) scenario: Scenario,
    /// Who was connected.
    pub(crate) connections: Connections,
    /// What was published and what came.
    pub(crate) delivery: Delivery,
    /// From when an update was due until it was read.
    pub(crate) corrected: Latency,
    /// From when it was handed to the publisher's socket.
    pub(crate) raw: Latency,
    /// Every stream, judged.
    pub(crate) continuity: Continuity,
    /// What the server used, where it runs here and was named.
    pub(crate) server: Option<Server>,
    /// What the load itself used.
    pub(crate) load: Load,
    /// Over time.
    pub(crate) seconds: Vec<Second>,
    /// Why it ended before its time.
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

/// Who was connected.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Connections {
    /// Subscribers that were there when publishing began.
    pub(crate) subscribers: u32,
    /// How long it took to connect all of them, in s.
    pub(crate) connect_seconds: f64,
    /// Per second.
    pub(crate) connect_rate: f64,
    /// From `connect` to the subscriptions in effect, ms.
    pub(crate) connect_p50_ms: f64,
    /// The same, of the slowest hundredth.
    pub(crate) connect_p99_ms: f64,
    /// Connections that could not be made, by reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Connections that the server ended, by reason.
    pub(crate) ended: BTreeMap<String, u64>,
    /// Requests that the server refused, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Connections that the load closed, because the scenario says so.
    pub(crate) closed: u64,
    /// Those of a storm that came back.
    pub(crate) reconnect: Option<Reconnect>,
}

/// After a storm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reconnect {
    /// How many came back.
    pub(crate) count: u64,
    /// From the loss of the connection to the subscriptions in effect again, ms.
    pub(crate) p50_ms: f64,
    /// The same, of the slowest hundredth.
    pub(crate) p99_ms: f64,
    /// Until the last was back, ms.
    pub(crate) max_ms: f64,
}

/// What was published and what came, in the window unless said otherwise.
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
    /// Deliveries of the window by those due in it; below 1 the server, or the load, fell behind. `None` where somebody
    /// else published.
    pub(crate) held: Option<f64>,
    /// Of all updates due to subscribers in the whole run, the part that came.
    pub(crate) reach: f64,
    /// Deliveries per read of a socket.
    pub(crate) frames_per_read: f64,
    /// Updates handed over more than a millisecond after they were due.
    pub(crate) late: u64,
    /// Times at which a closed loop gave up waiting for what was under way.
    pub(crate) forgiven: u64,
}

/// A distribution of latencies, in ms.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it: quantiles in ms")]
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

/// Every stream of every subscriber, judged by its sequence numbers; in updates, of the whole run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Continuity {
    /// Whether payloads were checked as well.
    pub(crate) verified: bool,
    /// Messages with a payload that came.
    pub(crate) delivered: u64,
    /// Of them, images.
    pub(crate) images: u64,
    /// Updates for which an image or a merged update stands.
    pub(crate) skipped: u64,
    /// Updates that a gap named as lost.
    pub(crate) announced: u64,
    /// Updates that are missing without a word.
    pub(crate) lost: u64,
    /// Updates that came again.
    pub(crate) duplicated: u64,
    /// Updates that came behind a later one.
    pub(crate) reordered: u64,
    /// Payloads that are not what was published.
    pub(crate) corrupted: u64,
    /// Updates that had not come when their subscriber's connection, or a run that was cut short, ended.
    pub(crate) missing: u64,
    /// Updates that had not come to subscribers that were there and read, when the time to drain was over: lost or late,
    /// which nobody can tell apart.
    #[serde(default)]
    pub(crate) undelivered: u64,
    /// The first of what is wrong.
    pub(crate) findings: Vec<String>,
}

impl Continuity {
    /// Whether every stream was whole.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.corrupted + self.undelivered == 0
    }
}

/// What the server used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its process.
    pub(crate) pid: u32,
    /// The cores that it may use, as `/proc` writes them.
    pub(crate) cores: String,
    /// CPU per delivery in the window, all threads, ns.
    pub(crate) cpu_ns_per_delivery: f64,
    /// CPU in the window by its length: 1 is a whole core.
    pub(crate) cpu_cores: f64,
    /// Memory in RAM before the first connection, bytes.
    pub(crate) rss_before_bytes: u64,
    /// Memory with all of them, bytes.
    pub(crate) rss_bytes: u64,
    /// What each subscriber added, bytes.
    pub(crate) rss_bytes_per_connection: f64,
}

/// What the load itself used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Threads.
    pub(crate) threads: u32,
    /// CPU per delivery in the window, ns.
    pub(crate) cpu_ns_per_delivery: f64,
    /// CPU in the window by its length and its threads: 1 is all that it could use.
    pub(crate) cpu_part: f64,
    /// What each subscriber added to its memory, bytes.
    pub(crate) rss_bytes_per_connection: f64,
    /// Why the load, and not the server, was measured.
    pub(crate) bottleneck: Option<String>,
}

/// A second of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Since publishing began.
    pub(crate) second: u32,
    /// Updates.
    pub(crate) published: u64,
    /// Messages with a payload.
    pub(crate) deliveries: u64,
    /// Subscribers, at its end.
    pub(crate) subscribers: u32,
    /// Corrected, ms.
    pub(crate) p50_ms: f64,
    /// Corrected, ms.
    pub(crate) p99_ms: f64,
    /// Corrected, ms.
    pub(crate) max_ms: f64,
    /// CPU of the server, in cores.
    pub(crate) server_cpu_cores: Option<f64>,
    /// Memory of the server in RAM, bytes.
    pub(crate) server_rss_bytes: Option<u64>,
}

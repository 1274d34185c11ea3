//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::protocol::{Name, Templates};
use crate::scenario::Scenario;

/// Measures how a WebSocket server fans out: how late, how much, at what cost, and whether anything is missing.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Subscribe, publish, measure: one scenario against one server.
    Run(Box<Run>),
    /// Find out what a server can take: a grid of subscribers, rates and lengths, or the rate at which p99 crosses a bound.
    Sweep(Box<Sweep>),
    /// Start several servers and measure each in turns with the others, with the physical limit among them.
    Compare(Compare),
    /// Be the physical limit: a server that only writes encoded frames. `run --floor` and `compare` start it themselves.
    Floor {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// Frames of a topic that share a write.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
        frames_per_write: u32,
    },
    /// List the scenarios that come with the program, or print one as a file to start from.
    Scenarios {
        /// The one to print.
        name: Option<String>,
    },
}

/// One scenario against one server.
#[derive(Debug, Args)]
pub struct Run {
    /// A scenario that comes with the program (`loadgen scenarios`), or a TOML file.
    #[arg(default_value = "steady")]
    pub scenario: String,
    /// The server: ws://HOST:PORT/PATH, or ws://HOST:PORT with the protocol's usual path.
    #[arg(long, default_value = "ws://127.0.0.1:9000", value_name = "URL")]
    pub target: String,
    /// Measure the physical limit in turns with the server, on the server's cores, with frames of the same length.
    #[arg(long)]
    pub floor: bool,
    /// How often, with --floor.
    #[arg(long, default_value_t = 3, requires = "floor")]
    pub repeats: usize,
    #[command(flatten)]
    pub change: Change,
    #[command(flatten)]
    pub speak: Speak,
    #[command(flatten)]
    pub how: How,
    #[command(flatten)]
    pub out: Out,
}

/// What a server can take.
#[derive(Debug, Args)]
pub struct Sweep {
    /// A scenario with a rate.
    #[arg(default_value = "steady")]
    pub scenario: String,
    /// The server.
    #[arg(long, default_value = "ws://127.0.0.1:9000", value_name = "URL")]
    pub target: String,
    /// Numbers of subscribers to try.
    #[arg(long = "grid-subscribers", value_delimiter = ',', value_name = "N")]
    pub subscribers: Vec<u32>,
    /// Rates to try, updates/s; with --bound-ms the first is where the search begins.
    #[arg(long = "grid-rates", value_delimiter = ',', value_name = "RATE")]
    pub rates: Vec<f64>,
    /// Lengths of payloads to try.
    #[arg(long = "grid-bytes", value_delimiter = ',', value_name = "BYTES")]
    pub bytes: Vec<usize>,
    /// Search the highest rate that keeps p99 below so many ms and is held.
    #[arg(long, value_name = "MS")]
    pub bound_ms: Option<f64>,
    #[command(flatten)]
    pub change: Change,
    #[command(flatten)]
    pub speak: Speak,
    #[command(flatten)]
    pub how: How,
    /// Write all reports as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Say nothing while it runs.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Several servers in turns.
#[derive(Debug, Args)]
pub struct Compare {
    /// Which servers, how each is started and spoken to (see `loadgen/compare/field.toml`).
    pub file: PathBuf,
    /// Scenarios, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "steady,many-topics,saturated")]
    pub scenarios: Vec<String>,
    /// Only these servers of the file.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub servers: Vec<String>,
    /// Floors to measure along: frames in a write.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "FRAMES")]
    pub floors: Vec<u32>,
    /// Whom ratios are to; the first floor by default.
    #[arg(long, value_name = "NAME")]
    pub base: Option<String>,
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    pub repeats: usize,
    /// The servers' cores.
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "CORE")]
    pub server_cores: Vec<usize>,
    /// The load's cores.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "CORE")]
    pub cores: Vec<usize>,
    /// Threads of load.
    #[arg(long, default_value_t = 1)]
    pub threads: u32,
    /// Check every payload.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub change: Change,
    /// A folder for the tables, and for each scenario a page and all reports as JSON.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Say nothing while it runs.
    #[arg(long, short)]
    pub quiet: bool,
}

/// What is different from the scenario.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Changes to the scenario")]
pub struct Change {
    /// Seconds that are measured.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Connections.
    #[arg(long, short = 'n')]
    pub subscribers: Option<u32>,
    /// Topics in all.
    #[arg(long)]
    pub topics: Option<usize>,
    /// Topics that each subscriber follows.
    #[arg(long)]
    pub each: Option<usize>,
    /// Updates per second over all topics.
    #[arg(long, conflicts_with = "in_flight")]
    pub rate: Option<f64>,
    /// Updates under way, as fast as it goes.
    #[arg(long)]
    pub in_flight: Option<u64>,
    /// Bytes of a payload.
    #[arg(long)]
    pub bytes: Option<usize>,
    /// Connections that publish.
    #[arg(long)]
    pub publishers: Option<u32>,
    /// Only listen, to these topics or patterns that somebody else publishes (several times, or with commas).
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    pub listen: Vec<String>,
    /// What chance decides is decided by this.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// How the server is spoken to.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Protocol")]
pub struct Speak {
    /// The server's language.
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Name,
    /// generic: what a subscriber sends first. {topic}, {topics}, {topics_json} and {number} are filled in.
    #[arg(long, value_name = "TEXT")]
    pub subscribe: Option<String>,
    /// generic: send it once for each topic.
    #[arg(long)]
    pub subscribe_each: bool,
    /// generic: what publishes. {topic}, {payload} and {payload_json} are filled in; the payload itself by default.
    #[arg(long, value_name = "TEXT")]
    pub publish: Option<String>,
    /// generic: the publishers' path; with {topic} in it each topic gets a connection.
    #[arg(long, value_name = "PATH")]
    pub publish_path: Option<String>,
    /// generic: what a publisher sends first.
    #[arg(long, value_name = "TEXT")]
    pub publisher_hello: Option<String>,
    /// generic: Sec-WebSocket-Protocol.
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Option<String>,
    /// generic: send binary messages.
    #[arg(long)]
    pub binary: bool,
}

/// How it is measured.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Measuring")]
pub struct How {
    /// Threads of load; the first one publishes as well.
    #[arg(long, default_value_t = 1)]
    pub threads: u32,
    /// Cores of these threads, in turn: 1 or 1,3. The server should have others.
    #[arg(long, value_delimiter = ',', value_name = "CORE")]
    pub cores: Vec<usize>,
    /// This machine's addresses to connect from, in turn.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub source: Vec<IpAddr>,
    /// The server's process, where it runs here: its CPU and memory are reported.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Check every payload; exit with 1 where anything was lost silently, duplicated, reordered or corrupted.
    #[arg(long)]
    pub verify: bool,
}

/// Where the report goes.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Report")]
pub struct Out {
    /// What the run is called in reports.
    #[arg(long)]
    pub label: Option<String>,
    /// Write the report as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the latencies as HdrHistogram's percentile distribution, in ms; those from when updates were sent as well,
    /// with `.raw` before the extension.
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// Write a page with plots and everything else: one file that needs no other.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Say nothing while it runs.
    #[arg(long, short)]
    pub quiet: bool,
}

impl Change {
    /// Changes a scenario.
    pub(crate) fn apply(&self, scenario: &mut Scenario) {
        fn set<T: Clone>(to: &mut T, from: &Option<T>) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        set(&mut scenario.seconds, &self.seconds);
        set(&mut scenario.seed, &self.seed);
        set(&mut scenario.subscribers.count, &self.subscribers);
        set(&mut scenario.subscribers.topics, &self.topics);
        set(&mut scenario.subscribers.each, &self.each);
        set(&mut scenario.publish.bytes, &self.bytes);
        set(&mut scenario.publish.publishers, &self.publishers);
        if self.rate.is_some() {
            (scenario.publish.rate, scenario.publish.in_flight) = (self.rate, None);
        }
        if self.in_flight.is_some() {
            (scenario.publish.rate, scenario.publish.in_flight) = (None, self.in_flight);
            scenario.publish.ramp.clear();
        }
        if !self.listen.is_empty() {
            scenario.listen.clone_from(&self.listen);
        }
    }
}

impl Speak {
    pub(crate) fn templates(&self) -> Templates {
        Templates {
            subscribe: self.subscribe.clone(),
            subscribe_each: self.subscribe_each,
            publisher_hello: self.publisher_hello.clone(),
            publish: self.publish.clone(),
            publish_path: self.publish_path.clone(),
            subprotocol: self.subprotocol.clone(),
            binary: self.binary,
        }
    }
}

//! The command line.

use std::fs::OpenOptions;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::access::Access;
use crate::protocol::{Name, Templates};
use crate::scenario::Scenario;

/// Measures how a WebSocket server fans out: how late, how much, at what cost, and whether anything is missing.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Subscribe, publish, measure: one scenario against one server.
    Run(Box<Run>),
    /// Find a server's limits for a scenario that has a rate: a grid of subscribers, rates and lengths, or the rate at
    /// which p99 crosses a bound.
    Sweep(Box<Sweep>),
    /// Start several servers and measure them in turns, with the physical limit among them.
    Compare(Box<Compare>),
    /// Be the physical limit: a server that only writes encoded frames. `run --floor` and `compare` start it
    /// themselves.
    Floor {
        /// The address to listen at.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// Frames of a topic that share a write.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
        frames_per_write: u32,
    },
    /// Make tokens for --token-file: JSON Web Tokens signed with ES256, one a line, on standard output.
    Tokens(Tokens),
    /// List the scenarios that come with the program, or print one as a file to start from.
    Scenarios {
        /// The scenario to print.
        name: Option<String>,
    },
}

/// Tokens for `--token-file`.
#[derive(Debug, Args)]
pub(crate) struct Tokens {
    /// A PEM file with the private key that signs them: on P-256, as PKCS #8
    /// (`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// How many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// Their claims as a JSON object; {number} is filled in, from 0. `iat` and `exp` are added.
    #[arg(long, value_name = "JSON", default_value = r#"{"sub":"load-{number}"}"#)]
    pub(crate) claims: String,
    /// How long they are good for.
    #[arg(long, default_value_t = 3600)]
    pub(crate) seconds: u32,
}

/// One scenario against one server.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Measure the physical limit in turns with the server, on the server's cores, with frames of the same length.
    #[arg(long)]
    pub(crate) floor: bool,
    /// The number of rounds with --floor.
    #[arg(long, default_value_t = 3, requires = "floor")]
    pub(crate) repeats: usize,
    #[command(flatten)]
    pub(crate) against: Against,
    #[command(flatten)]
    pub(crate) out: Out,
}

/// The limits of a server.
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Numbers of subscribers to try.
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) grid_subscribers: Vec<u32>,
    /// Rates to try, updates/s; with --bound-ms the search begins at the first.
    #[arg(long, value_delimiter = ',', value_name = "RATE")]
    pub(crate) grid_rates: Vec<f64>,
    /// Lengths of payloads to try.
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub(crate) grid_bytes: Vec<usize>,
    /// Search for the highest rate that the server holds with p99 below this many ms.
    #[arg(long, value_name = "MS")]
    pub(crate) bound_ms: Option<f64>,
    #[command(flatten)]
    pub(crate) against: Against,
    /// Write all reports as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Several servers in turns.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The servers, how each is started and which protocol it speaks (see `loadgen/compare/field.toml`).
    pub(crate) file: PathBuf,
    /// Scenarios to run, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "steady,many-topics,saturated")]
    pub(crate) scenarios: Vec<String>,
    /// Measure only these servers of the file.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) servers: Vec<String>,
    /// Measure every server but the first twice: the second time with payloads of another length, so that its frames
    /// are as long as those of the first server.
    #[arg(long)]
    pub(crate) equal_frames: bool,
    /// Floors to measure too, each by its number of frames per write.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "FRAMES")]
    pub(crate) floors: Vec<u32>,
    /// The server that ratios are relative to; by default the first floor.
    #[arg(long, value_name = "NAME")]
    pub(crate) base: Option<String>,
    /// The number of rounds.
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: usize,
    /// The servers' cores.
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "CORE")]
    pub(crate) server_cores: Vec<usize>,
    /// The load's cores.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "CORE")]
    pub(crate) cores: Vec<usize>,
    /// Threads of load.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: u32,
    /// Check every payload.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Write the tables, and for each scenario a page and all reports as JSON, to this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A scenario, a server, and how to measure it.
#[derive(Debug, Args)]
pub(crate) struct Against {
    /// A scenario that comes with the program (`loadgen scenarios`), or a TOML file.
    #[arg(default_value = "steady")]
    pub(crate) scenario: String,
    /// The server: ws://HOST:PORT/PATH, or ws://HOST:PORT with the protocol's usual path; wss:// for TLS. Several with
    /// commas between them are servers with the same topics: subscribers and publishers are spread over them.
    #[arg(long, default_value = "ws://127.0.0.1:9000", value_name = "URL")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) speak: Speak,
    #[command(flatten)]
    pub(crate) access: Access,
    #[command(flatten)]
    pub(crate) how: How,
}

/// Changes to the scenario.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Changes to the scenario")]
pub(crate) struct Change {
    /// Seconds to measure.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Connections.
    #[arg(long, short = 'n')]
    pub(crate) subscribers: Option<u32>,
    /// Topics in all.
    #[arg(long)]
    pub(crate) topics: Option<usize>,
    /// Topics that each subscriber follows.
    #[arg(long)]
    pub(crate) each: Option<usize>,
    /// Updates per second over all topics.
    #[arg(long, conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,
    /// Publish as fast as possible with this many updates in flight.
    #[arg(long)]
    pub(crate) in_flight: Option<u64>,
    /// Bytes of a payload.
    #[arg(long)]
    pub(crate) bytes: Option<usize>,
    /// Connections that publish.
    #[arg(long)]
    pub(crate) publishers: Option<u32>,
    /// Only listen, to these topics or patterns of another publisher (repeat the option, or use commas).
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    pub(crate) listen: Vec<String>,
    /// The seed of all randomness.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// The protocol of the server.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Protocol")]
pub(crate) struct Speak {
    /// The server's protocol.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Name,
    /// generic: the first message of a subscriber. {topic}, {topics}, {topics_json} and {number} are filled in.
    #[arg(long, value_name = "TEXT")]
    pub(crate) subscribe: Option<String>,
    /// generic: send --subscribe once for each topic.
    #[arg(long)]
    pub(crate) subscribe_each: bool,
    /// generic: the message that publishes. {topic}, {payload} and {payload_json} are filled in; by default the payload
    /// itself.
    #[arg(long, value_name = "TEXT")]
    pub(crate) publish: Option<String>,
    /// generic: the publishers' path; with {topic} in it, each topic gets a connection.
    #[arg(long, value_name = "PATH")]
    pub(crate) publish_path: Option<String>,
    /// generic: the first message of a publisher.
    #[arg(long, value_name = "TEXT")]
    pub(crate) publisher_hello: Option<String>,
    /// generic: the value of Sec-WebSocket-Protocol.
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Option<String>,
    /// generic: send binary messages.
    #[arg(long)]
    pub(crate) binary: bool,
}

/// How it is measured.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Measuring")]
pub(crate) struct How {
    /// Threads of load; the first one publishes as well.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: u32,
    /// Cores of these threads, in turn: 1 or 1,3. The server should have others.
    #[arg(long, value_delimiter = ',', value_name = "CORE")]
    pub(crate) cores: Vec<usize>,
    /// This machine's addresses to connect from, in turn.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub(crate) source: Vec<IpAddr>,
    /// The server's process, if it runs on this machine: its CPU and memory are reported.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Check every payload; exit with 1 if any update was lost silently, duplicated, reordered or corrupted, or had not
    /// arrived when the time to drain was over.
    #[arg(long)]
    pub(crate) verify: bool,
}

/// The outputs of the report.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Report")]
pub(crate) struct Out {
    /// The name of the run in reports.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Write the report as JSON; `-` is standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the latencies as HdrHistogram's percentile distribution, in ms; raw latencies, from when updates were
    /// sent, go to a second file with `.raw` before the extension.
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<PathBuf>,
    /// Write a page with plots and everything else: one self-contained file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl Out {
    /// Checks that the files can be written, before anything is measured for them.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let files = [&self.json, &self.hgrm, &self.html].into_iter().flatten();
        for path in files.filter(|path| path.as_os_str() != "-") {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("the report cannot be written to {}", path.display()))?;
        }
        Ok(())
    }
}

impl Change {
    /// Finds the scenario of that name and applies the changes.
    pub(crate) fn find(&self, name: &str) -> anyhow::Result<Scenario> {
        let mut scenario = Scenario::find(name)?;
        self.apply(&mut scenario);
        scenario.check()?;
        Ok(scenario)
    }

    fn apply(&self, scenario: &mut Scenario) {
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
            // The scenario's own description is about the updates that it would publish.
            "A feed from another publisher".clone_into(&mut scenario.about);
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

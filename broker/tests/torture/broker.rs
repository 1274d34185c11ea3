//! The broker in a process of its own. It may be another build or an older one.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::http;
use crate::patience::{Patience, pass};
use crate::wire::Options;

/// The number of shards of an attacked broker.
pub(crate) const SHARDS: usize = 2;
/// The interval between two checks whether the process has ended.
const LOOK: Duration = Duration::from_millis(5);

/// The program that is attacked: `BROKER`, or the one that this test was built with.
fn program() -> String {
    std::env::var("BROKER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tickcast").to_owned())
}

/// Raises the limit on open files as far as possible, for this process and for the brokers that it starts.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        eprintln!("the limit on open files stays as it is: {error}");
    }
}

/// Returns whether the program has a setting of this name. An older program may not have it, and would not start with
/// it.
fn has_setting(name: &str) -> bool {
    static SETTINGS: OnceLock<String> = OnceLock::new();
    let settings = SETTINGS.get_or_init(|| {
        let shown = Command::new(program()).arg("config").stdin(Stdio::null()).output();
        shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned()).unwrap_or_default()
    });
    settings.lines().any(|line| line.split_once(" = ").is_some_and(|(key, _)| key.trim_start_matches("# ") == name))
}

/// A running broker. Killed when dropped, if it still runs.
pub(crate) struct Broker {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The address with TLS, where that is on.
    pub(crate) tls: Option<SocketAddr>,
    log_lines: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Broker {
    /// Starts a broker with these settings, as far as it has them, with files, and with a limit on open files.
    pub(crate) fn start<'a>(
        settings: impl Iterator<Item = (&'a str, &'a str)>,
        files: fn(&Path) -> io::Result<String>,
        open_files: Option<u64>,
    ) -> io::Result<Self> {
        // A shell sets the hard limit, because the broker raises the soft one as far as it may.
        let limit = open_files.map(|files| format!("ulimit -n {files}; ")).unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}exec \"$0\" \"$@\""), &program(), "serve"]);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-ms", "0"]);
        command.args(["--shards", &SHARDS.to_string(), "--log-format", "text"]);
        let folder = tempfile::tempdir()?;
        let configuration = files(folder.path())?;
        if !configuration.is_empty() {
            let file = folder.path().join("tickcast.toml");
            std::fs::write(&file, configuration)?;
            command.arg("--config").arg(file);
        }
        for (name, value) in settings.filter(|(name, _)| has_setting(name)) {
            command.args([&format!("--{}", name.replace('_', "-")), value]);
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or_else(|| io::Error::other("no log"))?);
        let [listen, admin, tls] = match addresses(&mut log) {
            Ok(addresses) => addresses,
            Err(lines) => {
                return Err(io::Error::other(format!("the broker did not serve ({:?}): {lines}", child.wait())));
            }
        };
        let log_lines = Arc::new(AtomicU64::new(0));
        let counted = log_lines.clone();
        std::thread::spawn(move || log.lines().for_each(|_| _ = counted.fetch_add(1, Ordering::Relaxed)));
        let (Some(listen), Some(admin)) = (listen, admin) else {
            return Err(io::Error::other("the broker did not say where it serves"));
        };
        Ok(Self { child, listen, admin, tls, log_lines, _folder: folder })
    }

    /// The number of lines that it has logged since it began to serve.
    pub(crate) fn log_lines(&self) -> u64 {
        self.log_lines.load(Ordering::Relaxed)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory now.
    pub(crate) fn resident_kib(&self) -> u64 {
        resident_kib(self.pid())
    }

    /// The most resident memory that it ever had.
    pub(crate) fn peak_kib(&self) -> u64 {
        status_kib(self.pid(), "VmHWM:")
    }

    /// CPU time of all its threads so far, by the scheduler's own accounting.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu_of("")
    }

    /// CPU time of its shards so far.
    pub(crate) fn shards_cpu(&self) -> Duration {
        self.cpu_of("shard-")
    }

    /// CPU time of the threads whose names begin with `name`.
    fn cpu_of(&self, name: &str) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let is_one = std::fs::read_to_string(thread.path().join("comm")).ok()?.starts_with(name);
            if !is_one {
                return None;
            }
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// Everything that `/metrics` shows now.
    pub(crate) fn metrics(&self, patience: &Patience) -> io::Result<Metrics> {
        let request = http::get(self.admin, "/metrics");
        let answer = http::exchange(self.admin, Options::default(), &[request.as_bytes()], patience)?;
        Ok(Metrics::parse(&answer.text()))
    }

    /// Stops it, as a supervisor would. Returns how long that took; `None` if it did not end in time.
    pub(crate) fn stop(mut self, limit: Duration) -> Option<Duration> {
        let begin = Instant::now();
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails if it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        while begin.elapsed() < limit {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Some(begin.elapsed());
            }
            pass(LOOK);
        }
        None
    }

    /// Returns whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// The values of `/metrics`, by name and labels.
#[derive(Debug, Default)]
pub(crate) struct Metrics(HashMap<String, f64>);

impl Metrics {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Self(values.collect())
    }

    /// One value; 0 if the broker does not have it.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Each budget with a name: its name, its bytes, and their bound.
    pub(crate) fn budgets(&self) -> Vec<(String, f64, f64)> {
        let shared = self.0.iter().filter_map(|(name, max)| {
            let label = name.strip_prefix("tickcast_budget_bytes_max")?;
            Some((label.to_owned(), self.get(&format!("tickcast_budget_bytes{label}")), *max))
        });
        let own = [("histories", "history_bytes"), ("images", "image_bytes"), ("feed", "feed_backlog_bytes")];
        let own = own.into_iter().map(|(what, name)| {
            let name = format!("tickcast_{name}");
            (what.to_owned(), self.get(&name), self.get(&format!("{name}_max")))
        });
        shared.chain(own).collect()
    }

    /// How long a shard was busy so far, in seconds.
    pub(crate) fn busy(&self, shard: usize) -> f64 {
        self.get(&format!("tickcast_shard_busy_seconds_total{{shard=\"{shard}\"}}"))
    }

    /// The broker's gauges of memory, in MB, except for those near zero.
    pub(crate) fn bytes_held(&self) -> String {
        let gauges = self.0.iter().filter_map(|(name, bytes)| {
            let what = name.strip_prefix("tickcast_")?.strip_suffix("_bytes")?;
            (*bytes >= 1e5).then(|| format!("{what} {:.1} MB", bytes / 1e6))
        });
        let mut gauges: Vec<String> = gauges.collect();
        gauges.sort();
        if gauges.is_empty() { "nothing".to_owned() } else { gauges.join(", ") }
    }

    /// The increase of a counter per round, on average since `before`.
    pub(crate) fn per_round(&self, before: &Self, name: &str) -> f64 {
        (self.get(name) - before.get(name)) / self.rounds(before).max(1.0)
    }

    /// The rounds of the shards that had anything to do, since `before`.
    pub(crate) fn rounds(&self, before: &Self) -> f64 {
        self.get("tickcast_round_seconds_count") - before.get("tickcast_round_seconds_count")
    }

    /// An upper bound of the longest round since `before`, in seconds: the bound of the histogram's last bucket in use.
    pub(crate) fn longest_round(&self, before: &Self) -> f64 {
        const BUCKET: &str = "tickcast_round_seconds_bucket{le=\"";
        let count = |metrics: &Self, name: &str| metrics.get(name);
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .keys()
            .filter_map(|name| {
                let bound = name.strip_prefix(BUCKET)?.strip_suffix("\"}")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, count(self, name) - count(before, name)))
            })
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        if all == 0.0 {
            return 0.0;
        }
        buckets.iter().find(|(_, count)| *count >= all).map_or(0.0, |(bound, _)| *bound)
    }
}

/// Reads the log up to the line that says where the broker serves: to clients, to its admin, and with TLS. If there is
/// none, the error is the log.
fn addresses(log: &mut BufReader<ChildStderr>) -> Result<[Option<SocketAddr>; 3], String> {
    let mut lines = String::new();
    loop {
        let begin = lines.len();
        if !matches!(log.read_line(&mut lines), Ok(1..)) {
            return Err(lines);
        }
        let line = &lines[begin..];
        let found = [" listen=", " admin_listen=", " tls_listen="].map(|before| address(line, before));
        if found[0].is_some() && found[1].is_some() {
            return Ok(found);
        }
    }
}

fn address(line: &str, before: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(before)?;
    rest.split_whitespace().next()?.parse().ok()
}

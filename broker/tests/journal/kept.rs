//! A broker with a journal that is ended and started again: the same directory, the same address, other processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Answer, Client, Process, ask, command};

/// The first port of these tests.
const PORT: u16 = 20_000;

/// A broker and what it keeps.
pub(crate) struct Kept {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    flags: Vec<String>,
    /// What runs the program: nothing, or a command before it.
    before: Vec<String>,
    process: Option<Process>,
}

impl Kept {
    /// Starts a broker with these flags and an empty journal.
    #[track_caller]
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut kept = Self::new(flags);
        kept.go();
        kept
    }

    /// The same, without starting it.
    pub(crate) fn new(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { folder, address: own_address(), flags, before: Vec::new(), process: None }
    }

    /// The directory of the journal.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Starts it with these flags from now on.
    pub(crate) fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Starts it with this command before the program from now on.
    pub(crate) fn run_by(&mut self, before: &[&str]) {
        self.before = before.iter().map(|word| (*word).to_owned()).collect();
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        let (dir, address) = (self.dir(), self.address.to_string());
        let own = ["--listen", &address, "--journal", "local", "--journal-dir", dir.to_str().unwrap()];
        let given = self.flags.iter().map(String::as_str);
        // A flag that is given counts instead of ours.
        let own = own.chunks(2).filter(|pair| !self.flags.iter().any(|flag| flag == pair[0])).flatten().copied();
        let flags: Vec<&str> = own.chain(["--drain-ms", "0"]).chain(given).collect();
        let broker = command(&flags);
        let [program, arguments @ ..] = &self.before[..] else { return broker };
        let mut command = Command::new(program);
        command.args(arguments).arg(broker.get_program()).args(broker.get_args());
        command
    }

    /// Starts it, and waits until it serves.
    #[track_caller]
    pub(crate) fn go(&mut self) -> &mut Process {
        assert!(self.process.is_none(), "it runs already");
        self.process.insert(Process::run(self.command()))
    }

    #[track_caller]
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// The process, if it was started and not ended by the test.
    pub(crate) fn process_if_any(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Kills it.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.process().end(Signal::KILL);
        self.process = None;
    }

    /// Stops it as a supervisor does, and returns what it logged.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Vec<Value> {
        assert_eq!(self.process().end(Signal::TERM).0, Some(0));
        self.process.take().unwrap().logged()
    }

    #[track_caller]
    pub(crate) fn kill_and_go(&mut self) {
        self.kill();
        self.go();
    }

    #[track_caller]
    pub(crate) fn stop_and_go(&mut self) {
        self.stop();
        self.go();
    }

    /// What it logged before it served, in one text.
    pub(crate) fn early(&mut self) -> String {
        let texts = self.process().early.iter().filter_map(|line| line["message"].as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends an HTTP request to the client listener.
    #[track_caller]
    pub(crate) fn http(&self, line: &str, body: &str) -> Answer {
        ask(self.address, line, &["Content-Type: application/json"], body.as_bytes())
    }

    /// Publishes, and returns the update's `seq`.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, kind: &str, data: &str) -> u64 {
        let answer = self.http(&format!("POST /v1/topics/{topic}?kind={kind}"), data);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["seq"].as_u64().unwrap()
    }

    /// The history of a topic, up to so many updates.
    #[track_caller]
    pub(crate) fn history(&self, topic: &str, last: u64) -> Value {
        let answer = self.http(&format!("GET /v1/topics/{topic}/history?last={last}"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Everything that one can ask for about the topics, to compare it with another time. Subscribers are not counted.
    #[track_caller]
    pub(crate) fn all(&self) -> Value {
        let mut listed = self.http("GET /v1/topics?limit=1000", "").json();
        let mut all = Vec::new();
        for topic in listed["topics"].as_array_mut().unwrap() {
            let name = topic["topic"].as_str().unwrap().to_owned();
            if name.starts_with("$SYS") {
                continue;
            }
            topic["subscribers"] = Value::Null;
            let image = self.http(&format!("GET /v1/topics/{name}"), "").json();
            all.push(serde_json::json!([topic.clone(), image, self.history(&name, 10_000)]));
        }
        Value::Array(all)
    }
}

/// An address that nobody else has: of this process by its host, of this broker by its port. So it is still free when
/// a broker comes back to it, and no client that connects meanwhile meets itself there.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(PORT);
    let pid = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 64 | pid[1] & 63, pid[2], pid[3]], NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// The files of a journal's directory whose names begin like this, in the order of their names, with their sizes.
pub(crate) fn files(dir: &Path, prefix: &str) -> Vec<(PathBuf, u64)> {
    // It may be gone at the end of a test.
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        // It may be gone before it is looked at.
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .filter_map(|path| std::fs::metadata(&path).ok().map(|file| (path, file.len())))
        .collect();
    found.sort();
    found
}

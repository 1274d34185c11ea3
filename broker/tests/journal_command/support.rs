//! A directory with a journal, a broker that fills it, and the command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::{Answer, PROGRAM, Process, ask};

/// A folder of one test, in which its journals are.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A journal of that name with three topics, whose broker was ended by this signal.
    pub(crate) fn journal(&self, name: &str, signal: Signal) -> PathBuf {
        let dir = self.path(name);
        let mut broker = broker(&dir);
        fill(&broker);
        broker.end(signal);
        dir
    }
}

/// Starts a broker with this journal.
pub(crate) fn broker(dir: &Path) -> Process {
    Process::start(&["--journal", "local", "--journal-dir", dir.to_str().unwrap(), "--drain-ms", "0"])
}

/// Publishes to three topics and ends one of them: six updates, one of them a patch, and a duplicate.
pub(crate) fn fill(broker: &Process) {
    publish(broker, "a.state?kind=state", r#"{"n":1,"deep":{"x":1}}"#);
    publish(broker, "a.state?kind=patch", r#"{"n":2,"deep":{"y":2.50}}"#);
    for number in 1..=3 {
        publish(broker, &format!("a.event?source=s&source_seq={number}&source_ts=7"), &format!("[{number}]"));
    }
    publish(broker, "a.event?source=s&source_seq=3", "[3]");
    publish(broker, "b.gone?kind=state", "{}");
    assert_eq!(http(broker, "DELETE /v1/topics/b.gone", "").status, 200);
}

#[track_caller]
pub(crate) fn publish(broker: &Process, topic: &str, data: &str) {
    let answer = http(broker, &format!("POST /v1/topics/{topic}"), data);
    assert_eq!(answer.status, 200, "{answer:?}");
}

pub(crate) fn http(broker: &Process, line: &str, body: &str) -> Answer {
    ask(broker.listen, line, &["Content-Type: application/json"], body.as_bytes())
}

/// What a broker serves of a topic: its image, and its history without the epoch; and the epoch.
pub(crate) fn served(broker: &Process, topic: &str) -> (String, String) {
    let history = broker.get(broker.listen, &format!("/v1/topics/{topic}/history?last=100"));
    let image = broker.get(broker.listen, &format!("/v1/topics/{topic}"));
    let epoch = history.json()["epoch"].as_str().unwrap_or_else(|| panic!("{history:?}")).to_owned();
    ((image.body + &history.body).replace(&epoch, "EPOCH"), epoch)
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) complaint: String,
}

/// Runs `tickcast journal` with these words on a directory. It must not panic.
#[track_caller]
pub(crate) fn journal(words: &[&str], dir: &Path) -> Done {
    run(Command::new(PROGRAM).arg("journal").args(words).arg("--journal-dir").arg(dir))
}

#[track_caller]
pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let done = Done { code: output.status.code(), out: text(output.stdout), complaint: text(output.stderr) };
    assert!(!done.complaint.contains("panicked") && matches!(done.code, Some(0..=2)), "{done:?}");
    done
}

/// All files of a directory with their bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for (path, bytes) in files(from) {
        std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

/// The only segment of a small log.
pub(crate) fn segment(dir: &Path) -> PathBuf {
    files(dir).into_keys().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("log.")).unwrap()
}

//! A broker with a configuration file that a test changes.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Answer, Process, ask, command};

pub(crate) const JSON: &str = "Content-Type: application/json";

/// A running broker and its file.
pub(crate) struct Configured {
    pub(crate) process: Process,
    pub(crate) folder: tempfile::TempDir,
}

impl Configured {
    /// Starts a broker with this file.
    #[track_caller]
    pub(crate) fn start(file: &str) -> Self {
        Self::with(file, |_| {})
    }

    /// Starts a broker with this file, and with a command that was changed.
    #[track_caller]
    pub(crate) fn with(file: &str, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickcast.toml");
        std::fs::write(&path, file).unwrap();
        let mut command = command(&["--config", path.to_str().unwrap()]);
        change(&mut command);
        Self { process: Process::run(command), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the file in one step: a reload must not see half of it.
    pub(crate) fn write(&self, file: &str) {
        std::fs::write(self.path("new.toml"), file).unwrap();
        std::fs::rename(self.path("new.toml"), self.path("tickcast.toml")).unwrap();
    }

    /// Asks the broker to read its file.
    pub(crate) fn post_reload(&self) -> Answer {
        self.post("/v1/reload", "")
    }

    /// Writes the file and reloads. Returns the settings that need a restart.
    #[track_caller]
    pub(crate) fn reload(&self, file: &str) -> Vec<String> {
        self.write(file);
        let answer = self.post_reload();
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        let texts = |name: &str| -> Vec<String> {
            answer[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(texts("reloaded"), ["logs", "limits", "topics", "access", "tls", "keys", "roles", "tokens", "quotas", "admin", "audit"]);
        texts("needs_restart")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        ask(self.process.admin, &format!("POST {path}"), &[JSON], body.as_bytes())
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        ask(self.process.admin, &format!("GET {path}"), &[], b"")
    }

    /// Sends an HTTP request to the client listener.
    pub(crate) fn http(&self, line: &str, body: &str) -> Answer {
        ask(self.process.listen, line, &[JSON], body.as_bytes())
    }

    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, data: &str) {
        let answer = self.http(&format!("POST /v1/topics/{topic}"), data);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Ends the broker, and returns what it logged.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Vec<Value> {
        assert_eq!(self.process.end(Signal::TERM).0, Some(0));
        self.process.logged()
    }
}

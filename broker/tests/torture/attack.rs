//! An attack, and the stage on which it runs.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::http;
use crate::link::Link;
use crate::patience::Patience;
use crate::watch::shards;
use crate::wire::Options;

/// How long after its end an attack may still wait for an answer.
const GRACE: Duration = Duration::from_secs(10);
/// The longest time for preparing.
const PREPARING: Duration = Duration::from_secs(60);
/// The bytes of NDJSON in one request: less than `ndjson_bytes_max`.
const LINES_BYTES: usize = 4 << 20;

/// The size of the attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As in `make torture`.
    Full,
    /// As in `cargo test`.
    Short,
}

impl Size {
    /// Picks one of two values.
    pub(crate) fn pick<T>(self, full: T, short: T) -> T {
        match self {
            Self::Full => full,
            Self::Short => short,
        }
    }
}

/// A value for each size: the full one, the short one.
pub(crate) type Sized<T> = (T, T);

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What the attackers do, in one sentence.
    pub(crate) what: &'static str,
    /// Settings that differ from the defaults. A broker that lacks one of them runs without it.
    pub(crate) settings: &'static [(&'static str, Sized<&'static str>)],
    /// Writes files that the broker needs into a folder of its own. Returns the text of its configuration file.
    pub(crate) files: fn(&Path) -> io::Result<String>,
    /// The most open files that the broker may have.
    pub(crate) open_files: Option<u64>,
    /// Prepares the broker before anything is measured. The control run has it too.
    pub(crate) prepare: fn(&Stage<'_>) -> io::Result<()>,
    /// Runs the attack. All its connections are closed when it returns.
    pub(crate) run: fn(&mut Stage<'_>) -> io::Result<()>,
    /// Its duration in seconds.
    pub(crate) seconds: Sized<f64>,
    /// By how many MiB the broker's memory may grow meanwhile: the budgets that the attack draws from, and what a
    /// process needs around them.
    pub(crate) grows_mib: Sized<u64>,
    /// By how many MiB it may be larger when the attackers have left: topics and histories that they have left behind.
    pub(crate) keeps_mib: Sized<u64>,
    /// Whether newcomers may be refused with a code, because the attackers use all connections.
    pub(crate) may_refuse_newcomers: bool,
}

impl Attack {
    /// An attack on a broker with the default settings.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        what: "",
        settings: &[],
        files: |_| Ok(String::new()),
        open_files: None,
        prepare: |_| Ok(()),
        run: |_| Ok(()),
        seconds: (6.0, 0.6),
        grows_mib: (96, 96),
        keeps_mib: (32, 32),
        may_refuse_newcomers: false,
    };

    /// The settings for one size.
    pub(crate) fn settings(&self, size: Size) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.settings.iter().map(move |(name, (full, short))| (*name, size.pick(*full, *short)))
    }
}

/// What an attack works with, and what it reports.
pub(crate) struct Stage<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) size: Size,
    /// The shard whose bystanders are called "same shard". Attacks with few connections put all of them there.
    pub(crate) target: usize,
    until: Instant,
    /// Connections that fill the other shard.
    fillers: Vec<Link>,
    complaints: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Stage<'a> {
    /// The stage for preparing.
    pub(crate) fn new(broker: &'a Broker, size: Size, target: usize) -> Self {
        let until = Instant::now() + PREPARING;
        Self { broker, size, target, until, fillers: Vec::new(), complaints: Vec::new(), notes: Vec::new() }
    }

    /// Begins the attack's time.
    pub(crate) fn begin(&mut self, seconds: f64) {
        self.until = Instant::now() + Duration::from_secs_f64(seconds);
    }

    /// Returns whether the attack's time is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// A wait until the end of the attack.
    pub(crate) fn to_the_end(&self) -> Patience {
        Patience::until(self.until)
    }

    /// A wait for an answer that has to come.
    pub(crate) fn patience(&self) -> Patience {
        Patience::until(self.until + GRACE)
    }

    /// Connects to the shard that is attacked.
    pub(crate) fn link(&mut self) -> io::Result<Link> {
        let patience = self.patience();
        shards::link_on(self.target, self.broker, Options::attacker(), &mut self.fillers, &patience)
    }

    /// Publishes lines of NDJSON. Returns how many were refused.
    pub(crate) fn publish(&self, lines: impl Iterator<Item = String>) -> io::Result<u64> {
        let (mut body, mut rejected) = (String::new(), 0);
        for line in lines {
            body.push_str(&line);
            body.push('\n');
            if body.len() >= LINES_BYTES {
                rejected += self.post(&std::mem::take(&mut body))?;
            }
        }
        if !body.is_empty() {
            rejected += self.post(&body)?;
        }
        Ok(rejected)
    }

    fn post(&self, body: &str) -> io::Result<u64> {
        let head = http::post(self.broker.listen, "/v1/publish", "x-ndjson", body.len());
        let request = [head.as_bytes(), body.as_bytes()];
        let answer = http::exchange(self.broker.listen, Options::default(), &request, &self.patience())?;
        match answer.json()["rejected"].as_array() {
            Some(rejected) => Ok(rejected.len() as u64),
            None => Err(io::Error::other(format!("publishing was answered with {}: {}", answer.status, answer.text()))),
        }
    }

    /// Reports a broken promise.
    pub(crate) fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }

    /// Reports a broken promise unless this holds.
    pub(crate) fn check(&mut self, good: bool, complaint: impl FnOnce() -> String) {
        if !good {
            self.complaints.push(complaint());
        }
    }

    /// Adds a remark to the report.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Returns the complaints and the notes. Closes the connections that filled the other shard.
    pub(crate) fn end(self) -> (Vec<String>, Vec<String>) {
        (self.complaints, self.notes)
    }
}

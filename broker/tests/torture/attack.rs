//! What an attack is, and what it is given.

use std::io;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::http;
use crate::link::Link;
use crate::patience::Patience;
use crate::watch::shards;
use crate::wire::Options;

/// How long after its end an attack may still wait for an answer. A broker that is stuck longer is not waited for.
const GRACE: Duration = Duration::from_secs(10);
/// How long preparing may take.
const PREPARING: Duration = Duration::from_secs(60);
/// NDJSON that is sent at once: less than `ndjson_bytes_max`.
const LINES_BYTES: usize = 4 << 20;

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As in `make torture`.
    Full,
    /// As in `cargo test`.
    Short,
}

impl Size {
    /// One of two values.
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
    /// Open files that the broker may have.
    pub(crate) open_files: Option<u64>,
    /// What is there before anything is measured. The control run has it too.
    pub(crate) prepare: fn(&Stage<'_>) -> io::Result<()>,
    /// The attack itself. Whatever it has connected is gone when it returns.
    pub(crate) run: fn(&mut Stage<'_>) -> io::Result<()>,
    /// How long it goes on, in seconds.
    pub(crate) seconds: Sized<f64>,
    /// By how many MiB the broker's memory may grow meanwhile: the budgets that the attack draws from, and what a process
    /// needs around them.
    pub(crate) grows_mib: Sized<u64>,
    /// By how many MiB it may be larger when the attackers have left: topics and histories that they have left behind.
    pub(crate) keeps_mib: Sized<u64>,
    /// Whether newcomers may be refused with a code, because the attackers have taken all places.
    pub(crate) takes_places: bool,
}

impl Attack {
    /// An attack on a broker with the default settings.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        what: "",
        settings: &[],
        open_files: None,
        prepare: |_| Ok(()),
        run: |_| Ok(()),
        seconds: (6.0, 0.6),
        grows_mib: (96, 96),
        keeps_mib: (32, 32),
        takes_places: false,
    };

    /// The settings for one size.
    pub(crate) fn settings(&self, size: Size) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.settings.iter().map(move |(name, (full, short))| (*name, size.pick(*full, *short)))
    }
}

/// What an attack is given, and what it says about itself.
pub(crate) struct Stage<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) size: Size,
    /// The shard whose bystanders are called "same shard". Attacks with few connections put all of them there.
    pub(crate) target: usize,
    until: Instant,
    /// Connections that are there to be on the other shard.
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

    /// From now on the attack goes on for so long.
    pub(crate) fn begin(&mut self, seconds: f64) {
        self.until = Instant::now() + Duration::from_secs_f64(seconds);
    }

    /// Whether the attack's time is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// To the end of the attack.
    pub(crate) fn to_the_end(&self) -> Patience {
        Patience::until(self.until)
    }

    /// For an answer that has to come.
    pub(crate) fn patience(&self) -> Patience {
        Patience::until(self.until + GRACE)
    }

    /// A connection to the shard that is attacked.
    pub(crate) fn link(&mut self) -> io::Result<Link> {
        let patience = self.patience();
        shards::link_on(self.target, self.broker, Options::attacker(), &mut self.fillers, &patience)
    }

    /// Publishes these lines of NDJSON. Returns how many were refused.
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

    /// Says which promise was broken.
    pub(crate) fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }

    /// Complains unless this holds.
    pub(crate) fn check(&mut self, good: bool, complaint: impl FnOnce() -> String) {
        if !good {
            self.complaints.push(complaint());
        }
    }

    /// Says how it went, for whoever reads the report.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// What was said: complaints, notes. Connections that only filled a place are closed.
    pub(crate) fn end(self) -> (Vec<String>, Vec<String>) {
        (self.complaints, self.notes)
    }
}

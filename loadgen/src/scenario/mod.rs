//! Scenarios: what a run does, read from a TOML file, changed by options of the command line, checked before anything
//! is connected.

mod check;
mod shipped;

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub(crate) use shipped::SHIPPED;

/// A scenario. Every field has a default, so that a file only states what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scenario {
    /// What it shows, for people.
    pub(crate) about: String,
    /// The length of the measured window, in seconds.
    pub(crate) seconds: f64,
    /// How long is published before the window, in seconds.
    pub(crate) warm_up_seconds: f64,
    /// The longest wait at the end for updates in flight, in seconds.
    pub(crate) drain_seconds: f64,
    /// The seed of all randomness.
    pub(crate) seed: u64,
    /// The subscribers.
    pub(crate) subscribers: Subscribers,
    /// What is published; unused if `listen` is given.
    pub(crate) publish: Publish,
    /// Topics or patterns of another publisher: the load then publishes nothing, and latency counts from the server's
    /// own time stamps, by the wall clock.
    pub(crate) listen: Vec<String>,
    /// Subscribers that are slow on purpose.
    pub(crate) slow: Option<Slow>,
    /// Subscribers that come and go.
    pub(crate) churn: Option<Churn>,
    /// Many subscribers lose their connection at once, and come back.
    pub(crate) storm: Option<Storm>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: String::new(),
            seconds: 10.0,
            warm_up_seconds: 1.0,
            drain_seconds: 10.0,
            seed: 1,
            subscribers: Subscribers::default(),
            publish: Publish::default(),
            listen: Vec::new(),
            slow: None,
            churn: None,
            storm: None,
        }
    }
}

/// The subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Subscribers {
    /// The number of connections.
    pub(crate) count: u32,
    /// Topics in all.
    pub(crate) topics: usize,
    /// Topics that each subscriber follows.
    pub(crate) each: usize,
    /// Whether topics are followed by their names, or by a pattern that covers `each` of them.
    pub(crate) follow: Follow,
    /// Whether all topics are followed and published equally.
    pub(crate) popularity: Popularity,
    /// The exponent of Zipf's law.
    pub(crate) zipf_exponent: f64,
    /// Handshakes under way at once.
    pub(crate) handshakes: u32,
    /// At most one message per topic in this many ms; 0: every update. (Tickcast)
    pub(crate) conflate_ms: u32,
    /// What happens if the subscriber does not keep up: `conflate`, `retain` or `disconnect`. (Tickcast)
    pub(crate) on_slow: Option<String>,
    /// Where streams begin: `image`, `live` or `{"last":N}`. (Tickcast)
    pub(crate) from: Option<String>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self {
            count: 1000,
            topics: 1,
            each: 1,
            follow: Follow::Name,
            popularity: Popularity::Even,
            zipf_exponent: 1.0,
            handshakes: 128,
            conflate_ms: 0,
            on_slow: None,
            from: Some("live".to_owned()),
        }
    }
}

/// How topics are subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Follow {
    /// Each by its name.
    Name,
    /// By one pattern that covers them.
    Pattern,
}

/// How popular topics are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Popularity {
    /// All equal: published in turn, followed equally often.
    Even,
    /// By Zipf's law: a few topics have most updates and subscribers.
    Zipf,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Publish {
    /// Updates per second over all topics, at fixed times, whether or not the server keeps up (open loop): 100 if
    /// neither this nor `in_flight` is given.
    pub(crate) rate: Option<f64>,
    /// As fast as possible, with at most this many updates published and not yet delivered everywhere (closed loop).
    pub(crate) in_flight: Option<u64>,
    /// Updates that are due at the same moment.
    pub(crate) burst: u64,
    /// Updates of a publisher that go in one message, if they are due. (Tickcast)
    pub(crate) batch: u32,
    /// Bytes of each update's payload.
    pub(crate) bytes: usize,
    /// `event`, `state` or `patch`. (Tickcast)
    pub(crate) kind: String,
    /// Connections that publish; a topic always uses the same one.
    pub(crate) publishers: u32,
    /// The rate's factor over time: pairs of seconds since publishing began and factor, linear in between.
    pub(crate) ramp: Vec<(f64, f64)>,
}

impl Default for Publish {
    fn default() -> Self {
        let kind = "event".to_owned();
        Self { rate: None, in_flight: None, burst: 1, batch: 1, bytes: 120, kind, publishers: 1, ramp: Vec::new() }
    }
}

/// Subscribers that are slow on purpose. Their deliveries are counted and verified, but their latencies are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    /// The fraction of all subscribers.
    pub(crate) share: f64,
    /// Bytes that each reads per second; 0: it reads nothing.
    pub(crate) bytes_per_second: u64,
    /// When they begin to read as fast as they can, in seconds after publishing began: before the run's end, so that
    /// what they get can be seen.
    pub(crate) until_seconds: Option<f64>,
}

/// Subscribers that come and go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    /// Connections that are closed and opened again, per second.
    pub(crate) per_second: f64,
}

/// Many subscribers lose their connection at once, and come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storm {
    /// When it happens, in seconds after publishing began.
    pub(crate) at_seconds: f64,
    /// The fraction of all subscribers.
    pub(crate) share: f64,
    /// Over how many seconds they come back, evenly; 0: all at once.
    #[serde(default)]
    pub(crate) over_seconds: f64,
    /// Handshakes under way at once meanwhile; `None`: as many as otherwise.
    #[serde(default)]
    pub(crate) handshakes: Option<u32>,
    /// Whether they resume their streams. (Tickcast)
    #[serde(default)]
    pub(crate) resume: bool,
}

/// What paces the updates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Drive {
    /// This many a second.
    Rate(f64),
    /// This many in flight.
    InFlight(u64),
}

impl Publish {
    pub(crate) fn drive(&self) -> Drive {
        match self.in_flight {
            Some(in_flight) => Drive::InFlight(in_flight),
            None => Drive::Rate(self.rate.unwrap_or(100.0)),
        }
    }
}

impl Scenario {
    /// Reads a scenario: one of [`SHIPPED`] by its name, or a file.
    pub(crate) fn find(name: &str) -> anyhow::Result<Self> {
        if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            return Self::parse(text).with_context(|| format!("scenario {name}"));
        }
        let path = Path::new(name);
        if !path.exists() {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            anyhow::bail!("{name:?} is neither a scenario file nor a shipped scenario ({})", names.join(", "));
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("scenario file {name}"))?;
        Self::parse(&text).with_context(|| format!("scenario file {name}"))
    }

    /// Reads a scenario's text. An error names the line and the key.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Whether the load publishes what it measures.
    pub(crate) fn publishes(&self) -> bool {
        self.listen.is_empty()
    }
}

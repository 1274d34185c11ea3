//! What a run does: read from a TOML file, changed by options of the command line, checked before anything is connected.

mod check;
mod shipped;

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub(crate) use shipped::SHIPPED;

/// A run. Every field has a default, so that a file says only what is special about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scenario {
    /// For people: what it shows.
    pub(crate) about: String,
    /// How long is measured, in seconds.
    pub(crate) seconds: f64,
    /// How long is published before that, in seconds.
    pub(crate) warm_up_seconds: f64,
    /// How long is waited at most, at the end, for what is still under way, in seconds.
    pub(crate) drain_seconds: f64,
    /// What chance decides is decided by this.
    pub(crate) seed: u64,
    /// Who listens.
    pub(crate) subscribers: Subscribers,
    /// What is published; not used where `listen` is given.
    pub(crate) publish: Publish,
    /// Topics or patterns that somebody else publishes: then nothing is published here, and latency counts from the
    /// server's own time stamps, by the wall clock.
    pub(crate) listen: Vec<String>,
    /// Subscribers that do not keep up.
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

/// Who listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Subscribers {
    /// How many connections.
    pub(crate) count: u32,
    /// Topics in all.
    pub(crate) topics: usize,
    /// Topics that each subscriber follows.
    pub(crate) each: usize,
    /// By their names, or by a pattern that covers `each` of them.
    pub(crate) follow: Follow,
    /// Whether all topics are followed and published alike.
    pub(crate) popularity: Popularity,
    /// The exponent of Zipf's law.
    pub(crate) zipf_exponent: f64,
    /// Handshakes under way at once.
    pub(crate) handshakes: u32,
    /// At most one message per topic in so many ms; 0: every update. (Tickcast)
    pub(crate) conflate_ms: u32,
    /// What happens when the subscriber does not keep up: `conflate`, `retain` or `disconnect`. (Tickcast)
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

/// How topics are asked for.
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
    /// All alike: published in turn, followed equally often.
    Even,
    /// By Zipf's law: few are published and followed much, most hardly.
    Zipf,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Publish {
    /// Updates per second over all topics, at fixed moments, whether or not the server keeps up (open loop): 100 where
    /// neither this nor `in_flight` is given.
    pub(crate) rate: Option<f64>,
    /// As fast as it goes, with at most so many updates published and not yet everywhere (closed loop).
    pub(crate) in_flight: Option<u64>,
    /// Updates that are due at the same moment.
    pub(crate) burst: u64,
    /// Bytes of each update's payload.
    pub(crate) bytes: usize,
    /// `event`, `state` or `patch`. (Tickcast)
    pub(crate) kind: String,
    /// Connections that publish; each topic always comes by the same one.
    pub(crate) publishers: u32,
    /// The rate's factor over time: pairs of seconds since publishing began and factor, linear in between.
    pub(crate) ramp: Vec<(f64, f64)>,
}

impl Default for Publish {
    fn default() -> Self {
        let kind = "event".to_owned();
        Self { rate: None, in_flight: None, burst: 1, bytes: 120, kind, publishers: 1, ramp: Vec::new() }
    }
}

/// Subscribers that do not keep up. What they get is counted and verified, but their latencies are not among the others'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    /// The part of all subscribers.
    pub(crate) share: f64,
    /// What each reads per second; 0: nothing.
    pub(crate) bytes_per_second: u64,
    /// When that ends, in seconds after publishing began, and they read as fast as they can: before the run's end, so
    /// that one sees what they get.
    pub(crate) until_seconds: Option<f64>,
}

/// Subscribers that come and go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    /// Connections that are closed, and opened anew, per second.
    pub(crate) per_second: f64,
}

/// Many subscribers lose their connection at once, and come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storm {
    /// When, in seconds after publishing began.
    pub(crate) at_seconds: f64,
    /// The part of all subscribers.
    pub(crate) share: f64,
    /// Over how many seconds they come back, evenly; 0: all at once.
    #[serde(default)]
    pub(crate) over_seconds: f64,
    /// Whether they resume where they were. (Tickcast)
    #[serde(default)]
    pub(crate) resume: bool,
}

/// How updates come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Drive {
    /// So many a second.
    Rate(f64),
    /// So many under way.
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
            anyhow::bail!("there is no scenario file {name:?}, and none of that name is shipped: {}", names.join(", "));
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

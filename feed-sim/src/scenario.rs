//! Simulated feeds, each a pure function of its seed.
//!
//! A new one is a file under `scenario/` with a type that implements [`Scenario`], and an entry in [`CATALOGUE`].

pub mod football;
mod merged;
pub mod stocks;

use crate::publication::{BadRecord, Feed, Timed};
use merged::Merged;

/// A simulated feed: publications without end, in order of time.
pub trait Scenario: Send {
    /// The next publication, on a clock of the scenario's own that starts at 0.
    fn next(&mut self) -> Timed;

    /// How many it yields per second of that clock, on average. Only what paces the feed uses it.
    fn updates_per_s(&self) -> f64;
}

/// What there is to know about a scenario before running it.
pub struct Entry {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Topics, fields and what agrees with what.
    pub description: &'static str,
    /// What `--instruments` counts, and how many there are if nothing is said.
    pub instruments: (&'static str, u32),
    build: fn(seed: u64, instruments: u32) -> Box<dyn Scenario>,
}

/// All scenarios.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "stocks",
        summary: "quotes, trades and books of stocks, from one simulated limit order book each",
        description: stocks::DESCRIPTION,
        instruments: ("stocks", 10),
        build: |seed, instruments| Box::new(stocks::Stocks::new(seed, instruments)),
    },
    Entry {
        name: "football",
        summary: "scores and events of football matches, with goals that are disallowed afterwards",
        description: football::DESCRIPTION,
        instruments: ("matches at once", 4),
        build: |seed, instruments| Box::new(football::Football::new(seed, instruments)),
    },
    Entry {
        name: "demo",
        summary: "stocks and football together, as `broker demo` shows them",
        description: "Five times as many stocks as matches; topics as in `stocks` and `football`.",
        instruments: ("matches at once", 4),
        build: |seed, instruments| {
            Box::new(Merged::new(vec![
                Box::new(stocks::Stocks::new(seed, instruments.saturating_mul(5))),
                Box::new(football::Football::new(seed, instruments)),
            ]))
        },
    },
];

impl Entry {
    /// The scenario from its beginning. At least one instrument.
    pub fn build(&self, seed: u64, instruments: Option<u32>) -> Box<dyn Scenario> {
        (self.build)(seed, instruments.unwrap_or(self.instruments.1).max(1))
    }
}

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// A scenario as a feed: it has no records that could be bad.
pub struct Simulated(pub Box<dyn Scenario>);

impl Iterator for Simulated {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Ok(self.0.next()))
    }
}

impl Feed for Simulated {}

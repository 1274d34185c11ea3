//! Simulated feeds, each a pure function of its seed. They use no clock, no thread and no hash order, and only floating
//! point that is the same to the bit on every platform, so that the same seed gives the same bytes everywhere.
//!
//! A new scenario is a file here with a function that makes a [`Scenario`], and an entry in [`CATALOGUE`].

mod basketball;
mod chat;
mod demo;
mod ensemble;
mod football;
mod game;
mod merged;
mod sensors;
mod sports;
mod status;
mod stocks;

pub use demo::demo;
use feed_player::publication::{BadRecord, Feed, Timed};
pub use feed_player::publish::Token;
use merged::Merged;

/// A simulated feed: an endless series of publications, in order of time.
pub trait Scenario: Send {
    /// The next publication, on a clock of the scenario's own that starts at 0.
    fn next(&mut self) -> Timed;

    /// How many publications it yields per second of that clock, on average. Only used for pacing.
    fn updates_per_s(&self) -> f64;
}

/// The description of a scenario.
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Topics, fields and what agrees with what.
    pub description: &'static str,
    /// What `--instruments` counts, and its default.
    pub instruments: (&'static str, u32),
    build: fn(seed: u64, instruments: u32) -> Box<dyn Scenario>,
}

/// What `feed-sim describe demo` prints.
const DEMO_DESCRIPTION: &str = "\
Five times as many stocks as matches, one chat room (chat.kitchen) and three servers (web-1, api-1, db-1); topics as in
`stocks`, `football`, `chat` and `status`.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"stocks.*.quote\",\"sports.football.*.score\",\"chat.>\",\"status.*.health\"]}";

/// Only a few: the demo is about stocks and matches.
const DEMO_SERVERS: u32 = 3;

/// All scenarios.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "stocks",
        summary: "trades, quotes, books, bars and status of stocks, from one simulated limit order book each",
        description: stocks::DESCRIPTION,
        instruments: ("stocks", 10),
        build: |seed, instruments| Box::new(stocks::Stocks::new(seed, instruments)),
    },
    Entry {
        name: "football",
        summary: "scores, events and statistics of football matches, with corrections, interruptions and lost coverage",
        description: football::DESCRIPTION,
        instruments: ("matches at once", 4),
        build: |seed, instruments| Box::new(football::scenario(seed, instruments)),
    },
    Entry {
        name: "basketball",
        summary: "scores, events and statistics of basketball games, with corrections and baskets that are cancelled",
        description: basketball::DESCRIPTION,
        instruments: ("games at once", 3),
        build: |seed, instruments| Box::new(basketball::scenario(seed, instruments)),
    },
    Entry {
        name: "status",
        summary: "servers: load, state and incidents",
        description: status::DESCRIPTION,
        instruments: ("servers", 12),
        build: |seed, instruments| Box::new(status::scenario(seed, instruments)),
    },
    Entry {
        name: "sensors",
        summary: "temperature, humidity and battery of devices, with alarms and devices that go silent",
        description: sensors::DESCRIPTION,
        instruments: ("devices", 50),
        build: |seed, instruments| Box::new(sensors::scenario(seed, instruments)),
    },
    Entry {
        name: "chat",
        summary: "rooms with messages and presence, and text that a page must not run",
        description: chat::DESCRIPTION,
        instruments: ("rooms", 4),
        build: |seed, instruments| Box::new(chat::scenario(seed, instruments)),
    },
    Entry {
        name: "game",
        summary: "positions of players twenty times a second, kills and a scoreboard",
        description: game::DESCRIPTION,
        instruments: ("players", 8),
        build: |seed, instruments| Box::new(game::scenario(seed, instruments)),
    },
    Entry {
        name: "demo",
        summary: "stocks, football, a chat room and a few servers together, as `tickcast demo` shows them",
        description: DEMO_DESCRIPTION,
        instruments: ("matches at once", 4),
        build: |seed, instruments| {
            Box::new(Merged::new(vec![
                Box::new(stocks::Stocks::new(seed, instruments.saturating_mul(5))),
                Box::new(football::scenario(seed, instruments)),
                Box::new(chat::scenario(seed, 1)),
                Box::new(status::scenario(seed, DEMO_SERVERS)),
            ]))
        },
    },
];

impl Entry {
    /// Makes the scenario, from its beginning, with at least one instrument.
    pub fn build(&self, seed: u64, instruments: Option<u32>) -> Box<dyn Scenario> {
        (self.build)(seed, instruments.unwrap_or(self.instruments.1).max(1))
    }
}

/// Returns the scenario of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// A scenario as a feed, which has no records that could be bad.
pub struct Simulated(pub Box<dyn Scenario>);

impl Iterator for Simulated {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Ok(self.0.next()))
    }
}

impl Feed for Simulated {}

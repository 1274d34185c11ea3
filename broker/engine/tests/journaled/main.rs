//! An engine with a journal on a virtual clock, between clients and a log that is slow, takes many records at once, or
//! refuses them: thousands of random requests, each of which must be answered once, in its order, with what came of it
//! in the log.
//!
//! ```text
//! history     what happens, in any order
//! world       the engine, its clients, its log, and the model beside them
//! driver      the loop of each shard, one step at a time
//! asking      requests are handed over; what must be refused at once
//! asked       one request, and when it may be answered
//! traffic     random requests
//! offer       an update, and what is known of it
//! log         records are written, stored, applied and answered
//! refusing    the log takes nothing any more
//! said        an entry of the log
//! model       the commands of the log, applied naively
//! client      answers, in the order of the requests
//! stream      updates of a subscribed topic
//! producer    publishers and operators that are no connections
//! finale      in the end everything is answered, nothing is held, and another engine comes to the same
//! ```
//!
//! `TICKCAST_SEED=n` runs one history and prints it; `TICKCAST_SEEDS=n` sets how many are run.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod asked;
mod asking;
mod client;
#[path = "../simulation/dice.rs"]
mod dice;
mod driver;
#[path = "../simulation/encoded.rs"]
mod encoded;
mod finale;
mod history;
mod log;
#[path = "../simulation/message.rs"]
mod message;
mod model;
#[path = "../simulation/network.rs"]
mod network;
mod offer;
#[cfg(feature = "planted-faults")]
mod planted;
mod producer;
mod refusing;
mod said;
mod stream;
mod traffic;
mod world;

/// Histories of a default run: some seconds. With small bounds they take ten times as long.
const SEEDS: u64 = if cfg!(feature = "planted-faults") { 200 } else { 600 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs histories. Returns what they met, or the first that failed.
fn run(seeds: u64) -> Result<Vec<history::Met>, String> {
    (0..seeds).map(|seed| history::run(seed, false).map_err(|error| format!("TICKCAST_SEED={seed}: {error}"))).collect()
}

#[test]
fn every_request_is_answered_in_its_order_with_what_came_of_it() {
    if let Some(seed) = number("TICKCAST_SEED") {
        match history::run(seed, true) {
            Ok(met) => eprintln!("{met:?}"),
            Err(error) => panic!("seed {seed}: {error}"),
        }
        return;
    }
    let seeds = number("TICKCAST_SEEDS").unwrap_or(SEEDS);
    let met = run(seeds).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = met.iter().flat_map(|met| met.keys().copied()).collect();
    for name in history::MUST_MEET {
        let histories = met.iter().filter(|met| met.contains_key(name)).count();
        let sum: u64 = met.iter().filter_map(|met| met.get(name)).sum();
        eprintln!("{name}: {sum} in {histories} of {seeds} histories");
        assert!(histories as u64 * 50 >= seeds, "too few histories have {name}; all: {names:?}");
    }
}

//! What a simulated feed costs by itself: messages per second to a target that throws them away, one row per scenario,
//! on one core (`taskset -c 1 cargo bench -p feed-sim`, with `-- SCENARIO…` for some scenarios only).
//!
//! `cargo test` runs a short version, so that the bench keeps working.

use std::time::Duration;

use feed_player::publish::Target;
use feed_player::run::{Play, run};
use feed_player::schedule::{Pace, Until};
use feed_scenarios::{CATALOGUE, Simulated};

/// Instruments, measured in addition to the scenario's own number: so many that their state leaves the nearest caches.
const MANY: u32 = 500;
const REPEATS: usize = 5;
const UPDATES: u64 = 2_000_000;
/// In short mode.
const FEW_UPDATES: u64 = 5_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let in_earnest = arguments.iter().any(|argument| argument == "--bench");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let (repeats, updates) = if in_earnest { (REPEATS, UPDATES) } else { (1, FEW_UPDATES) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!(
        "{:12} {:>12} {:>14}   {repeats} runs of {updates}: median (min..max)",
        "scenario", "instruments", "messages/s"
    );
    for entry in CATALOGUE {
        if !wanted.is_empty() && !wanted.iter().any(|name| *name == entry.name) {
            continue;
        }
        for instruments in [entry.instruments.1, MANY] {
            let mut rates: Vec<u64> = (0..repeats)
                .map(|_| {
                    let feed = Simulated(entry.build(1, Some(instruments)));
                    let play = Play { until: Until { updates: Some(updates), duration: None }, ..Play::at(Pace::Max) };
                    let (summary, result) = runtime.block_on(run(feed, play, Target::Nowhere, std::future::pending()));
                    result.expect("nothing stops it");
                    assert_eq!(summary.published, updates);
                    (updates as f64 / summary.elapsed.max(Duration::from_nanos(1)).as_secs_f64()) as u64
                })
                .collect();
            rates.sort_unstable();
            let (median, min, max) = (rates[repeats / 2], rates[0], rates[repeats - 1]);
            println!("{:12} {instruments:>12} {median:>14}   ({min}..{max})", entry.name);
        }
    }
}

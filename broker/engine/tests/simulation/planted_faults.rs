//! Would the simulation notice? Faults are planted in the engine, one at a time, and each must be found. They strike
//! only at every third opportunity, because real faults are intermittent.
//!
//! `cargo test -p broker-engine --features planted-faults --test planted_faults`

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod answers;
mod client;
mod dice;
mod driver;
mod encoded;
mod finale;
mod histories;
mod liveness;
mod message;
mod model;
mod network;
mod permit;
mod refused;
mod request;
mod start;
mod stream;
mod subscriptions;
mod traffic;
mod wall;
mod world;

use broker_engine::fault::{Fault, plant};

/// Histories within which every fault must be found.
const SEEDS: u64 = 1000;

/// Histories that must pass with the same small bounds and no fault.
const SOUND_SEEDS: u64 = 1000;

/// Histories that found something with small bounds, and what it was.
const FOUND: [(u64, &str); 8] = [
    (178, "a shard followed a topic that had ended while nobody there was interested, and missed the next one"),
    (233, "a name left for a pattern whose walk had not reached it: what was pending was dropped"),
    (736, "introduced twice after leaving a pattern"),
    (1072, "never closed for a client that had left the name and waited for a pattern's walk"),
    (2053, "closed again after a pattern was subscribed"),
    (2658, "joined a view that had sent more than the shard had read"),
    (4259, "dropped a name that another pattern covered whose walk had not reached it"),
    (7385, "closed twice around an unsubscribe"),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn small_bounds_change_nothing() {
    plant(None);
    if let Err(error) = liveness::check() {
        panic!("{error}");
    }
    let (mut failed, mut deliveries) = (Vec::new(), 0);
    let mut run = |seed, trace| match histories::run(seed, trace) {
        Ok(met) => deliveries += met.counts()[0].1,
        Err(error) => failed.push((seed, error)),
    };
    match number("TICKCAST_SEED") {
        Some(seed) => run(seed, true),
        None => {
            FOUND.iter().for_each(|(seed, _)| run(*seed, false));
            for index in 0..number("TICKCAST_SEEDS").unwrap_or(SOUND_SEEDS) {
                run(if index % 4 == 3 { traffic::SMALL_RING_FROM + index } else { index }, false);
            }
        }
    }
    for (seed, error) in failed.iter().take(12) {
        eprintln!("TICKCAST_SEED={seed}: {error}");
    }
    assert!(failed.is_empty(), "{} histories failed", failed.len());
    assert!(deliveries > 0, "nothing was delivered");
}

fn is_found(fault: Fault) {
    plant(Some(fault));
    let seeds = (0..SEEDS / 2).flat_map(|seed| [seed, traffic::SMALL_RING_FROM + seed]);
    let found = liveness::check().err().map(|error| (0, error));
    let found = found.or_else(|| seeds.clone().find_map(|seed| Some((seed, histories::run(seed, false).err()?))));
    if number("TICKCAST_COUNT").is_some() {
        let count = seeds.filter(|seed| histories::run(*seed, false).is_err()).count();
        eprintln!("{fault:?} was found by {count} of {SEEDS} histories");
    }
    plant(None);
    match found {
        Some((seed, error)) => eprintln!("{fault:?} was found by history {seed}: {error}"),
        None => panic!("{fault:?} was not found in {SEEDS} histories"),
    }
}

/// One test per fault, so that they run in parallel.
macro_rules! faults {
    ($($name:ident $fault:ident,)*) => { $(
        #[test]
        fn $name() {
            is_found(Fault::$fault);
        }
    )* };
}

faults! {
    a_frame_skipped FrameSkipped,
    a_frame_sent_twice FrameSentTwice,
    an_image_that_is_one_seq_old StaleImage,
    a_gap_one_too_short ShortGap,
    a_wake_up_lost WakeLost,
    half_a_frame_followed_by_another HalfFrame,
    eviction_under_a_reader EvictionUnderReader,
    order_across_topics_broken OrderAcrossTopics,
    resume_into_a_new_epoch ResumeIntoNewEpoch,
    a_view_losing_its_last_update ViewLosesLastUpdate,
    unsubscribe_leaking_a_frame UnsubscribeLeaks,
    a_pattern_missing_a_new_topic PatternMissesTopic,
    a_closed_topic_never_announced ClosedForgotten,
    an_update_beside_the_image_that_holds_it ImageAndUpdate,
    a_beginning_without_its_first_update BeginningWithoutUpdate,
    a_walk_that_waits_for_the_tail WalkWaitsForTail,
    a_want_that_makes_no_progress WantWithoutProgress,
    a_budget_not_given_back BudgetKept,
    work_that_is_not_counted WorkUncounted,
    an_end_that_is_forgotten EndForgotten,
    a_denied_topic_that_stays_pending DeniedStaysPending,
}

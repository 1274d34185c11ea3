//! Would the simulation notice? Faults are planted in the engine, one at a time, and each must be found. They strike at
//! every third occasion only, as faults do.
//!
//! `cargo test -p broker-engine --features planted-faults --test planted_faults`

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod answers;
mod client;
mod dice;
mod driver;
mod finale;
mod histories;
mod message;
mod model;
mod network;
mod request;
mod start;
mod stream;
mod subscriptions;
mod traffic;
mod world;

use broker_engine::fault::{Fault, plant};

/// Histories within which every fault must be found.
const SEEDS: u64 = 6000;

/// Histories that must hold with the same small bounds and no fault.
const SOUND_SEEDS: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn small_bounds_change_nothing() {
    plant(None);
    let seeds = match number("TICKCAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TICKCAST_SEEDS").unwrap_or(SOUND_SEEDS),
    };
    let trace = seeds.end - seeds.start == 1;
    let seeds = seeds.map(|seed| if seed % 4 == 3 && !trace { traffic::TIGHT_FROM + seed } else { seed });
    let (mut failed, mut met) = (Vec::new(), [0; 8]);
    for seed in seeds {
        match histories::run(seed, trace) {
            Ok(history) => met.iter_mut().zip(history.counts()).for_each(|(sum, (_, count))| *sum += count),
            Err(error) => failed.push((seed, error)),
        }
    }
    eprintln!("met (deliveries, cut, behind, evicted, images, gaps, closed as slow, duplicates): {met:?}");
    for (seed, error) in failed.iter().take(12) {
        eprintln!("TICKCAST_SEED={seed}: {error}");
    }
    assert!(failed.is_empty(), "{} histories failed", failed.len());
}

fn is_found(fault: Fault) {
    plant(Some(fault));
    let seeds = (0..SEEDS / 2).flat_map(|seed| [seed, traffic::TIGHT_FROM + seed]);
    let found = seeds.clone().find_map(|seed| Some((seed, histories::run(seed, false).err()?)));
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

/// A test for each, so that they run side by side.
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
    an_image_one_seq_old StaleImage,
    a_gap_one_too_short ShortGap,
    a_wake_up_lost WakeLost,
    half_a_frame_followed_by_another HalfFrame,
    eviction_under_a_reader EvictionUnderReader,
    order_across_topics_broken OrderAcrossTopics,
    resume_into_a_new_epoch ResumeIntoNewEpoch,
    a_view_losing_its_last_update ViewLosesLastUpdate,
    unsubscribe_leaking_a_frame UnsubscribeLeaks,
    a_pattern_missing_a_new_topic PatternMissesTopic,
    a_closed_topic_never_told ClosedForgotten,
    an_update_beside_the_image_that_holds_it ImageAndUpdate,
}

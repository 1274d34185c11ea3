//! All topics of a stock agree with each other, over long runs from many seeds. Only the messages are looked at, as a
//! subscriber sees them.

#[path = "../../../tests/common/mod.rs"]
mod common;

mod bars;
mod call;
mod seen;
mod status;

use std::collections::BTreeMap;

use feed_player::publication::{Kind, Timed};
use feed_scenarios::find;
use seen::Seen;

const DAY_US: u64 = 1_800_000_000;

/// Runs `instruments` from `seed` until `until_us`, and checks every message.
fn check(seed: u64, instruments: u32, until_us: u64) -> BTreeMap<String, Seen> {
    let mut scenario = find("stocks").expect("in the catalogue").build(seed, Some(instruments));
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let (mut now_us, mut symbol) = (0, String::new());
    loop {
        let Timed { due_us, publication } = scenario.next();
        assert!(due_us >= now_us, "the clock goes back");
        let of = publication.topic.split('.').nth(1).expect("a symbol");
        if due_us > now_us || of != symbol {
            // Nothing more comes at the moment before.
            seen.get_mut(&symbol).into_iter().for_each(Seen::end_of_moment);
            of.clone_into(&mut symbol);
        }
        if due_us > until_us {
            break;
        }
        now_us = due_us;
        seen.entry(symbol.clone()).or_default().take(due_us, &publication);
    }
    assert_eq!(seen.len(), instruments as usize);
    seen.values_mut().for_each(|seen| seen.end(until_us));
    seen
}

#[test]
fn all_topics_agree() {
    for seed in 0..6 {
        eprintln!("seed {seed}");
        for (symbol, seen) in check(seed, 10, 100_000_000) {
            assert!(seen.trades > 20 && seen.prices.0 < seen.prices.1, "{symbol}: {} trades", seen.trades);
            seen.check_ticks(&symbol);
        }
    }
}

/// Whole days with their nights.
#[test]
fn all_topics_still_agree_after_days() {
    for (symbol, seen) in check(7, 2, 2 * DAY_US + 20_000_000) {
        assert_eq!(seen.status.count("pre_open"), 3, "{symbol}");
        assert_eq!(seen.status.count("closed"), 2, "{symbol}");
        assert!(seen.auction_prints >= 4, "{symbol}: {} auctions traded", seen.auction_prints);
        seen.check_ticks(&symbol);
    }
}

/// Sooner or later news halts a stock, and trading goes on afterwards.
#[test]
fn halts_happen_and_end() {
    for seed in 0..60 {
        let seen = check(seed, 4, 200_000_000);
        if seen.values().any(|seen| seen.status.count("auction reopening") > 0 && seen.status.now() == "open") {
            return;
        }
    }
    panic!("no stock was halted and went on in 60 runs");
}

/// Stocks that seldom trade have wider spreads and follow the same rules.
#[test]
fn quiet_stocks_follow_the_rules_too() {
    let seen = check(11, 400, 60_000_000);
    assert!(seen.values().all(|seen| seen.status.now() == "open"));
}

/// A viewer sees something at once, and trades within seconds.
#[test]
fn a_run_is_lively_from_the_start() {
    for seed in 0..5 {
        let mut scenario = find("stocks").expect("in the catalogue").build(seed, Some(20));
        let mut first: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let Timed { due_us, publication } = scenario.next();
            if due_us > 10_000_000 {
                break;
            }
            let what = publication.topic.rsplit('.').next().expect("a segment").to_owned();
            first.entry(what).or_insert(due_us);
        }
        assert!(first["status"] < 200_000 && first["book"] < 200_000 && first["quote"] < 200_000, "{first:?}");
        assert!(first["trade"] < 5_000_000 && first["bar_1s"] < 6_000_000, "{first:?}");
    }
}

/// A broker that was restarted in the middle soon has a whole book again.
#[test]
fn the_whole_book_comes_again_and_again() {
    let mut scenario = find("stocks").expect("in the catalogue").build(4, Some(1));
    let kinds: Vec<Kind> = std::iter::repeat_with(|| scenario.next().publication)
        .filter(|publication| publication.topic.ends_with("book"))
        .map(|publication| publication.kind)
        .take(1_000)
        .collect();
    let states: Vec<usize> = (0..kinds.len()).filter(|&at| kinds[at] == Kind::State).collect();
    assert_eq!(states, [0, 256, 512, 768]);
}

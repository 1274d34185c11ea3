//! The estimators against naive computations on all the data, and on processes with known figures.

mod common;

use feed_player::publication::{Kind, Publication, Timed};
use feed_player::random::Random;
use feed_scenarios::{Simulated, find};
use feed_sim::stats::{Arrivals, Autocorrelation, Collector, Figures, Moments, Quantiles, Returns, Sizes, json, table};
use proptest::prelude::*;

/// A number above 0 and below 1.
fn uniform(random: &mut Random) -> f64 {
    (f64::from(random.below(1 << 31)) + 0.5) / f64::from(1u32 << 31)
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * uniform(random).ln()
}

fn near(found: Option<f64>, expected: f64, within: f64) {
    let found = found.expect("there is enough data");
    assert!((found - expected).abs() <= within, "{found} is not {expected} ± {within}");
}

#[test]
fn a_poisson_process() {
    let mut random = Random::new(1, 1);
    let (mut arrivals, mut at_us) = (Arrivals::default(), 0.0);
    for _ in 0..200_000 {
        at_us += exponential(&mut random, 50_000.0);
        arrivals.arrive(at_us as u64);
    }
    near(arrivals.gaps().mean(), 50_000.0, 500.0);
    near(arrivals.gaps().variation(), 1.0, 0.02);
    near(arrivals.burstiness(), 0.0, 0.01);
    near(arrivals.memory(), 0.0, 0.01);
    let [one, ten] = arrivals.fano();
    near(one, 1.0, 0.05);
    near(ten, 1.0, 0.15);
}

/// Simulates a Hawkes process exactly, by its clusters: each arrival has Poisson(1/2) children, exponentially later.
/// The Fano factor of long windows tends to 1 / (1 − 1/2)² = 4.
#[test]
fn a_hawkes_process_is_burstier() {
    let mut random = Random::new(1, 2);
    let mut times: Vec<f64> = Vec::new();
    let mut at_us = 0.0;
    while at_us < 2e10 {
        at_us += exponential(&mut random, 200_000.0);
        let mut open = vec![at_us];
        while let Some(parent_us) = open.pop() {
            times.push(parent_us);
            let mut share = uniform(&mut random);
            while share > (-0.5f64).exp() {
                open.push(parent_us + exponential(&mut random, 20_000.0));
                share *= uniform(&mut random);
            }
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    let mut arrivals = Arrivals::default();
    times.iter().for_each(|at_us| arrivals.arrive(*at_us as u64));
    near(arrivals.gaps().mean(), 100_000.0, 3_000.0);
    assert!(arrivals.gaps().variation() > Some(1.3) && arrivals.burstiness() > Some(0.1), "{arrivals:?}");
    assert!(arrivals.memory() > Some(0.02), "{:?}", arrivals.memory());
    near(arrivals.fano()[1], 4.0, 0.5);
}

#[test]
fn a_clock_has_no_bursts() {
    let mut arrivals = Arrivals::default();
    for tick in 0..1_000 {
        // Three messages at a time are one arrival.
        (0..3).for_each(|_| arrivals.arrive(7 + tick * 100_000));
    }
    assert_eq!(arrivals.count(), 1_000);
    assert_eq!(arrivals.burstiness(), Some(-1.0));
    assert_eq!(arrivals.fano()[0], Some(0.0));
    assert_eq!(arrivals.fano()[1], None, "nine windows are over, which is too few");
}

/// P(size > x) = x^−α for x above 1.
#[test]
fn the_tail_of_pareto_sizes() {
    let mut random = Random::new(1, 3);
    for index in [1.2, 1.5, 3.0] {
        let mut sizes = Sizes::default();
        (0..100_000).for_each(|_| sizes.push(uniform(&mut random).powf(-1.0 / index)));
        near(sizes.tail_index(), index, 0.1);
        let median = 2f64.powf(1.0 / index);
        near(sizes.quantile(0.5), median, 0.02 * median);
    }
}

#[test]
fn round_lots_and_wrong_sizes() {
    let mut sizes = Sizes::default();
    for size in [100.0, 300.0, 50.0, 150.0, 0.0, -100.0, f64::NAN, f64::INFINITY] {
        sizes.push(size);
    }
    assert_eq!((sizes.moments().count(), sizes.round_lots_percent()), (4, Some(50.0)));
    assert_eq!((sizes.quantile(0.5), sizes.tail_index()), (Some(100.0), None));
}

#[test]
fn returns_of_each_second() {
    let mut returns = Returns::default();
    let second_us = 1_000_000;
    // 100 until second 2, then up by 1 % at its end; then a pause, and 1 % again.
    for (at_us, price) in [(0, 100.0), (2 * second_us + 5, 50.0), (2 * second_us + 9, 101.0), (3 * second_us, 101.0)] {
        returns.price(at_us, price);
    }
    assert_eq!(returns.moments().count(), 2, "from second 0 to 1, and from 1 to 2");
    near(returns.moments().mean(), 1.01f64.ln() / 2.0, 1e-12);
    returns.price(1_000 * second_us, 500.0);
    returns.price(1_001 * second_us, 500.0);
    returns.price(1_002 * second_us, 500.0);
    assert_eq!(returns.moments().count(), 3, "none across the pause, and one after it");
}

#[test]
fn correlation_falls_with_the_lag() {
    let mut random = Random::new(1, 4);
    let (mut series, mut value) = (Autocorrelation::new([1, 2, 30]), 0.0);
    for _ in 0..100_000 {
        // An autoregression of first order: the correlation at lag k is 0.8^k.
        value = 0.8 * value + uniform(&mut random) - 0.5;
        series.push(value);
    }
    let [one, two, thirty] = series.correlations();
    near(one, 0.8, 0.01);
    near(two, 0.64, 0.02);
    near(thirty, 0.0, 0.02);
}

fn timed(due_ms: u64, topic: &str, kind: Kind, data: &str) -> Timed {
    Timed { due_us: due_ms * 1_000, publication: Publication::new(topic, kind, data.into()) }
}

fn quote(due_ms: u64, topic: &str, bid: &str, ask: &str) -> Timed {
    timed(due_ms, topic, Kind::State, &format!(r#"{{"bid":"{bid}","bid_qty":"1","ask":"{ask}","ask_qty":"1"}}"#))
}

#[test]
fn figures_of_a_feed_that_can_be_counted_by_hand() {
    let mut collector = Collector::new(None);
    for timed in [
        quote(0, "s.A.quote", "10.00", "10.05"),
        quote(100, "s.A.quote", "10.00", "10.10"),
        quote(200, "s.A.quote", "10.05", "10.05"),
        timed(200, "s.A.trade", Kind::Event, r#"{"id":1,"px":"10.05","qty":"200","side":"buy"}"#),
        // A book without quotes: its best prices are 99 and 101, then 100 and 101, and the third patch is far from
        // them.
        timed(300, "s.B.book", Kind::State, r#"{"bids":{"99":"1","98":"5"},"asks":{"101":"2","103":"2"}}"#),
        timed(1_100, "s.B.book", Kind::Patch, r#"{"bids":{"100":"1"}}"#),
        timed(1_200, "s.B.book", Kind::Patch, r#"{"asks":{"103":null}}"#),
        timed(2_000, "s.A.bar_1s", Kind::State, "{}"),
    ] {
        collector.take(&timed);
    }
    let figures = Figures::new("by hand", &collector);
    assert_eq!(figures.busiest.as_deref(), Some("s.A"));
    for (key, value) in [
        ("messages", 8.0),
        ("events", 1.0),
        ("states", 5.0),
        ("patches", 2.0),
        ("trades", 1.0),
        ("instruments", 2.0),
        ("duration_s", 2.0),
        ("rate_mean_per_s", 4.0),
        ("rate_peak_per_s", 5.0),
        ("quotes", 4.0),
        ("quotes_crossed", 1.0),
        // A's tick is 0.05, B's is 1: spreads of 1, 2, 2 and 1 ticks.
        ("spread_ticks_p50", 1.0),
        ("spread_ticks_p90", 2.0),
        ("spread_ticks_mean", 1.5),
        ("spread_bp_p90", 200.0),
        ("trade_size_p50", 200.0),
        ("trade_size_round_percent", 100.0),
        ("arrivals", 3.0),
    ] {
        assert_eq!(figures.value(key), Some(value), "{key}");
    }
    let text = table(&[figures.clone(), figures.clone()]);
    let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]) && widths.len() > 40, "{text}");
    assert!(text.contains("| spread, mean") && text.contains("1.50 |"), "{text}");
    assert_eq!(json(&[figures])[0]["figures"]["spread_ticks_mean"], 1.5);
}

#[test]
fn one_instrument_only() {
    for (only, messages) in [("A", 2), ("s.A", 2), ("AA", 1), ("t", 0), (".A", 0)] {
        let mut collector = Collector::new(Some(only));
        for topic in ["s.A.quote", "s.A.quote", "s.AA.quote"] {
            collector.take(&quote(0, topic, "1", "2"));
        }
        assert_eq!(Figures::new("", &collector).value("messages"), Some(f64::from(messages)), "{only}");
    }
}

#[test]
fn any_feed_can_be_measured() {
    for scenario in feed_scenarios::CATALOGUE {
        let mut collector = Collector::new(None);
        let mut feed = Simulated(find(scenario.name).expect("in the catalogue").build(1, Some(2)));
        collector.take_feed(&mut feed, 20_000_000).expect("a scenario has no bad record");
        let figures = Figures::new(scenario.name, &collector);
        assert!(figures.value("messages") > Some(0.0) && figures.busiest.is_some(), "{}", scenario.name);
        assert!(figures.value("duration_s") <= Some(20.0), "{}", scenario.name);
    }
}

/// The capture has as many messages as its README states, less the two that the snapshot includes.
#[test]
fn figures_of_a_recording() {
    let Some(path) = common::recording("binance_spot_btcusdt_20240808.gz") else { return };
    let mut feed = feed_formats::find("binance").expect("a format").open(&path).expect("readable");
    let mut collector = Collector::new(None);
    collector.take_feed(&mut feed, u64::MAX).expect("it is whole");
    let figures = Figures::new("binance", &collector);
    assert_eq!(figures.value("bad_records"), Some(0.0));
    assert!(figures.value("messages") > Some(41_000.0) && figures.value("trades") > Some(1_000.0));
    assert_eq!(figures.value("spread_ticks_p50"), Some(1.0), "the most liquid pair of all");
    assert!(figures.value("gap_burstiness") > Some(0.1), "markets are burstier than chance");
    near(figures.value("duration_s"), 346.0, 1.0);
}

proptest! {
    #[test]
    fn moments_are_those_of_all_values(values in prop::collection::vec((-1e3f64..1e3, 1u64..5), 4..60)) {
        let mut moments = Moments::default();
        values.iter().for_each(|(value, times)| moments.push_times(*value, *times));
        let all: Vec<f64> = values.iter().flat_map(|(value, times)| (0..*times).map(|_| *value)).collect();
        let count = all.len() as f64;
        let mean = all.iter().sum::<f64>() / count;
        let central = |power| all.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
        near(moments.mean(), mean, 1e-8);
        near(moments.variance(), central(2), 1e-6 * (1.0 + central(2)));
        prop_assume!(central(2) > 1.0);
        near(moments.kurtosis(), central(4) / central(2).powi(2), 1e-6 * (1.0 + count));
    }

    #[test]
    fn correlations_are_those_of_all_pairs(values in prop::collection::vec(-1e3f64..1e3, 20..80), lag in 1usize..6) {
        let mut series = Autocorrelation::new([lag]);
        values.iter().for_each(|value| series.push(*value));
        let (earlier, later) = (&values[..values.len() - lag], &values[lag..]);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let product = |a: &[f64], b: &[f64]| {
            let (mean_a, mean_b) = (mean(a), mean(b));
            a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>()
        };
        let expected = product(earlier, later) / (product(earlier, earlier) * product(later, later)).sqrt();
        near(series.correlations()[0], expected, 1e-9);
    }

    #[test]
    fn quantiles_are_those_of_all_values(mut values in prop::collection::vec(0.001f64..1e6, 1..200), part in 0.0f64..1.0) {
        let mut quantiles = Quantiles::of_units(1e6);
        values.iter().for_each(|value| quantiles.push(*value));
        values.sort_unstable_by(f64::total_cmp);
        let rank = (values.len() as f64 * part).ceil().max(1.0) as usize;
        let expected = values[rank - 1];
        near(quantiles.at(part), expected, 0.01 * expected);
    }
}

use proptest::prelude::*;

use super::*;

fn at(mono_us: u64) -> Now {
    Now { mono_us, wall_us: 0 }
}

/// The same rules, naively: the level of the bucket in units, as an exact fraction.
#[derive(Debug)]
struct Model {
    /// Billionths of a unit; negative if it owes some.
    level: i128,
    rate: Rate,
    last_us: u64,
}

impl Model {
    const UNIT: i128 = NS_PER_S as i128;

    fn new(rate: Rate) -> Model {
        Model { level: i128::from(rate.per_s * rate.burst_s) * Self::UNIT, rate, last_us: 0 }
    }

    fn burst(&self) -> i128 {
        i128::from(self.rate.per_s * self.rate.burst_s) * Self::UNIT
    }

    fn fill(&mut self, now_us: u64) {
        // In a nanosecond `per_s` billionths of a unit flow in.
        let flowed = i128::from(now_us - self.last_us) * 1000 * i128::from(self.rate.per_s);
        self.level = (self.level + flowed).min(self.burst());
        self.last_us = now_us;
    }

    fn take(&mut self, units: u64) -> bool {
        let units = i128::from(units) * Self::UNIT;
        let fits = self.level >= units.min(self.burst());
        if fits {
            self.level -= units;
        }
        fits
    }

    fn drain(&mut self, units: u64) {
        let left = self.level - i128::from(units) * Self::UNIT;
        self.level = left.max(0).min(self.level.max(left));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Take(u64),
    Drain(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u64..3_000_000).prop_map(Step::Pass),
        (0u64..100).prop_map(|s| Step::Pass(s * 1_000_000)),
        (0u64..40).prop_map(Step::Take),
        (0u64..5_000_000).prop_map(Step::Take),
        (0u64..40).prop_map(Step::Drain),
    ];
    prop::collection::vec(step, 1..60)
}

/// Rates that divide a second exactly, so that rounding to nanoseconds makes no difference to the model.
fn rates() -> impl Strategy<Value = Rate> {
    let per_s = prop::sample::select(vec![1u64, 2, 5, 8, 10, 50, 100, 1_000, 1_000_000]);
    (per_s, any::<bool>())
        .prop_map(|(per_s, connects)| if connects { Rate::of_connects(per_s) } else { Rate::of(per_s) }.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_bucket_is_a_level_that_fills(rate in rates(), begin in 0u64..1 << 45, steps in steps()) {
        let (mut bucket, mut model) = (Bucket::default(), Model::new(rate));
        model.last_us = begin;
        let mut now_us = begin;
        for step in steps {
            match step {
                Step::Pass(us) => now_us += us,
                Step::Take(units) => {
                    model.fill(now_us);
                    let before = bucket;
                    let took = bucket.take(at(now_us), rate, units);
                    prop_assert_eq!(took.is_ok(), model.take(units), "{:?} of {:?}", units, model);
                    if let Err(wait) = took {
                        // Nothing was taken, and the wait is right: then it is taken, and a millisecond earlier it is not.
                        prop_assert_eq!(before, bucket);
                        let (mut then, mut earlier) = (bucket, bucket);
                        prop_assert!(then.take(at(now_us + wait.ms * 1000), rate, units).is_ok());
                        prop_assert!(earlier.take(at(now_us + (wait.ms - 1) * 1000), rate, units).is_err());
                        prop_assert_eq!(bucket.wait(at(now_us), rate, units), Some(wait));
                    }
                }
                Step::Drain(units) => {
                    model.fill(now_us);
                    bucket.drain(at(now_us), rate, units);
                    model.drain(units);
                }
            }
            model.fill(now_us);
            let is_full = bucket.wait(at(now_us), rate, rate.per_s * rate.burst_s).is_none();
            prop_assert_eq!(is_full, model.level == model.burst());
        }
    }

    /// Over any time, no more is taken than the burst, what flowed in, and the one request that owes.
    #[test]
    fn a_rate_is_kept(per_s in 1u64..100_000, gaps in prop::collection::vec((0u64..2_000_000, 1u64..50), 1..200)) {
        let rate = Rate::of(per_s).unwrap();
        let (mut bucket, mut now_us, mut taken) = (Bucket::default(), 0, 0);
        for (gap, units) in gaps {
            now_us += gap;
            if bucket.take(at(now_us), rate, units).is_ok() {
                taken += units;
            }
        }
        let flowed = per_s * now_us / 1_000_000;
        prop_assert!(taken <= per_s * BURST_S + flowed + 50, "{taken} in {now_us} us at {per_s}");
    }
}

#[test]
fn a_burst_is_four_seconds_worth_and_ten_for_connects() {
    for (rate, burst) in [(Rate::of(1), 4), (Rate::of(7), 28), (Rate::of(9_999), 39_996), (Rate::of_connects(3), 30)] {
        let (mut bucket, rate) = (Bucket::default(), rate.unwrap());
        for _ in 0..burst {
            bucket.take(at(7), rate, 1).unwrap();
        }
        assert_eq!(bucket.take(at(7), rate, 1), Err(Wait { ms: 1000 / rate.per_s + u64::from(1000 % rate.per_s > 0) }));
    }
    assert_eq!((Rate::of(0), Rate::of_connects(0)), (None, None));
}

#[test]
fn what_is_larger_than_the_burst_owes_the_rest() {
    let (mut bucket, rate) = (Bucket::default(), Rate::of(10).unwrap());
    bucket.take(at(0), rate, 100).unwrap();
    // It owes 60, and has 1 six seconds and a tenth later.
    assert_eq!(bucket.take(at(0), rate, 1), Err(Wait { ms: 6_100 }));
    // It takes as much again when it is full.
    assert_eq!(bucket.take(at(0), rate, 100), Err(Wait { ms: 10_000 }));
    // What is never refused does not make it owe more.
    bucket.drain(at(0), rate, 1_000);
    assert_eq!(bucket.wait(at(0), rate, 1), Some(Wait { ms: 6_100 }));
    assert!(bucket.take(at(10_000_000), rate, 100).is_ok());
}

#[test]
fn extremes() {
    let (mut bucket, rate) = (Bucket::default(), Rate::of(1).unwrap());
    bucket.take(at(0), rate, u64::MAX).unwrap();
    // In more than thirty years it is not paid back.
    assert!(bucket.take(at(1 << 50), rate, u64::MAX).is_err());
    let (mut bucket, rate) = (Bucket::default(), Rate::of(1 << 36).unwrap());
    bucket.drain(at(0), rate, u64::MAX);
    assert!(bucket.take(at(0), rate, 1_000).is_err());
    assert!(bucket.take(at(1), rate, 1_000).is_ok());
}

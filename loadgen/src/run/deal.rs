//! Which thread has which subscribers, and which of them lose their connection in a storm.
//!
//! Those who stay measure the server while the others come back. With two threads or more they are in the first thread,
//! which comes before the others on its core: otherwise they would wait for the load's own handshakes.

use crate::scenario::Scenario;

/// The subscribers of one thread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deal {
    /// Their numbers, in order.
    pub(super) numbers: Vec<u32>,
    /// How many of them, the first ones, lose their connection in a storm.
    pub(super) leaving: usize,
    /// Whether another thread's subscribers come first on a core that both use.
    pub(super) yields: bool,
}

/// How many subscribers lose their connection in a storm: those with the lowest numbers.
pub(super) fn leaving(scenario: &Scenario) -> u32 {
    let share = scenario.storm.as_ref().map_or(0.0, |storm| storm.share);
    (f64::from(scenario.subscribers.count) * share).round() as u32
}

/// The subscribers of thread number `index` of `of`.
pub(super) fn deal(scenario: &Scenario, index: u32, of: u32) -> Deal {
    let (count, all_leaving) = (scenario.subscribers.count, leaving(scenario));
    // Round-robin, so that every thread has an equal share of each topic.
    let step = |from: u32, to: u32, index: u32, of: u32| (from + index..to).step_by(of as usize);
    let apart = of > 1 && all_leaving > 0 && all_leaving < count;
    let numbers: Vec<u32> = match (apart, index) {
        (false, _) => step(0, count, index, of).collect(),
        (true, 0) => (all_leaving..count).collect(),
        (true, _) => step(0, all_leaving, index - 1, of - 1).collect(),
    };
    let leaving = numbers.partition_point(|number| *number < all_leaving);
    Deal { numbers, leaving, yields: apart && index > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(share: f64) -> Scenario {
        Scenario::parse(&format!("[subscribers]\ncount = 10\n[storm]\nat_seconds = 1.0\nshare = {share}")).expect("one")
    }

    #[test]
    fn every_subscriber_is_in_one_thread() {
        for share in [0.0, 0.3, 0.7, 1.0] {
            for of in 1..5 {
                let deals: Vec<Deal> = (0..of).map(|index| deal(&scenario(share), index, of)).collect();
                let mut all: Vec<u32> = deals.iter().flat_map(|deal| deal.numbers.clone()).collect();
                all.sort_unstable();
                assert_eq!(all, (0..10).collect::<Vec<_>>(), "{share} {of}");
                let leaving: usize = deals.iter().map(|deal| deal.leaving).sum();
                assert_eq!(leaving, (share * 10.0) as usize, "{share} {of}");
            }
        }
    }

    #[test]
    fn those_who_stay_are_apart_from_those_who_leave() {
        let deal = |index, of| super::deal(&scenario(0.7), index, of);
        assert_eq!(deal(0, 2), Deal { numbers: vec![7, 8, 9], leaving: 0, yields: false });
        assert_eq!(deal(1, 2), Deal { numbers: (0..7).collect(), leaving: 7, yields: true });
        assert_eq!(deal(2, 3), Deal { numbers: vec![1, 3, 5], leaving: 3, yields: true });
        let together = Deal { numbers: (0..10).collect(), leaving: 7, yields: false };
        assert_eq!(deal(0, 1), together);
    }
}

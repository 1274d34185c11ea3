use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::feed::Feed;
use crate::ids::Ids;
use crate::limits::Retain;
use crate::topic::NewTopic;

/// The total is what the topics hold, the largest pays, and a topic that is dropped takes its share along.
#[test]
fn against_summing_up() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let ids = Ids::new(Arc::new(Feed::new(1, Vec::new())));
        let budget: Arc<Budget> = Arc::default();
        let retain = Retain { updates: 100, bytes: 1 << 20, ms: 0 };
        let mut topics: Vec<Arc<Topic>> = Vec::new();
        let held = |topic: &Arc<Topic>| topic.lock().history.bytes();
        for round in 0..300 {
            if topics.len() < 2 || (topics.len() < 12 && random.random_bool(0.05)) {
                topics.push(Arc::new(Topic::new(NewTopic {
                    id: ids.take(),
                    name: "t",
                    epoch: "e".into(),
                    kind: Kind::Event,
                    retain,
                    interest: 0,
                    budget: budget.clone(),
                })));
            }
            let topic = topics[random.random_range(0..topics.len())].clone();
            let mut state = topic.lock();
            state.history.push(round, 0, Frame::text(&vec![0; random.random_range(0..2000)]));
            state.history.trim(&retain, 0);
            budget.count_history(&topic, &mut state);
            drop(state);
            drop(topic);
            if random.random_bool(0.03) {
                topics.swap_remove(random.random_range(0..topics.len()));
            }
            assert_eq!(budget.histories(), topics.iter().map(held).sum::<u64>(), "seed {seed}");
            let max = 20_000;
            let before: Vec<u64> = topics.iter().map(held).collect();
            let halved = budget.halved();
            budget.fit_histories(max);
            let after: Vec<u64> = topics.iter().map(held).collect();
            assert_eq!(budget.halved() > halved, after != before, "seed {seed}");
            assert!(after.iter().sum::<u64>() <= max, "seed {seed}");
            assert_eq!(budget.histories(), after.iter().sum::<u64>(), "seed {seed}");
            // Within a factor of two of the largest: sizes are filed by powers of two.
            let paid = before.iter().zip(&after).filter(|(before, after)| after < before).map(|(before, _)| *before);
            let least = paid.min().unwrap_or(u64::MAX);
            let spared = before.iter().zip(&after).filter(|(before, after)| after == before).map(|(before, _)| *before);
            assert!(spared.max().unwrap_or(0) < least.saturating_mul(2), "seed {seed}: {before:?} to {after:?}");
        }
        topics.clear();
        assert_eq!((budget.histories(), budget.images()), (0, 0), "seed {seed}");
    }
}

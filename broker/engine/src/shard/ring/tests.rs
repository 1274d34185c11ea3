use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::feed::Feed;
use crate::ids::Ids;
use crate::limits::Retain;
use crate::topic::NewTopic;
use broker_protocol::kind::Kind;

fn topic() -> Arc<Topic> {
    Arc::new(Topic::new(NewTopic {
        id: Ids::new(Arc::new(Feed::new(1, Vec::new()))).take(),
        name: "t",
        epoch: "e".into(),
        kind: Kind::Event,
        retain: Retain { updates: 0, bytes: 0, ms: 0 },
        interest: 0,
        budget: Arc::default(),
    }))
}

/// Every frame held is where it was put, whole, until it is released; runs read as they were written.
#[test]
fn against_a_plain_list() {
    for seed in 0..100 {
        let mut random = StdRng::seed_from_u64(seed);
        let capacity = random.random_range(1200..5000);
        let mut ring = Ring::new(capacity);
        let topic = topic();
        let mut model: Vec<(u64, Frame)> = Vec::new();
        for seq in 1..=300 {
            let frame = Frame::text(&vec![seq as u8; random.random_range(0..capacity / 7)]);
            if !ring.accepts(frame.len()) {
                assert!(frame.len() > capacity / 8, "seed {seed}: {} of {capacity} refused", frame.len());
                continue;
            }
            while let Some(ring_offset) = ring.reclaim(frame.len()) {
                model.retain(|(at, _)| *at >= ring_offset);
                ring.release(ring_offset);
            }
            let at = ring.push(topic.clone(), seq, false, &frame);
            let behind = model.last().is_some_and(|(last, frame)| last + frame.len() as u64 == at);
            // Adjacent offsets are adjacent in memory as well, except at the ring's end.
            assert_eq!(ring.joins(at), !at.is_multiple_of(capacity as u64), "seed {seed}");
            assert!(
                behind || at.is_multiple_of(capacity as u64) || model.is_empty(),
                "seed {seed}: a hole before {at}"
            );
            model.push((at, frame));
            let held: u64 = ring.head - model[0].0;
            assert_eq!(ring.held(), held);
            assert!(held <= capacity as u64, "seed {seed}: {held} held in {capacity}");
            for (at, frame) in &model {
                assert_eq!(ring.bytes(*at, frame.len()), frame.bytes(), "seed {seed}: the frame at {at}");
                let inside = at + random.random_range(0..frame.len() as u64);
                assert_eq!(ring.slot_at(inside).ring_offset, *at);
            }
            let from = random.random_range(0..model.len());
            let until = random.random_range(from..model.len());
            let (begin, end) = (model[from].0, model[until].0 + model[until].1.len() as u64);
            let slots: Vec<u64> = ring.slots(begin, (end - begin) as usize).map(|slot| slot.ring_offset).collect();
            let expected: Vec<u64> = model[from..=until].iter().map(|(at, _)| *at).collect();
            assert_eq!(slots, expected, "seed {seed}: frames {from} to {until}");
        }
    }
}

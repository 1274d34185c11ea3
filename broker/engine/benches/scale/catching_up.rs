//! A subscriber of everything stops reading, everything changes, and it reads again.

use broker_engine::{Limits, Retain};

use crate::Row;
use crate::bench::{Bench, message, subscribe, topic, update};
use crate::pieces::Pieces;

pub(crate) const ROWS: &[Row] = &[Row { name: "catching up: 100,000 topics", count: 100_000, run: catch_up }];

/// Topics that change before the shard takes them in.
const CHUNK: usize = 500;

fn catch_up(count: usize) -> Pieces {
    let retain = Retain { updates: 1, bytes: 1 << 20, ms: 0 };
    let mut bench = Bench::new(Limits { retain, ..Limits::default() });
    let change_all = |bench: &mut Bench| {
        for first in (0..count).step_by(CHUNK) {
            for number in first..count.min(first + CHUNK) {
                bench.publish(&update(&message(&topic(number), "state")));
            }
            bench.settle();
        }
    };
    change_all(&mut bench);
    let id = bench.connect(&subscribe([">".to_owned()].into_iter()));
    bench.settle();
    bench.counts.full.set(true);
    change_all(&mut bench);
    bench.counts.full.set(false);
    let (before, mut pieces) = (bench.deliveries(), Pieces::default());
    pieces.call(|| bench.shard.writable(id));
    pieces.settle(&mut bench);
    let delivered = bench.deliveries() - before;
    assert!(delivered >= count as u64, "{delivered} of {count} topics were caught up");
    pieces
}

//! The cost of delivering in allocations and writes: no allocation, and one write per connection and turn.
//!
//! Counted by an instrumented allocator and a counting sink, over everything between an update in the feed and the sink
//! that has its bytes. Publishing allocates (the frame, which all subscribers share) and is not counted.
//!
//! `cargo bench -p broker-engine --bench allocations`

#[path = "fan_out/bench.rs"]
mod bench;
#[path = "../../benches/publish/report.rs"]
mod report;

use broker_engine::Limits;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

use bench::{Bench, message, topic, update};
use report::{Ask, Table};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Row {
    name: &'static str,
    topics: usize,
    topics_each: usize,
    /// Distance between the topics of one connection: 1 for neighbours.
    stride: usize,
}

const ROWS: &[Row] = &[
    Row { name: "one topic", topics: 1, topics_each: 1, stride: 1 },
    Row { name: "10 of 100 topics, near", topics: 100, topics_each: 10, stride: 1 },
    Row { name: "10 of 100 topics, far", topics: 100, topics_each: 10, stride: 10 },
];

const CONNECTIONS: usize = 1_000;
/// Frames that a connection gets in one round.
const FRAMES: usize = 20;
/// Enough for the ring to wrap around, and for all buffers to reach their final size.
const ROUNDS_BEFORE: usize = 3_000;

fn main() {
    let ask = Ask::from_process();
    let rounds = ask.pick(200, 20);
    let title = format!("{CONNECTIONS} connections, {FRAMES} frames each in every one of {rounds} rounds");
    let columns = ["row", "deliveries", "allocations", "reallocations", "writes per connection and round"];
    let mut table = Table::new(title, &columns);
    for row in ROWS.iter().filter(|row| ask.wants(row.name)) {
        let (allocations, reallocations, writes) = count(row, ask.pick(ROUNDS_BEFORE, 300), rounds);
        let writes = writes as f64 / (CONNECTIONS * rounds) as f64;
        table.row(&[&row.name, &(CONNECTIONS * FRAMES * rounds), &allocations, &reallocations, &writes]);
        assert_eq!((allocations, reallocations), (0, 0), "{}: deliveries allocate", row.name);
        assert_eq!(writes, 1.0, "{}: one write for each", row.name);
    }
    table.print();
}

fn count(row: &Row, rounds_before: usize, rounds: usize) -> (usize, usize, u64) {
    let mut bench = Bench::new(Limits::default());
    for connection in 0..CONNECTIONS {
        let first = if row.stride == 1 { connection * row.topics_each } else { connection };
        bench.subscribe((0..row.topics_each).map(|i| topic((first + i * row.stride) % row.topics)));
    }
    bench.settle();
    let messages: Vec<String> = (0..row.topics).map(|number| message(&topic(number), "event")).collect();
    let updates: Vec<_> = messages.iter().map(|message| update(message)).collect();
    let (mut allocations, mut reallocations) = (0, 0);
    let mut writes = 0;
    for round in 0..rounds_before + rounds {
        (0..FRAMES * row.topics / row.topics_each).for_each(|i| bench.publish(&updates[i % row.topics]));
        let before = bench.counts.writes.get();
        let region = Region::new(ALLOCATOR);
        bench.deliver();
        let change = region.change();
        if round >= rounds_before {
            allocations += change.allocations;
            reallocations += change.reallocations;
            writes += bench.counts.writes.get() - before;
        }
    }
    (allocations, reallocations, writes)
}

//! The cost of a delivery without its share of the write: reading the feed, the ring, the runs, and the call of the
//! sink.

use std::time::{Duration, Instant};

use broker_engine::Limits;

use crate::bench::{Bench, message, topic, update};
use crate::report::{Ask, Series, Table};

/// Which topics a connection is subscribed to.
#[derive(Debug, Clone, Copy)]
enum Spread {
    /// Neighbours: their frames are adjacent in the ring.
    Near,
    /// Scattered: every frame is a run of its own.
    Far,
}

struct Row {
    name: &'static str,
    connections: usize,
    topics: usize,
    topics_each: usize,
    spread: Spread,
    /// Frames that a connection gets in one write.
    frames: usize,
}

impl Row {
    fn topics_of(&self, connection: usize) -> impl Iterator<Item = String> + '_ {
        let stride = self.topics / self.topics_each;
        (0..self.topics_each).map(move |i| {
            let number = match self.spread {
                Spread::Near => connection * self.topics_each + i,
                Spread::Far => connection + i * stride,
            };
            topic(number % self.topics)
        })
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "gather: 1,000 × 1 topic", connections: 1_000, topics: 1, topics_each: 1, spread: Spread::Near, frames: 20 },
    Row { name: "gather: 1,000 × 1 topic, 1 frame", connections: 1_000, topics: 1, topics_each: 1, spread: Spread::Near, frames: 1 },
    Row { name: "gather: 1,000 × 10 of 100 topics, near", connections: 1_000, topics: 100, topics_each: 10, spread: Spread::Near, frames: 20 },
    Row { name: "gather: 1,000 × 10 of 100 topics, far", connections: 1_000, topics: 100, topics_each: 10, spread: Spread::Far, frames: 20 },
    Row { name: "gather: 19,500 × 1 topic", connections: 19_500, topics: 1, topics_each: 1, spread: Spread::Near, frames: 20 },
    Row { name: "gather: 19,500 × 10 of 100 topics, near", connections: 19_500, topics: 100, topics_each: 10, spread: Spread::Near, frames: 20 },
    Row { name: "gather: 19,500 × 10 of 100 topics, far", connections: 19_500, topics: 100, topics_each: 10, spread: Spread::Far, frames: 20 },
];

pub(crate) fn run(ask: &Ask) {
    let repeats = ask.repeats(7);
    let title = format!("Gathering, counting sink, frames per write as given, {repeats} repeats");
    let mut table = Table::new(title, &["row", "ns/delivery", "frames/write", "bytes/frame"]);
    for row in ROWS.iter().filter(|row| ask.wants(row.name)) {
        let connections = ask.pick(row.connections, row.connections / 100);
        let deliveries = ask.pick(4_000_000, 1);
        measure(row, connections, deliveries, repeats, &mut table);
    }
    table.print();
}

fn measure(row: &Row, connections: usize, deliveries: usize, repeats: usize, table: &mut Table) {
    let mut bench = Bench::new(Limits::default());
    (0..connections).for_each(|connection| bench.subscribe(row.topics_of(connection)));
    bench.settle();
    let messages: Vec<String> = (0..row.topics).map(|number| message(&topic(number), "event")).collect();
    let updates: Vec<_> = messages.iter().map(|message| update(message)).collect();
    let each_round = row.frames * row.topics / row.topics_each;
    let round = |bench: &mut Bench| {
        (0..each_round).for_each(|i| bench.publish(&updates[i % row.topics]));
        let start = Instant::now();
        bench.deliver();
        start.elapsed()
    };
    // Warm up until all buffers have reached their final size.
    for _ in 0..20 {
        round(&mut bench);
    }
    let (before, writes, bytes) = (bench.deliveries(), bench.counts.writes.get(), bench.counts.bytes.get());
    let rounds = deliveries.div_ceil(connections * row.frames);
    let mut series = Series::default();
    for _ in 0..repeats {
        let took: Duration = (0..rounds).map(|_| round(&mut bench)).sum();
        series.push(took.as_nanos() as f64 / (rounds * connections * row.frames) as f64);
    }
    let delivered = bench.deliveries() - before;
    assert_eq!(
        delivered,
        (repeats * rounds * connections * row.frames) as u64,
        "{}: everything is delivered",
        row.name
    );
    let frames_per_write = delivered as f64 / (bench.counts.writes.get() - writes) as f64;
    let frame_bytes = (bench.counts.bytes.get() - bytes) / delivered;
    table.row(&[&row.name, &series, &format!("{frames_per_write:.1}"), &frame_bytes]);
}

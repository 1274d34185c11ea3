//! The cost of one publish on one thread, including its frame and its entries in the history and the feed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use broker_engine::Limits;

use crate::bench::{Bench, message, topic, update};
use crate::report::{Ask, Series, Table};

const TOPICS: usize = 100;
/// Updates published in a row before the shard reads them.
const CHUNK: usize = 1_000;

struct Row {
    name: &'static str,
    kind: &'static str,
    followed: bool,
    /// Whether the text of the message is parsed each time, too.
    parsed: bool,
}

const ROWS: &[Row] = &[
    Row { name: "publish: event, nobody follows", kind: "event", followed: false, parsed: false },
    Row { name: "publish: event, one shard follows", kind: "event", followed: true, parsed: false },
    Row { name: "publish: state, nobody follows", kind: "state", followed: false, parsed: false },
    Row { name: "publish: state, one shard follows", kind: "state", followed: true, parsed: false },
    Row { name: "publish: event from its text, one shard follows", kind: "event", followed: true, parsed: true },
];

pub(crate) fn run(ask: &Ask) {
    let repeats = ask.repeats(7);
    let chunks = ask.pick(200, 2);
    let title = format!("Publishing, {TOPICS} topics, {repeats} repeats of {} updates", chunks * CHUNK);
    let mut table = Table::new(title, &["row", "ns/publish"]);
    for row in ROWS.iter().filter(|row| ask.wants(row.name)) {
        table.row(&[&row.name, &measure(row, repeats, chunks)]);
    }
    table.print();
}

fn measure(row: &Row, repeats: usize, chunks: usize) -> Series {
    let mut bench = Bench::new(Limits::default());
    if row.followed {
        bench.subscribe((0..TOPICS).map(topic));
    }
    let messages: Vec<String> = (0..TOPICS).map(|number| message(&topic(number), row.kind)).collect();
    let updates: Vec<_> = messages.iter().map(|message| update(message)).collect();
    let chunk = |bench: &mut Bench| {
        let start = Instant::now();
        for i in 0..CHUNK {
            let number = i % TOPICS;
            if row.parsed {
                bench.publish(&update(black_box(&messages[number])));
            } else {
                bench.publish(black_box(&updates[number]));
            }
        }
        let took = start.elapsed();
        bench.deliver();
        took
    };
    // Warm up until the histories are full, as they are in a broker that has run for a while.
    let retained = bench.engine.limits().retain().updates as usize;
    for _ in 0..retained * TOPICS / CHUNK {
        chunk(&mut bench);
    }
    let mut series = Series::default();
    for _ in 0..repeats {
        let took: Duration = (0..chunks).map(|_| chunk(&mut bench)).sum();
        series.push(took.as_nanos() as f64 / (chunks * CHUNK) as f64);
    }
    series
}

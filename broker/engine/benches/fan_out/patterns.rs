//! Patterns: the cost of subscribing to one if there are many topics, and of a new topic if there are many patterns.

use std::time::Instant;

use broker_engine::Limits;

use crate::bench::{Bench, message, subscribe, topic, update};
use crate::report::{Ask, Series, Table};

/// Topics are `m{0..100}.s{0..1000}.quote`.
const MARKETS: usize = 100;
/// Patterns of one connection.
const PATTERNS_EACH: usize = 10;
/// New topics whose beginning is measured together.
const NEW_TOPICS: usize = 1_000;

/// A form of pattern, and how many patterns of it there are.
struct Row {
    name: &'static str,
    count: usize,
    pattern: fn(usize) -> String,
}

const ROWS: &[Row] = &[
    Row {
        name: "patterns: m1.s2.* (1 topic)",
        count: 10_000,
        pattern: |i| format!("m{}.s{}.*", i % MARKETS, i / MARKETS),
    },
    Row { name: "patterns: m1.*.quote (1,000 topics)", count: 100, pattern: |i| format!("m{}.*.quote", i % MARKETS) },
    Row { name: "patterns: *.s2.quote (100 topics)", count: 100, pattern: |i| format!("*.s{i}.quote") },
];

pub(crate) fn run(ask: &Ask) {
    let symbols = ask.pick(1_000, 10);
    let repeats = ask.repeats(3);
    let title = format!("Patterns against {} topics, from subscribing to the last topic introduced", MARKETS * symbols);
    let mut table = Table::new(title, &["row", "patterns", "µs/pattern", "ns/topic introduced", "topics each"]);
    for row in ROWS.iter().filter(|row| ask.wants(row.name)) {
        let count = ask.pick(row.count, row.count / 100).max(1);
        subscribing(row, symbols, count, repeats, &mut table);
    }
    table.print();
    let columns = ["row", "patterns", "taking in, ns/topic", "publishing, ns/topic"];
    let mut table = Table::new(format!("A topic begins, {NEW_TOPICS} times, {repeats} repeats"), &columns);
    let counts = [
        ("patterns: new topic, no pattern", 0),
        ("patterns: new topic, 10", 10),
        ("patterns: new topic, 10,000", 10_000),
    ];
    for (name, patterns) in counts.into_iter().filter(|(name, _)| ask.wants(name)) {
        beginning(name, patterns, repeats, &mut table);
    }
    table.print();
}

fn subscribing(row: &Row, symbols: usize, count: usize, repeats: usize, table: &mut Table) {
    let (mut pattern_us, mut topic_ns) = (Series::default(), Series::default());
    let mut told = 0;
    for _ in 0..repeats {
        let mut bench = Bench::new(Limits { topics_max: 10_000_000, ..Limits::default() });
        for market in 0..MARKETS {
            for symbol in 0..symbols {
                bench.publish(&update(&message(&format!("m{market}.s{symbol}.quote"), "state")));
            }
            bench.settle();
        }
        let requests = (0..count).step_by(PATTERNS_EACH).map(|first| {
            let last = count.min(first + PATTERNS_EACH);
            subscribe((first..last).map(row.pattern))
        });
        let requests: Vec<String> = requests.collect();
        let before = bench.deliveries();
        let start = Instant::now();
        for request in &requests {
            bench.connect(request);
            bench.settle();
        }
        let took_ns = start.elapsed().as_nanos() as f64;
        told = bench.deliveries() - before;
        pattern_us.push(took_ns / 1e3 / count as f64);
        topic_ns.push(took_ns / told.max(1) as f64);
    }
    table.row(&[&row.name, &count, &pattern_us, &topic_ns, &format!("{:.1}", told as f64 / count as f64)]);
}

/// New topics that two of the patterns match, if there are patterns.
fn beginning(name: &str, patterns: usize, repeats: usize, table: &mut Table) {
    let (mut take_in_ns, mut publish_ns) = (Series::default(), Series::default());
    for _ in 0..repeats {
        let mut bench = Bench::new(Limits { subscriptions: 100_000, ..Limits::default() });
        if patterns > 0 {
            bench.subscribe(["bench.*".to_owned(), "bench.>".to_owned()].into_iter());
            bench.subscribe((2..patterns).map(|i| format!("m{}.s{}.*", i % MARKETS, i / MARKETS)));
        }
        bench.settle();
        let messages: Vec<String> = (0..NEW_TOPICS).map(|number| message(&topic(number), "state")).collect();
        let updates: Vec<_> = messages.iter().map(|message| update(message)).collect();
        let start = Instant::now();
        updates.iter().for_each(|update| bench.publish(update));
        publish_ns.push(start.elapsed().as_nanos() as f64 / NEW_TOPICS as f64);
        let start = Instant::now();
        bench.settle();
        take_in_ns.push(start.elapsed().as_nanos() as f64 / NEW_TOPICS as f64);
    }
    table.row(&[&name, &patterns, &take_in_ns, &publish_ns]);
}

//! One request that subscribes to very many topics, or to names that very many patterns match too.

use broker_engine::Limits;

use crate::Row;
use crate::bench::{Bench, NOW, message, subscribe, topic, update};
use crate::pieces::Pieces;

pub(crate) const ROWS: &[Row] = &[
    Row { name: "subscribing: 8,192 topics in one request", count: 8_192, run: many_topics },
    Row { name: "subscribing: 1,000 new names that 8,192 patterns match", count: 8_192, run: many_patterns },
];

/// Patterns of one connection, and names in one request.
const PATTERNS_EACH: usize = 1_024;
const NAMES: usize = 1_000;
/// Segments of the names before the last one. A pattern has each of them as a literal or as a wildcard.
const SEGMENTS: usize = 14;

fn many_topics(count: usize) -> Pieces {
    let mut bench = Bench::new(Limits { subscriptions: 1 << 20, message_bytes: 1 << 26, ..Limits::default() });
    for number in 0..count {
        bench.publish(&update(&message(&topic(number), "state")));
        bench.deliver();
    }
    request(bench, &subscribe((0..count).map(topic)))
}

fn many_patterns(count: usize) -> Pieces {
    let mut bench = Bench::new(Limits::default());
    for first in (0..count).step_by(PATTERNS_EACH) {
        bench.connect(&subscribe((first..count.min(first + PATTERNS_EACH)).map(pattern)));
    }
    bench.settle();
    request(bench, &subscribe((0..NAMES).map(|number| format!("{}{number}", "a.".repeat(SEGMENTS)))))
}

/// A distinct pattern for each number; each of them matches all the names.
fn pattern(number: usize) -> String {
    let segments = (0..SEGMENTS).map(|bit| if number >> bit & 1 == 1 { "*." } else { "a." });
    segments.chain(["*"]).collect()
}

/// Measures this request on another connection.
fn request(mut bench: Bench, text: &str) -> Pieces {
    let id = bench.connect(r#"{"op":"ping"}"#);
    bench.settle();
    let (mut pieces, before) = (Pieces::default(), bench.counts.bytes.get());
    pieces.call(|| bench.shard.handle(NOW, id, text));
    pieces.settle(&mut bench);
    assert!(bench.counts.bytes.get() > before + text.len() as u64, "each entry is answered");
    pieces
}

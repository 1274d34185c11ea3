//! A listing of a million topics, as requested over HTTP.

use broker_engine::{Limits, Met, Walk};
use broker_protocol::pattern::Pattern;

use crate::Row;
use crate::bench::{Bench, message, update};
use crate::pieces::Pieces;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "listing: 1,000,000 topics, *.*.nothing",
        count: 1_000_000,
        run: |count| list(count, "*.*.nothing", 0),
    },
    Row {
        name: "listing: 1,000,000 topics, stocks.*.nothing",
        count: 1_000_000,
        run: |count| list(count, "stocks.*.nothing", 0),
    },
    Row {
        name: "listing: 1,000,000 topics, the first page of >",
        count: 1_000_000,
        run: |count| list(count, ">", PAGE),
    },
];

/// Rows of a page: the maximum that `limit` allows.
const PAGE: usize = 1_000;
/// Names that are looked at in one portion.
const STEPS: usize = 1_024;
/// Topics that begin before the shard takes them in.
const CHUNK: usize = 500;

fn list(count: usize, pattern: &str, found: usize) -> Pieces {
    let mut bench = Bench::new(Limits { topics_max: 10_000_000, ..Limits::default() });
    for first in (0..count).step_by(CHUNK) {
        for number in first..count.min(first + CHUNK) {
            bench.publish(&update(&message(&format!("stocks.S{number:07}.quote"), "event")));
        }
        bench.deliver();
    }
    let pattern = Pattern::parse(pattern).expect("a pattern");
    let mut pieces = Pieces::default();
    let (mut walk, mut rows) = (Walk::new(pattern, None), 0);
    // One portion at a time, as HTTP does, so that others have their turns in between.
    let mut portion = |rows: &mut usize| {
        let mut steps = STEPS;
        loop {
            match bench.engine.next_row(&mut walk, &mut steps) {
                Met::One(_) => *rows += 1,
                Met::Pause => return false,
                Met::End => return true,
            }
            if *rows == PAGE {
                return true;
            }
        }
    };
    while !pieces.call(|| portion(&mut rows)) {}
    assert_eq!(rows, found.min(count), "{count} topics");
    pieces
}

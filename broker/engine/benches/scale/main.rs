//! The cost of a request or an event that concerns very many things, and whether it is linear: leaving, subscribing,
//! catching up, and listing.
//!
//! Each row is measured with the full number and with half of it. The quotient of the two is 2 if the cost is linear,
//! and 4 if it is quadratic. *Longest piece* is the longest single call into the engine: for that long a shard's
//! thread, or the caller, does nothing else.
//!
//! `cargo bench -p broker-engine --bench scale [-- [--repeats N] [ROW]...]`

#[path = "../fan_out/bench.rs"]
mod bench;
mod catching_up;
mod leaving;
mod listing;
mod pieces;
#[path = "../../../benches/publish/report.rs"]
mod report;
mod subscribing;

use pieces::Pieces;
use report::{Ask, Series, Table};

// The allocator that the broker runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One row: what is measured, with which number, and how.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    count: usize,
    /// Measures with this number.
    run: fn(usize) -> Pieces,
}

fn main() {
    let ask = Ask::from_process();
    let rows = [leaving::ROWS, subscribing::ROWS, catching_up::ROWS, listing::ROWS].concat();
    let repeats = ask.repeats(3);
    let columns = ["row", "all of it, ms", "longest piece, ms", "µs for each", "all / half"];
    let mut table = Table::new(format!("Very much at once, {repeats} repeats"), &columns);
    for row in rows.into_iter().filter(|row| ask.wants(row.name)) {
        let count = ask.pick(row.count, row.count / 100);
        let [mut all, mut longest, mut each, mut quotient] = <[Series; 4]>::default();
        for _ in 0..repeats {
            let half = (row.run)(count / 2);
            let whole = (row.run)(count);
            all.push(whole.total_ms());
            longest.push(whole.longest_ms());
            each.push(whole.total_ms() * 1e3 / count as f64);
            quotient.push(whole.total_ms() / half.total_ms());
        }
        table.row(&[&row.name, &all, &longest, &each, &quotient]);
    }
    table.print();
}

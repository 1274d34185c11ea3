//! The engine alone, without sockets: the cost of publishing, of gathering a delivery, and of patterns.
//!
//! For the engine time stands still, and its sinks only count, so what remains is its own work. Publishing and
//! gathering run one after the other on one thread, and only one of them is timed.
//!
//! `cargo bench -p broker-engine --bench fan_out [-- [--repeats N] [ROW]...]`

mod bench;
mod gather;
mod patterns;
mod publish;
#[path = "../../../benches/publish/report.rs"]
mod report;

use report::Ask;

// The allocator that the broker runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let ask = Ask::from_process();
    publish::run(&ask);
    gather::run(&ask);
    patterns::run(&ask);
}

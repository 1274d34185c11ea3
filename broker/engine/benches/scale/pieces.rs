//! Time by pieces: the total of all calls, and the longest of them.

use std::time::{Duration, Instant};

use crate::bench::{Bench, NOW};

/// The measured times.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pieces {
    total: Duration,
    longest: Duration,
}

impl Pieces {
    /// Times one call.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = call();
        let took = begin.elapsed();
        self.total += took;
        self.longest = self.longest.max(took);
        result
    }

    /// Runs the shard until it has nothing more to do. As in the broker, each step of a round has its bound.
    pub(crate) fn settle(&mut self, bench: &mut Bench) {
        loop {
            let took_in = self.call(|| bench.shard.take_in(NOW));
            let turned = self.call(|| bench.shard.turn(&mut || NOW));
            let ticked = self.call(|| bench.shard.tick(NOW));
            if !(took_in | turned | ticked) {
                return;
            }
        }
    }

    pub(crate) fn total_ms(&self) -> f64 {
        self.total.as_secs_f64() * 1e3
    }

    pub(crate) fn longest_ms(&self) -> f64 {
        self.longest.as_secs_f64() * 1e3
    }
}

//! Memory that nobody uses any more goes back to the system, also where nothing happens.
//!
//! The allocator (mimalloc) waits a second before it gives free memory back, and looks at what has waited only when more
//! becomes free. On a broker that everybody has just left nothing does: 90 MiB stayed for as long as it was quiet
//! (measured after four stalled subscribers of 100,000 topics had gone). And what a thread allocated and another let go of,
//! only the first can give back: the shards' threads look too (topics published by a shard and deleted over HTTP left 21 to
//! 37 MiB before, and 14 to 22 since).
//!
//! A page of which other threads let go of the last pieces is given back only when its thread goes through all of its pages.
//! The allocator does so after 10,000 calls that its fast path cannot serve (its option `generic_collect`), which a quiet
//! thread never makes. A look makes a fifth of them, each of 0.45 µs: after every budget had been filled and everybody had
//! left, 30 to 32 MiB stayed in three runs, and 32 to 38 with one such call in a look.

use std::hint::black_box;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// How often the allocator has a look.
const INTERVAL: Duration = Duration::from_secs(1);
/// Large enough to have pages of its own, so that the fast path cannot serve it, and letting go of it makes the allocator
/// look. Never touched, it costs no memory.
const PIECE_BYTES: usize = 4 << 20;
/// Such pieces in one look: together somewhat less than a millisecond.
const PIECES: usize = 2000;

/// Lets it look for ever.
pub(crate) async fn give_back() {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        look();
    }
}

/// Lets the allocator look at what this thread let go of, and at what others did of its own.
fn look() {
    for _ in 0..PIECES {
        drop(black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
    }
}

/// When a thread that has no runtime for it looks next: what it allocated only it can give back.
#[derive(Default)]
pub(crate) struct Looks {
    next_us: u64,
}

impl Looks {
    /// Has a look, where the last one is a second ago.
    pub(crate) fn at(&mut self, now_us: u64) {
        if now_us >= self.next_us {
            self.next_us = now_us + INTERVAL.as_micros() as u64;
            look();
        }
    }
}

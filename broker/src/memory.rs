//! Returns unused memory to the system, also on a broker where nothing happens.
//!
//! The allocator (mimalloc) waits a second before it returns free memory, and looks at what has waited only when more
//! becomes free. On a broker that all clients have just left, nothing becomes free: 90 MiB stayed for as long as it was
//! quiet (measured after four stalled subscribers of 100,000 topics had gone). And memory that one thread allocated and
//! another freed, only the first can return, so the shards' threads look too (topics published by a shard and deleted
//! over HTTP left 21 to 37 MiB before, and 14 to 22 since).
//!
//! A page whose last pieces other threads freed is returned only when its own thread goes through all of its pages. The
//! allocator does so after 10,000 calls that its fast path cannot serve (its option `generic_collect`), and a quiet thread
//! never makes that many. Its look makes a fifth of them, at 0.45 µs each: after every budget had been filled and all
//! clients had left, 30 to 32 MiB stayed in three runs, compared with 32 to 38 when a look made one such call.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::MissedTickBehavior;

/// How often the allocator is made to look.
const INTERVAL: Duration = Duration::from_secs(1);
/// Large enough to have pages of its own, so that the fast path cannot serve it and freeing it makes the allocator look.
/// It is never touched, so it costs no memory.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces allocated and freed in one look of a quiet thread: together somewhat less than a millisecond.
const PIECES: usize = 2000;
/// A thread that used less of its core than this since the last look is quiet. A busy one makes enough calls by itself.
const QUIET_CPU: Duration = Duration::from_millis(10);

/// Makes the allocator look at this thread's free memory, for ever.
pub(crate) async fn give_back() {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut looks = Looks::default();
    loop {
        ticks.tick().await;
        looks.look();
    }
}

/// The looks of one thread: only the thread itself can return what it allocated.
#[derive(Default)]
pub(crate) struct Looks {
    next_us: u64,
    /// The thread's CPU time after the last look.
    cpu: Duration,
}

impl Looks {
    /// Makes the allocator look if the last look was a second ago.
    pub(crate) fn at(&mut self, now_us: u64) {
        if now_us >= self.next_us {
            self.next_us = now_us + INTERVAL.as_micros() as u64;
            self.look();
        }
    }

    /// Makes the allocator look at what this thread freed, and at what others freed of this thread's memory.
    fn look(&mut self) {
        let is_quiet = thread_cpu().saturating_sub(self.cpu) < QUIET_CPU;
        for _ in 0..if is_quiet { PIECES } else { 1 } {
            drop(black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
        }
        self.cpu = thread_cpu();
    }
}

/// The CPU time of the calling thread.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

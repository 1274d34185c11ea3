//! The bystanders, each on a thread of its own.

mod memory;
mod newcomer;
mod pairs;
mod probe;
pub(crate) mod shards;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) use memory::settled;
pub(crate) use newcomer::Newcomers;
pub(crate) use pairs::Latencies;
pub(crate) use probe::Probes;

use crate::broker::Broker;
use crate::patience::{Patience, Stop};

/// How long a bystander may still wait for an answer after the stop: longer than any bar.
pub(crate) const LAST_CHANCE: Duration = Duration::from_secs(6);

/// What the bystanders measured.
pub(crate) struct Figures {
    /// On the shard that was attacked.
    pub(crate) same: Latencies,
    /// On the other shard.
    pub(crate) other: Latencies,
    pub(crate) newcomers: Newcomers,
    pub(crate) probes: Probes,
    pub(crate) peak_kib: u64,
}

/// The bystanders at work.
pub(crate) struct Watch {
    stop: Stop,
    pairs: JoinHandle<[Latencies; 2]>,
    newcomers: JoinHandle<Newcomers>,
    probes: JoinHandle<Probes>,
    memory: JoinHandle<()>,
    peak_kib: Arc<AtomicU64>,
    peak_before_kib: u64,
}

impl Watch {
    /// Connects the pairs, and begins to watch.
    pub(crate) fn start(broker: &Broker, target: usize, patience: &Patience) -> io::Result<Self> {
        let stop = Stop::default();
        let pairs = pairs::Pairs::connect(broker, target, patience)?;
        let (listen, admin, pid) = (broker.listen, broker.admin, broker.pid());
        let (peak_kib, peak_before_kib) = (Arc::new(AtomicU64::new(0)), broker.peak_kib());
        let (for_pairs, for_newcomers, for_probes) = (stop.clone(), stop.clone(), stop.clone());
        let (for_memory, peak) = (stop.clone(), peak_kib.clone());
        Ok(Self {
            stop,
            pairs: std::thread::spawn(move || pairs.watch(&for_pairs)),
            newcomers: std::thread::spawn(move || newcomer::watch(listen, &for_newcomers)),
            probes: std::thread::spawn(move || probe::watch(admin, &for_probes)),
            memory: std::thread::spawn(move || memory::watch(pid, &for_memory, &peak)),
            peak_kib,
            peak_before_kib,
        })
    }

    /// Stops the bystanders, and returns their figures.
    pub(crate) fn stop(self, broker: &Broker) -> Figures {
        self.stop.stop();
        let [same, other] = self.pairs.join().unwrap_or_default();
        let newcomers = self.newcomers.join().unwrap_or_default();
        let probes = self.probes.join().unwrap_or_default();
        let _ = self.memory.join();
        // The kernel's high-water mark includes what is between two looks, if it was set during this watch.
        let (seen, mark) = (self.peak_kib.load(Ordering::Relaxed), broker.peak_kib());
        let peak_kib = if mark > self.peak_before_kib { seen.max(mark) } else { seen };
        Figures { same, other, newcomers, probes, peak_kib }
    }
}

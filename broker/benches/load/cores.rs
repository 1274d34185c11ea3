//! Which core is the broker's and which the load's.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core for the broker and another for the load, where the process may run on two.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    all: CpuSet,
    two: Option<(usize, usize)>,
}

impl Cores {
    /// What this process may run on.
    pub(crate) fn of_process() -> Self {
        let all = sched_getaffinity(None).unwrap_or_default();
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let two = allowed.next().zip(allowed.next());
        Self { all, two }
    }

    /// From now on this thread is the broker's: a process that it starts stays on the broker's core.
    pub(super) fn be_broker(&self) {
        self.go(self.two.map(|(broker, _)| broker));
    }

    /// From now on this thread is the load's.
    pub(super) fn be_load(&self) {
        self.go(self.two.map(|(_, load)| load));
    }

    /// Anywhere.
    pub(super) fn be_free(&self) {
        self.go(None);
    }

    fn go(&self, core: Option<usize>) {
        let mut set = self.all;
        if let Some(core) = core {
            set = CpuSet::new();
            set.set(core);
        }
        if let Err(error) = sched_setaffinity(None, &set) {
            eprintln!("cores could not be chosen ({error}): broker and load are in each other's way");
        }
    }

    /// For the line above a table.
    pub(crate) fn describe(&self) -> String {
        match self.two {
            Some((broker, load)) => format!("broker on core {broker}, load on core {load}"),
            None => "broker and load on one core: latencies and rates mean little".to_owned(),
        }
    }
}

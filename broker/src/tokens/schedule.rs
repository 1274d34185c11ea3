//! When keys are fetched. Times are in ms of a clock that does not jump.

/// The pause after the first failed fetch, as long as there was no good one. It doubles, up to the cooldown.
const RETRY_MS: u64 = 1000;

/// The times of fetches.
#[derive(Debug)]
pub(super) struct Schedule {
    refresh_ms: u64,
    cooldown_ms: u64,
    /// When the last fetch began.
    began_ms: Option<u64>,
    /// When the next one is due.
    due_ms: u64,
    running: bool,
    had_success: bool,
    failures: u32,
}

/// What becomes of a wish for a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A fetch runs, or begins now.
    Soon,
    /// A fetch begins when the cooldown is over.
    Later,
    /// There is nothing to fetch.
    Never,
}

impl Schedule {
    /// The first fetch is due at once.
    pub(super) fn new(refresh_ms: u64, cooldown_ms: u64, now_ms: u64) -> Schedule {
        Schedule {
            refresh_ms,
            cooldown_ms,
            began_ms: None,
            due_ms: now_ms,
            running: false,
            had_success: false,
            failures: 0,
        }
    }

    /// The same fetches in another rhythm.
    pub(super) fn with(self, refresh_ms: u64, cooldown_ms: u64, now_ms: u64) -> Schedule {
        let due_ms = self.due_ms.min(now_ms.saturating_add(refresh_ms));
        Schedule { refresh_ms, cooldown_ms, due_ms, ..self }
    }

    /// When the next fetch is due; `None` while one runs.
    pub(super) fn due_ms(&self) -> Option<u64> {
        (!self.running).then_some(self.due_ms)
    }

    /// Somebody has a token whose key is not known.
    pub(super) fn wish(&mut self, now_ms: u64) -> Wish {
        if self.running {
            return Wish::Soon;
        }
        let earliest = self.began_ms.map_or(now_ms, |began| began.saturating_add(self.cooldown_ms).max(now_ms));
        self.due_ms = self.due_ms.min(earliest);
        if self.due_ms <= now_ms { Wish::Soon } else { Wish::Later }
    }

    /// A fetch begins.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.running = true;
        self.began_ms = Some(now_ms);
    }

    /// It ended.
    pub(super) fn end(&mut self, good: bool, now_ms: u64) {
        self.running = false;
        self.had_success |= good;
        self.failures = if good { 0 } else { self.failures.saturating_add(1) };
        let pause = match (good, self.had_success) {
            (true, _) => self.refresh_ms,
            (false, true) => self.cooldown_ms.min(self.refresh_ms),
            (false, false) => (RETRY_MS << self.failures.saturating_sub(1).min(16)).min(self.cooldown_ms),
        };
        self.due_ms = now_ms.saturating_add(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a fetch when it is due, and returns when it began.
    fn fetch(schedule: &mut Schedule, good: bool) -> u64 {
        let now = schedule.due_ms().unwrap();
        schedule.begin(now);
        schedule.end(good, now);
        now
    }

    #[test]
    fn regularly_and_at_first_soon_again() {
        let mut schedule = Schedule::new(600_000, 30_000, 5);
        let failed: Vec<u64> = (0..7).map(|_| fetch(&mut schedule, false)).collect();
        assert_eq!(failed, [5, 1005, 3005, 7005, 15_005, 31_005, 61_005]);
        assert_eq!(fetch(&mut schedule, true), 91_005);
        assert_eq!(fetch(&mut schedule, true), 691_005);
        // Later failures have the old keys meanwhile.
        assert_eq!(fetch(&mut schedule, false), 1_291_005);
        assert_eq!(fetch(&mut schedule, false), 1_321_005);
        assert_eq!(fetch(&mut schedule, true), 1_351_005);
    }

    #[test]
    fn however_many_wish_one_fetch_in_a_cooldown() {
        let mut schedule = Schedule::new(600_000, 30_000, 0);
        fetch(&mut schedule, true);
        let mut began = Vec::new();
        for now in (0..120_000).step_by(1) {
            let wish = schedule.wish(now);
            if schedule.due_ms().is_some_and(|due| due <= now) {
                assert_eq!(wish, Wish::Soon);
                began.push(fetch(&mut schedule, true));
            } else {
                assert_eq!(wish, Wish::Later);
            }
        }
        assert_eq!(began, [30_000, 60_000, 90_000]);
    }

    #[test]
    fn while_one_runs_nobody_begins_another() {
        let mut schedule = Schedule::new(600_000, 30_000, 0);
        schedule.begin(0);
        assert_eq!((schedule.wish(40_000), schedule.due_ms()), (Wish::Soon, None));
        schedule.end(true, 41_000);
        assert_eq!(schedule.due_ms(), Some(641_000));
    }
}

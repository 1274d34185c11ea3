//! Who writes the next checkpoint: whoever says first in the log that it begins one. All brokers read the same log, so
//! they agree without voting.

/// How long the others wait for its end, in µs of the log's time.
const TURN_US: u64 = 600_000_000;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// When somebody began.
    begun_us: Option<u64>,
}

impl Election {
    /// A broker says that it begins. Returns whether it is its turn.
    pub(super) fn begins(&mut self, ts_us: u64) -> bool {
        let is_free = self.is_free(ts_us);
        if is_free {
            self.begun_us = Some(ts_us);
        }
        is_free
    }

    /// Somebody's checkpoint is complete.
    pub(super) fn completed(&mut self) {
        self.begun_us = None;
    }

    /// Whether one may begin.
    pub(super) fn is_free(&self, ts_us: u64) -> bool {
        self.begun_us.is_none_or(|begun_us| ts_us >= begun_us.saturating_add(TURN_US))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_has_its_turn_until_it_has_ended_or_for_ten_minutes() {
        let mut election = Election::default();
        assert!(election.begins(5));
        assert!(!election.begins(6));
        election.completed();
        assert!(election.begins(7));
        assert!(!election.begins(7 + TURN_US - 1));
        assert!(election.begins(7 + TURN_US));
        assert!(!election.begins(8 + TURN_US));
    }
}

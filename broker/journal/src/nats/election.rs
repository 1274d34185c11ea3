//! Who writes the next checkpoint: whoever says first in the log that it begins one. All brokers read the same log, so
//! they agree without voting.

/// How long the others wait for its end, in µs of the log's time.
const TURN_US: u64 = 600_000_000;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// Who began, and when.
    begun: Option<(Box<str>, u64)>,
}

impl Election {
    /// A broker says that it begins. Returns whether it is its turn.
    pub(super) fn begins(&mut self, node: &str, ts_us: u64) -> bool {
        let is_free = self.is_free(ts_us);
        if is_free {
            self.begun = Some((node.into(), ts_us));
        }
        is_free
    }

    /// A broker begins another session: it was killed, or the log was full, so if it was its turn, that is over.
    pub(super) fn opens(&mut self, node: &str) {
        self.begun.take_if(|(begun, _)| **begun == *node);
    }

    /// Somebody's checkpoint is complete.
    pub(super) fn completed(&mut self) {
        self.begun = None;
    }

    /// Whether one may begin.
    pub(super) fn is_free(&self, ts_us: u64) -> bool {
        self.begun.as_ref().is_none_or(|(_, begun_us)| ts_us >= begun_us.saturating_add(TURN_US))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_has_its_turn_until_it_has_ended_or_for_ten_minutes() {
        let mut election = Election::default();
        assert!(election.begins("a", 5));
        assert!(!election.begins("b", 6));
        election.completed();
        assert!(election.begins("b", 7));
        assert!(!election.begins("a", 7 + TURN_US - 1));
        assert!(election.begins("a", 7 + TURN_US));
        assert!(!election.begins("b", 8 + TURN_US));
    }

    #[test]
    fn the_turn_of_one_that_has_started_again_is_over() {
        let mut election = Election::default();
        assert!(election.begins("a", 5));
        election.opens("b");
        assert!(!election.begins("b", 6));
        election.opens("a");
        assert!(election.begins("b", 7));
    }
}

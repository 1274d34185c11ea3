//! Several scenarios as one, in order of time.

use super::Scenario;
use feed_player::publication::Timed;

/// Scenarios on one clock. If two publications are due at once, that of the scenario listed first comes first.
pub(super) struct Merged {
    /// Each with its next publication.
    parts: Vec<(Timed, Box<dyn Scenario>)>,
}

impl Merged {
    /// Merges `parts`, at least one.
    pub(super) fn new(parts: Vec<Box<dyn Scenario>>) -> Self {
        assert!(!parts.is_empty());
        Merged { parts: parts.into_iter().map(|mut part| (part.next(), part)).collect() }
    }
}

impl Scenario for Merged {
    fn next(&mut self) -> Timed {
        let (next, part) =
            self.parts.iter_mut().min_by_key(|(next, _)| next.due_us).expect("there is at least one part");
        std::mem::replace(next, part.next())
    }

    fn updates_per_s(&self) -> f64 {
        self.parts.iter().map(|(_, part)| part.updates_per_s()).sum()
    }
}

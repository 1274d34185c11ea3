//! Whether this broker agrees with the others about what the log comes to.

use std::collections::BTreeMap;

/// How long another broker's word counts, in µs of the log's time.
const COUNTS_US: u64 = 10_000_000;

/// What other brokers' digests said last.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<Box<str>, (u64, bool)>);

impl Peers {
    /// Takes in a digest of another broker.
    pub(super) fn compared(&mut self, node: &str, ts_us: u64, differs: bool) {
        self.0.retain(|_, (said_us, _)| said_us.saturating_add(COUNTS_US) >= ts_us);
        self.0.insert(node.into(), (ts_us, differs));
    }

    /// Whether this broker is not one of most brokers that agree: with two that differ, neither is.
    pub(super) fn is_in_doubt(&self) -> bool {
        let differ = self.0.values().filter(|(_, differs)| *differs).count();
        let agree = self.0.len() - differ + 1;
        differ >= agree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_brokers_decide_and_a_word_counts_for_some_time() {
        let mut peers = Peers::default();
        assert!(!peers.is_in_doubt());
        peers.compared("b", 1, true);
        assert!(peers.is_in_doubt(), "one against one");
        peers.compared("c", 2, false);
        assert!(!peers.is_in_doubt(), "two against one");
        peers.compared("d", 3, true);
        assert!(peers.is_in_doubt(), "two against two");
        peers.compared("c", COUNTS_US + 4, false);
        assert!(!peers.is_in_doubt(), "the others said nothing for long");
    }
}

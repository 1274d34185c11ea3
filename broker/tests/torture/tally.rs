//! Counting what comes, also where it lies across two reads.

/// How often something has come on each connection of a crowd.
pub(crate) struct Tally {
    what: &'static [u8],
    counts: Vec<usize>,
    /// The last bytes of each connection, fewer than what is looked for.
    tails: Vec<Vec<u8>>,
}

impl Tally {
    /// Looks for these bytes. They must not overlap with themselves.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what: what.as_bytes(), counts: Vec::new(), tails: Vec::new() }
    }

    /// A connection has read this. Returns how often that completes what is looked for.
    pub(crate) fn count(&mut self, member: usize, bytes: &[u8]) -> usize {
        if self.counts.len() <= member {
            self.counts.resize(member + 1, 0);
            self.tails.resize(member + 1, Vec::new());
        }
        let (what, tail) = (self.what, &mut self.tails[member]);
        // What lies across the two is found at their seam, where each of them alone is too short for it.
        let seam: Vec<u8> = tail.iter().chain(bytes.iter().take(what.len() - 1)).copied().collect();
        let found = find(&seam, what) + find(bytes, what);
        self.counts[member] += found;
        tail.extend_from_slice(&bytes[bytes.len().saturating_sub(what.len() - 1)..]);
        let surplus = tail.len().saturating_sub(what.len() - 1);
        tail.drain(..surplus);
        found
    }

    /// Of one connection.
    pub(crate) fn of(&self, member: usize) -> usize {
        self.counts.get(member).copied().unwrap_or(0)
    }

    /// Of all connections.
    pub(crate) fn all(&self) -> usize {
        self.counts.iter().sum()
    }
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    // Most places are ruled out by their first byte, which is cheaper than a comparison of slices.
    bytes.windows(what.len()).filter(|window| window[0] == what[0] && *window == what).count()
}

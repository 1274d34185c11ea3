//! Counts occurrences in a stream, including those that span two reads.

/// How often something has come on each connection of a crowd.
pub(crate) struct Tally {
    what: &'static [u8],
    counts: Vec<usize>,
    /// The last bytes of each connection, fewer than the length of `what`.
    tails: Vec<Vec<u8>>,
}

impl Tally {
    /// Counts these bytes, which must not overlap with themselves.
    pub(crate) fn new(what: &'static (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { what: what.as_ref(), counts: Vec::new(), tails: Vec::new() }
    }

    /// Counts in what a connection has read. Returns how many occurrences that completes.
    pub(crate) fn count(&mut self, member: usize, bytes: &[u8]) -> usize {
        if self.counts.len() <= member {
            self.counts.resize(member + 1, 0);
            self.tails.resize(member + 1, Vec::new());
        }
        let (what, tail) = (self.what, &mut self.tails[member]);
        // An occurrence across the two reads is found at their seam, where each part alone is too short for it.
        let seam: Vec<u8> = tail.iter().chain(bytes.iter().take(what.len() - 1)).copied().collect();
        let found = find(&seam, what) + find(bytes, what);
        self.counts[member] += found;
        tail.extend_from_slice(&bytes[bytes.len().saturating_sub(what.len() - 1)..]);
        let surplus = tail.len().saturating_sub(what.len() - 1);
        tail.drain(..surplus);
        found
    }

    /// The count of one connection.
    pub(crate) fn of(&self, member: usize) -> usize {
        self.counts.get(member).copied().unwrap_or(0)
    }

    /// The count of all connections.
    pub(crate) fn all(&self) -> usize {
        self.counts.iter().sum()
    }
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    // Most windows are ruled out by their first byte, which is cheaper than a comparison of slices.
    bytes.windows(what.len()).filter(|window| window[0] == what[0] && *window == what).count()
}

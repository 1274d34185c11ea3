//! The sources whose newest numbers a topic remembers, so that an update that is published again is recognized.

/// Maximum number of sources that a topic remembers.
pub(crate) const SOURCES_MAX: usize = 16;
/// What a remembered source costs in addition to its name: its entry and the name's allocation.
const SOURCE_BYTES: usize = std::mem::size_of::<(Box<str>, u64)>() + 16;

/// The sources of a topic, each with its last `source_seq`; the one that was used last comes last.
#[derive(Default)]
pub(crate) struct Sources(Vec<(Box<str>, u64)>);

impl Sources {
    /// What they hold, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|(name, _)| source_bytes(name)).sum()
    }

    /// What they would hold with this one remembered as well.
    pub(crate) fn bytes_with(&self, source: &str) -> u64 {
        let held = self.bytes();
        if self.0.iter().any(|(name, _)| **name == *source) {
            return held;
        }
        let oldest = self.0.first().filter(|_| self.0.len() == SOURCES_MAX);
        held + source_bytes(source) - oldest.map_or(0, |(name, _)| source_bytes(name))
    }

    /// The sources, the one that was used last comes last.
    pub(crate) fn all(&self) -> &[(Box<str>, u64)] {
        &self.0
    }

    /// Makes them from what [`Sources::all`] returned.
    pub(crate) fn restored(mut all: Vec<(Box<str>, u64)>) -> Self {
        all.truncate(SOURCES_MAX);
        Self(all)
    }

    /// Whether `source` has already published `source_seq` or a later one. Asking counts as a use of a source that is
    /// remembered.
    pub(crate) fn is_duplicate(&mut self, source: &str, source_seq: u64) -> bool {
        match self.0.iter().position(|(name, _)| **name == *source) {
            Some(at) => {
                let used = self.0.remove(at);
                let duplicate = source_seq <= used.1;
                self.0.push(used);
                duplicate
            }
            None => false,
        }
    }

    /// Remembers the last `source_seq` of `source`.
    pub(crate) fn remember(&mut self, source: &str, source_seq: u64) {
        match self.0.last_mut().filter(|(name, _)| **name == *source) {
            Some(last) => last.1 = source_seq,
            None => {
                if self.0.len() == SOURCES_MAX {
                    self.0.remove(0);
                }
                self.0.push((source.into(), source_seq));
            }
        }
    }
}

/// What remembering a source costs, in bytes.
pub(crate) fn source_bytes(source: &str) -> u64 {
    (source.len() + SOURCE_BYTES) as u64
}

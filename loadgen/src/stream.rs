//! One topic of one subscriber: is it whole? (`broker/docs/protocol.md`, "Continuity")
//!
//! Each takes 24 bytes, because there are many: the last number, and which of the 64 before it arrived.

use crate::protocol::After;

/// A topic of a subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) topic: u32,
    began: Began,
    /// The number up to which every update has arrived, or is known to be missing.
    last: u64,
    /// Bit `i` says that `last - i` was accounted for, which distinguishes a late update from a duplicate.
    seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Began {
    /// Not yet: whatever arrives first is its beginning.
    No,
    Yes,
}

/// The meaning of an update to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first of the stream, or the expected next one.
    Next,
    /// It stands for this many before it.
    Merged(u64),
    /// This many before it are missing, without an announcement.
    Lost(u64),
    /// It had arrived before.
    Twice,
    /// It arrives after a later one; it was counted as lost.
    Late,
}

impl Stream {
    /// Makes a stream that begins after `last`: 0 for the first update of a topic, `None` for any update.
    pub(crate) fn new(topic: u32, last: Option<u64>) -> Self {
        let began = if last.is_some() { Began::Yes } else { Began::No };
        Self { topic, began, last: last.unwrap_or_default(), seen: u64::MAX }
    }

    /// The number up to which everything was accounted for; `None` if nothing has arrived yet.
    pub(crate) fn last(&self) -> Option<u64> {
        (self.began == Began::Yes).then_some(self.last)
    }

    /// Takes in the announcement of a new start. Another epoch has its own numbers.
    pub(crate) fn begin(&mut self, after: After, other_epoch: bool) {
        match after {
            After::Seq(seq) => *self = Self::new(self.topic, Some(seq)),
            After::Anything => *self = Self::new(self.topic, None),
            After::Last if other_epoch => *self = Self::new(self.topic, None),
            After::Last => {}
        }
    }

    /// Takes in an update; `from` is given if it stands for several.
    pub(crate) fn update(&mut self, seq: u64, from: Option<u64>) -> Step {
        let from = from.unwrap_or(seq);
        if self.began == Began::No {
            *self = Self::new(self.topic, Some(seq));
            return Step::Next;
        }
        if seq <= self.last {
            let back = self.last - seq;
            let bit = 1u64.checked_shl(u32::try_from(back).unwrap_or(u32::MAX)).unwrap_or(0);
            // Further back than the bits reach: an update that arrives so late is a repetition.
            if bit == 0 || self.seen & bit != 0 {
                return Step::Twice;
            }
            self.seen |= bit;
            return Step::Late;
        }
        let missing = from.saturating_sub(self.last + 1);
        self.advance(seq, missing);
        match missing {
            0 if seq > from => Step::Merged(seq - from),
            0 => Step::Next,
            missing => Step::Lost(missing),
        }
    }

    /// Takes in an image, which stands for everything up to `seq`. Returns how many updates it stands for beside its
    /// own, or what is wrong with it; `None` if it is the beginning.
    pub(crate) fn image(&mut self, seq: u64) -> Option<Step> {
        if self.began == Began::No {
            *self = Self::new(self.topic, Some(seq));
            return None;
        }
        if seq <= self.last {
            // The same state again is a repetition; an older one goes back in time.
            return Some(if seq == self.last { Step::Twice } else { Step::Late });
        }
        let skipped = seq - self.last - 1;
        self.advance(seq, 0);
        Some(if skipped == 0 { Step::Next } else { Step::Merged(skipped) })
    }

    /// Takes in the announcement of a gap. Returns how many updates it names that had not been accounted for, and how
    /// many are missing before it.
    pub(crate) fn gap(&mut self, from: u64, to: u64) -> (u64, u64) {
        if self.began == Began::No {
            *self = Self::new(self.topic, Some(to));
            return (to.saturating_sub(from) + 1, 0);
        }
        if to <= self.last {
            return (0, 0);
        }
        let missing = from.saturating_sub(self.last + 1);
        let named = to - from.max(self.last + 1) + 1;
        self.advance(to, 0);
        (named, missing)
    }

    /// Advances to `seq`; of the updates in between, the first `missing` are missing.
    fn advance(&mut self, seq: u64, missing: u64) {
        let by = seq - self.last;
        let shifted = u32::try_from(by).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0);
        // Everything since `last` is accounted for except the missing updates, which follow it directly.
        let known = by - missing;
        let known = u32::try_from(known).ok().and_then(|known| 1u64.checked_shl(known)).map_or(u64::MAX, |bit| bit - 1);
        self.seen = shifted | known;
        self.last = seq;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Stream>(), 24);
    }

    #[test]
    fn numbers_in_any_order_are_judged_like_by_a_model_that_remembers_all() {
        for seed in 0..500 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut stream = Stream::new(0, Some(0));
            let (mut model, mut last) = (BTreeSet::new(), 0u64);
            for _ in 0..200 {
                // Near the last one, within reach of the bits.
                let seq = (last + random.random_range(0..6)).saturating_sub(random.random_range(0..40)).max(1);
                if seq + 63 < last {
                    continue;
                }
                let expected = match (seq > last, model.contains(&seq)) {
                    (true, _) if seq == last + 1 => Step::Next,
                    (true, _) => Step::Lost(seq - last - 1),
                    (false, true) => Step::Twice,
                    (false, false) => Step::Late,
                };
                assert_eq!(stream.update(seq, None), expected, "seed {seed}: {seq} after {last}");
                model.insert(seq);
                last = last.max(seq);
                assert_eq!(stream.last(), Some(last));
            }
        }
    }

    #[test]
    fn images_and_gaps_account_for_the_updates_they_stand_for() {
        let mut stream = Stream::new(0, None);
        assert_eq!((stream.last(), stream.image(10)), (None, None));
        assert_eq!(stream.update(11, None), Step::Next);
        assert_eq!(stream.image(15), Some(Step::Merged(3)));
        assert_eq!(stream.update(18, Some(16)), Step::Merged(2));
        assert_eq!(stream.gap(19, 30), (12, 0));
        assert_eq!(stream.gap(32, 40), (9, 1), "31 is missing before it");
        assert_eq!(stream.update(41, None), Step::Next);
        assert_eq!(stream.update(45, Some(43)), Step::Lost(1));
        assert_eq!(stream.image(44), Some(Step::Late));
        assert_eq!(stream.image(500), Some(Step::Merged(454)));
        assert_eq!(stream.update(499, None), Step::Twice);
    }

    #[test]
    fn streams_begin_where_announced() {
        let mut stream = Stream::new(0, Some(5));
        stream.begin(After::Last, false);
        assert_eq!(stream.update(6, None), Step::Next);
        stream.begin(After::Seq(100), false);
        assert_eq!(stream.update(101, None), Step::Next);
        stream.begin(After::Last, true);
        assert_eq!(stream.update(7, None), Step::Next, "a new epoch has its own numbers");
        stream.begin(After::Anything, false);
        assert_eq!(stream.image(90), None);
    }
}

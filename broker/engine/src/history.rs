//! The retained updates of one topic, oldest first, without holes.

use std::collections::VecDeque;

use broker_protocol::frame::Frame;

use crate::limits::Retain;

/// One retained update.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Its number among the updates of all topics: a stream over all topics resumes from it.
    pub ordinal: u64,
    /// When it was taken in, in microseconds of the monotonic clock: its age must not change when the wall clock is
    /// set.
    pub taken_us: u64,
    /// The frame that its subscribers got.
    pub frame: Frame,
    /// Bytes of frames published on the topic up to and including this one.
    end_bytes: u64,
}

/// Bytes that a kept update costs in addition to its frame.
pub(crate) const KEPT_BYTES: u64 = (std::mem::size_of::<Kept>() + 32) as u64;

/// The retained updates `oldest..=newest` of a topic.
#[derive(Debug)]
pub(crate) struct History {
    kept: VecDeque<Kept>,
    newest: u64,
    end_bytes: u64,
    bytes: u64,
    /// The ordinal of the newest update that is no longer retained; 0 if all are.
    dropped_ordinal: u64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { kept: VecDeque::new(), newest: 0, end_bytes: 0, bytes: 0, dropped_ordinal: 0 }
    }

    /// The newest `seq` ever pushed.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The oldest retained `seq`; one above the newest if none is.
    pub(crate) fn oldest(&self) -> u64 {
        self.newest + 1 - self.kept.len() as u64
    }

    /// Bytes that the history holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the frames from `seq` on; `None` if not all of them are retained.
    pub(crate) fn bytes_from(&self, seq: u64) -> Option<u64> {
        if seq < self.oldest() {
            return None;
        }
        let Some(first) = self.get(seq) else { return Some(0) };
        Some(self.end_bytes - (first.end_bytes - first.frame.len() as u64))
    }

    /// The retained update `seq`.
    pub(crate) fn get(&self, seq: u64) -> Option<&Kept> {
        seq.checked_sub(self.oldest()).and_then(|index| self.kept.get(index as usize))
    }

    /// Retained updates from `seq` on.
    pub(crate) fn since(&self, seq: u64) -> impl Iterator<Item = &Kept> {
        let skip = seq.saturating_sub(self.oldest()).min(self.kept.len() as u64);
        self.kept.range(skip as usize..)
    }

    /// The `seq` of the last update up to this ordinal, 0 if all came later; `None` if that is no longer known.
    pub(crate) fn seq_at(&self, ordinal: u64) -> Option<u64> {
        let index = self.kept.partition_point(|kept| kept.ordinal <= ordinal) as u64;
        (index > 0 || self.dropped_ordinal <= ordinal).then(|| self.oldest() + index - 1)
    }

    /// Keeps an update that was taken in at `taken_us` on the monotonic clock.
    pub(crate) fn push(&mut self, ordinal: u64, taken_us: u64, frame: Frame) {
        self.newest += 1;
        self.end_bytes += frame.len() as u64;
        self.bytes += frame.len() as u64 + KEPT_BYTES;
        self.kept.push_back(Kept { ordinal, taken_us, frame, end_bytes: self.end_bytes });
    }

    /// Makes a history whose newest update will be `newest`, once the `kept` ones are pushed. `dropped_ordinal` is that of
    /// the newest that is no longer retained.
    pub(crate) fn restored(newest: u64, kept: u64, dropped_ordinal: u64) -> Self {
        Self { newest: newest - kept, dropped_ordinal, ..Self::new() }
    }

    /// The ordinal of the newest update that is no longer retained; 0 if all are.
    pub(crate) fn dropped_ordinal(&self) -> u64 {
        self.dropped_ordinal
    }

    /// Drops what the rule no longer retains at `now_us` on the monotonic clock.
    pub(crate) fn trim(&mut self, retain: &Retain, now_us: u64) {
        self.trim_some(retain, now_us, usize::MAX);
    }

    /// Does the same for at most `count` updates. Returns whether that was all.
    pub(crate) fn trim_some(&mut self, retain: &Retain, now_us: u64, mut count: usize) -> bool {
        // Nothing is older than 0.
        let dead = if retain.ms > 0 { now_us.saturating_sub(retain.ms.saturating_mul(1000)) } else { 0 };
        while self.kept.len() as u64 > retain.updates
            || (self.bytes > retain.bytes && self.kept.len() > 1)
            || self.kept.front().is_some_and(|kept| kept.taken_us < dead)
        {
            if count == 0 {
                return false;
            }
            count -= 1;
            self.drop_oldest();
        }
        if self.kept.capacity() > 64 && self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
        true
    }

    /// Drops the oldest half; called when all histories together are too large.
    pub(crate) fn drop_half(&mut self) {
        for _ in 0..self.kept.len().div_ceil(2) {
            self.drop_oldest();
        }
        self.kept.shrink_to_fit();
    }

    /// Drops all updates. The newest `seq` stays what it was.
    pub(crate) fn clear(&mut self) {
        while !self.kept.is_empty() {
            self.drop_oldest();
        }
        self.kept = VecDeque::new();
    }

    fn drop_oldest(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.bytes -= kept.frame.len() as u64 + KEPT_BYTES;
            self.dropped_ordinal = kept.ordinal;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_a_plain_list() {
        let retain = Retain { updates: 5, bytes: 3 * KEPT_BYTES + 300, ms: 10 };
        let mut history = History::new();
        let mut model: Vec<(u64, u64, usize)> = Vec::new();
        let mut dropped = 0;
        for seq in 1..=200u64 {
            let size = (seq * 37 % 150) as usize;
            let ts = seq * 2_500;
            let frame = Frame::text(&vec![b'x'; size]);
            let len = frame.len();
            history.push(3 * seq, ts, frame);
            history.trim(&retain, ts);
            model.push((seq, ts, len));
            while model.len() > 5
                || (model.len() > 1 && model.iter().map(|m| m.2 as u64 + KEPT_BYTES).sum::<u64>() > retain.bytes)
            {
                model.remove(0);
            }
            model.retain(|m| m.1 + 10_000 >= ts);
            dropped = dropped.max(model.first().map_or(seq, |m| m.0 - 1));
            for ordinal in 0..=3 * seq + 1 {
                let expected = (ordinal >= 3 * dropped).then_some((ordinal / 3).min(seq));
                assert_eq!(history.seq_at(ordinal), expected, "seq {seq}, ordinal {ordinal}");
            }
            assert_eq!(history.oldest(), model.first().map_or(seq + 1, |m| m.0));
            assert_eq!(history.newest(), seq);
            for from in history.oldest().saturating_sub(2)..=seq + 1 {
                let expected = (from >= history.oldest())
                    .then(|| model.iter().filter(|m| m.0 >= from).map(|m| m.2 as u64).sum::<u64>());
                assert_eq!(history.bytes_from(from), expected, "seq {seq} from {from}");
            }
        }
    }
}

//! Whether a log is the one that a broker has read, and what of it may be cut off. A log that lost its end, or was replaced
//! by an older copy, gives its positions to other records: whoever went on reading would have other data under the same
//! epochs and `seq`. And one that is cut too far cannot be read again.
//!
//! A log has no holes: its records have the positions from `first` to before `next`.

use std::hash::Hasher as _;

use fnv::FnvHasher;

use crate::fault::{self, Fault};

/// A record as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// The broker that wrote it.
    pub node: &'a str,
    /// Its position in the log.
    pub position: u64,
    /// When the log took it in, in µs since the UNIX epoch: the time of its updates.
    pub ts_us: u64,
    /// The record.
    pub bytes: &'a [u8],
}

/// A record by which a log is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its position.
    pub position: u64,
    /// When the log took it in, in µs since the UNIX epoch.
    pub ts_us: u64,
    /// FNV-1a of its bytes, 64 bits. It finds other records, not forged ones.
    pub check: u64,
}

impl Seen {
    /// Notes a record.
    pub fn of(logged: &Logged<'_>) -> Seen {
        let mut hasher = FnvHasher::default();
        hasher.write(logged.bytes);
        Seen { position: logged.position, ts_us: logged.ts_us, check: hasher.finish() }
    }
}

/// The records that a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The position of the first.
    pub first: u64,
    /// The position behind the last; if it is `first`, there are none.
    pub next: u64,
}

/// What a log is to a broker that has read some of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The same: reading goes on.
    GoesOn,
    /// Perhaps the same, but the last record that was read is cut off, or more: the broker begins again from a checkpoint.
    CutBeyond,
    /// Another one, or it lost its end: all brokers need a new generation, and none may go on.
    WentBack,
}

/// Decides whether a log goes on from the last record that a broker has read. `found` is what the log has at its position,
/// if it has anything there.
///
/// To be asked whenever the log may have changed unseen: at the start, and after each loss of the connection to it.
pub fn fit(read: Seen, log: Extent, found: Option<Seen>) -> Fit {
    if log.next <= read.position {
        return Fit::WentBack;
    }
    if log.first > read.position {
        return if fault::planted(Fault::HoleAccepted) { Fit::GoesOn } else { Fit::CutBeyond };
    }
    if found == Some(read) { Fit::GoesOn } else { Fit::WentBack }
}

/// Whether a checkpoint is of this log, and can be continued: the log has both the record behind which it is to be read
/// again, and the last one that was applied when the checkpoint was complete. `found` is what the log has at their
/// positions.
///
/// One that cannot must not count any more, neither for [`cut_before`] nor for a start.
pub fn continues(begin: Seen, end: Seen, log: Extent, found: [Option<Seen>; 2]) -> bool {
    [(begin, found[0]), (end, found[1])].into_iter().all(|(read, found)| fit(read, log, found) == Fit::GoesOn)
}

/// Returns the position before which a log may be cut off, if there is one: the record behind which the older of the two
/// newest checkpoints is continued, which stays: the newest may turn out to be damaged. `begins` are those records of all
/// checkpoints that are complete and continue this log, in any order.
pub fn cut_before(begins: &[u64]) -> Option<u64> {
    let newest = begins.iter().max()?;
    let older = begins.iter().filter(|begin| *begin < newest).max()?;
    Some(if fault::planted(Fault::CutTooFar) { *newest } else { *older })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(position: u64, bytes: &[u8]) -> Seen {
        Seen::of(&Logged { node: "n", position, ts_us: position * 10, bytes })
    }

    #[test]
    fn a_log_goes_on_only_from_the_record_that_was_read() {
        let read = seen(7, b"seven");
        let fit = |first, next, found| fit(read, Extent { first, next }, found);
        assert_eq!(fit(0, 8, Some(read)), Fit::GoesOn);
        assert_eq!(fit(7, 100, Some(read)), Fit::GoesOn);
        assert_eq!(fit(8, 100, None), Fit::CutBeyond);
        assert_eq!(fit(0, 7, None), Fit::WentBack);
        assert_eq!(fit(0, 0, None), Fit::WentBack);
        assert_eq!(fit(0, 9, None), Fit::WentBack, "a hole");
        assert_eq!(fit(0, 9, Some(seen(7, b"other"))), Fit::WentBack);
        assert_eq!(fit(0, 9, Some(Seen { ts_us: 71, ..read })), Fit::WentBack);
    }

    #[test]
    fn a_checkpoint_needs_both_of_its_records() {
        let (begin, end) = (seen(7, b"seven"), seen(9, b"nine"));
        let fits = |first, next, found| continues(begin, end, Extent { first, next }, found);
        assert!(fits(7, 10, [Some(begin), Some(end)]));
        assert!(!fits(8, 10, [None, Some(end)]));
        assert!(!fits(0, 9, [Some(begin), None]));
        assert!(!fits(0, 10, [Some(begin), Some(seen(9, b"other"))]));
    }

    #[test]
    fn what_the_two_newest_checkpoints_need_stays() {
        assert_eq!((cut_before(&[]), cut_before(&[7, 7])), (None, None));
        assert_eq!((cut_before(&[9, 7]), cut_before(&[3, 7, 9])), (Some(7), Some(7)));
    }
}

//! Whether the log is still the one that was read. It may have gone back: servers lost their power before they had synced,
//! or somebody restored a copy. Then what clients have under an epoch and a `seq` might come to be something else, so
//! everything begins anew.

use async_nats::jetstream::stream::Stream;
use broker_engine::log::{Extent, Fit, Seen, fit};

use super::error::NatsError;
use super::reader::Read;
use super::stream::{at, extent, info};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the same, and goes on.
    Same {
        /// Its last position.
        last: u64,
    },
    /// What is read next is no longer there, or may be not: this broker was away for long, or is slow.
    CutBeyond,
    /// It is another one, or has lost what was read.
    WentBack(String),
}

/// Looks whether the log has what was read last.
///
/// # Errors
/// Nobody answers: it is not known.
pub(super) async fn look(stream: &Stream, read: Option<&Read>) -> Result<Verdict, NatsError> {
    let found = info(stream).await?;
    if found.created != stream.cached_info().created {
        return Ok(Verdict::WentBack(format!("the stream was made anew, at {}", found.created)));
    }
    let (extent, read) = (extent(&found), read.map(Read::seen));
    let there = match read {
        Some(read) if (extent.first..extent.next).contains(&read.position) => at(stream, read.position).await?,
        _ => None,
    };
    Ok(judge(read, extent, there))
}

/// `there` is what the log has at the position that was read last, if it has anything there.
fn judge(read: Option<Seen>, log: Extent, there: Option<Seen>) -> Verdict {
    let last = log.next - 1;
    let Some(read) = read else {
        // Who has read nothing begins with the first position.
        return if log.first > 1 { Verdict::CutBeyond } else { Verdict::Same { last } };
    };
    match fit(read, log, there) {
        Fit::GoesOn => Verdict::Same { last },
        Fit::CutBeyond => Verdict::CutBeyond,
        Fit::WentBack if last < read.position => {
            Verdict::WentBack(format!("it ends with {last}, and {} was read", read.position))
        }
        Fit::WentBack => Verdict::WentBack(format!("record {} is another one", read.position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_cut_off_behind_what_was_read_is_noticed_by_who_has_read_nothing_too() {
        let seen = |position| Some(Seen { position, ts_us: 7, check: position });
        let log = |first, next| Extent { first, next };
        assert_eq!(judge(None, log(0, 1), None), Verdict::Same { last: 0 });
        assert_eq!(judge(None, log(1, 9), None), Verdict::Same { last: 8 });
        assert_eq!(judge(None, log(5, 9), None), Verdict::CutBeyond);
        assert_eq!(judge(seen(4), log(5, 9), None), Verdict::CutBeyond);
        assert_eq!(judge(seen(5), log(5, 9), seen(5)), Verdict::Same { last: 8 });
        assert!(matches!(judge(seen(5), log(5, 9), seen(6)), Verdict::WentBack(_)));
        assert!(matches!(judge(seen(9), log(5, 9), None), Verdict::WentBack(_)));
    }
}

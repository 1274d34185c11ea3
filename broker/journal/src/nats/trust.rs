//! Whether the log is still the one that was read. It may have gone back: servers lost their power before they had synced,
//! or somebody restored a copy. Then what clients have under an epoch and a `seq` might come to be something else, so
//! everything begins anew.

use async_nats::jetstream::stream::Stream;
use broker_engine::log::{Fit, fit};

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
    let (extent, last) = (extent(&found), found.state.last_sequence);
    let Some(read) = read.map(Read::seen) else { return Ok(Verdict::Same { last }) };
    let there =
        if (extent.first..extent.next).contains(&read.position) { at(stream, read.position).await? } else { None };
    Ok(match fit(read, extent, there) {
        Fit::GoesOn => Verdict::Same { last },
        Fit::CutBeyond => Verdict::CutBeyond,
        Fit::WentBack if last < read.position => {
            Verdict::WentBack(format!("it ends with {last}, and {} was read", read.position))
        }
        Fit::WentBack => Verdict::WentBack(format!("record {} is another one", read.position)),
    })
}

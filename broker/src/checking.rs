//! Checks tokens on a thread of its own, so that no shard stops for it: a signature takes up to a tenth of a
//! millisecond, and anybody may send wrong ones.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::Receiver;

use crate::authentication::Authentication;
use crate::shard::{Command, Handle, Unchecked};
use crate::vital;

/// Starts the thread, which checks tokens with the keys that are there until no shard can send any more.
///
/// # Errors
/// The system has no further thread for it.
pub(crate) fn start(
    unchecked: Receiver<Unchecked>,
    authentication: Arc<Authentication>,
    shards: Arc<Vec<Handle>>,
    ending: Arc<AtomicBool>,
) -> io::Result<()> {
    let run = move |()| {
        for one in unchecked {
            let as_of = authentication.as_of();
            let result = authentication.check_now(one.token());
            if let Some(shard) = shards.get(one.shard) {
                shard.tell(Command::Verified(one.verified(as_of, result)));
            }
        }
    };
    vital::thread("tokens".to_owned(), ending, || Ok(()), run).map(drop)
}

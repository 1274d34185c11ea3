//! How long the broker waits for a client that takes nothing.
//!
//! A slow reader's kernel may take more at once than the reader reads in `stall_ms`: with a reader of 2,000 bytes a
//! second, Linux's usual receive buffer opened its window every 60 to 75 s, by some 130 KB. Until then the only
//! difference from a client that reads nothing is that the kernel answers. So a client whose kernel answers gets twice
//! the time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

use crate::sock_diag::{Progress, progress};

/// A client whose kernel answers is given up when its window has not opened for this many times `stall_ms`.
const ANSWERING_STALLS: u32 = 2;
/// The kernel gives up a connection this much later than `stall_ms`.
const KERNEL_BEYOND: Duration = Duration::from_secs(3);
/// The kernel gives up a connection whose client has proved to answer after this many times `stall_ms`. It counts from
/// the time at which the window closed, and does not notice a window that opens by less than the next segment. So this
/// is more than the broker waits.
const KERNEL_STALLS: u32 = 5;

/// The TCP user timeout (RFC 5482): after this time the kernel gives up a client that acknowledges nothing, or whose
/// window does not open. Without it, the kernel would go on for a quarter of an hour, or for ever.
pub(crate) fn kernel_patience(stall: Duration) -> Duration {
    stall + KERNEL_BEYOND
}

/// Keeps the kernel from giving up a WebSocket client: pings find out whether it is there, and the broker itself
/// watches its window.
pub(crate) fn never_by_kernel<S: AsFd>(stream: &S) {
    set_user_timeout(stream, None);
}

/// Makes the kernel wait longer, for a client that answers.
pub(crate) fn later_by_kernel<S: AsFd>(stream: &S, stall: Duration) {
    set_user_timeout(stream, Some(stall * KERNEL_STALLS));
}

fn set_user_timeout<S: AsFd>(stream: &S, patience: Option<Duration>) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(patience) {
        tracing::debug!(%error, "a socket option was refused");
    }
}

/// Returns how much longer to wait for a client whose socket took nothing for `stall`: from zero to another `stall`.
pub(crate) fn more_patience(local: io::Result<SocketAddr>, peer: io::Result<SocketAddr>, stall: Duration) -> Duration {
    // A socket that has no peer any more is not worth a question.
    let (Ok(local), Ok(peer)) = (local, peer) else { return Duration::ZERO };
    match progress(local, peer) {
        Ok(progress) => judge(progress, stall),
        // The connection has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Duration::ZERO,
        Err(error) => {
            tracing::warn!(
                %error,
                "the kernel does not report which slow clients read (sock_diag over netlink): a client whose socket takes \
                 no byte for stall_ms is closed"
            );
            Duration::ZERO
        }
    }
}

fn judge(Progress { sent, acknowledged }: Progress, stall: Duration) -> Duration {
    if acknowledged >= stall {
        return Duration::ZERO;
    }
    (stall * ANSWERING_STALLS).saturating_sub(sent).min(stall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_answers_has_two_stalls_since_its_window_last_opened() {
        let stall = Duration::from_secs(60);
        for (sent, acknowledged, more) in
            [(0, 0, 60), (59, 59, 60), (60, 59, 60), (61, 59, 59), (119, 1, 1), (120, 1, 0), (500, 1, 0)]
        {
            let progress =
                Progress { sent: Duration::from_secs(sent), acknowledged: Duration::from_secs(acknowledged) };
            assert_eq!(judge(progress, stall), Duration::from_secs(more), "{progress:?}");
        }
    }

    #[test]
    fn a_client_that_does_not_answer_has_none_however_often_data_is_sent() {
        let stall = Duration::from_secs(60);
        for (sent, acknowledged) in [(0, 60), (1, 61), (60, 200)] {
            let progress =
                Progress { sent: Duration::from_secs(sent), acknowledged: Duration::from_secs(acknowledged) };
            assert_eq!(judge(progress, stall), Duration::ZERO, "{progress:?}");
        }
    }
}

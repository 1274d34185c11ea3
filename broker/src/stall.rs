//! How long a client is waited for that takes nothing.
//!
//! What a slow reader's kernel takes at once can be more than the reader reads in `stall_ms`: of 2,000 bytes a second
//! Linux's usual receive buffer opened its window every 60 to 75 s, by some 130 KB. Until then nothing tells it from one
//! that reads nothing, but that its kernel answers. So that gets twice the time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

use crate::sock_diag::{Progress, progress};

/// A client whose kernel answers is given up when its window has not opened for so many times `stall_ms`.
const ANSWERING_STALLS: u32 = 2;
/// Beyond `stall_ms`: what the kernel waits for before it gives up a connection.
const KERNEL_BEYOND: Duration = Duration::from_secs(3);
/// What it waits for, in times of `stall_ms`, where the client has proved to answer. It counts from when the window closed, and
/// does not notice one that opens by less than the next segment. So this is more than we wait for.
const KERNEL_STALLS: u32 = 5;

/// RFC 5482: after so long the kernel gives up a client that acknowledges nothing, or whose window does not open. By itself
/// it would go on for a quarter of an hour, or for ever.
pub(crate) fn kernel_patience(stall: Duration) -> Duration {
    stall + KERNEL_BEYOND
}

/// The kernel gives up no client of a WebSocket: pings find out whether it is there, and its window is our own concern.
pub(crate) fn never_by_kernel<S: AsFd>(stream: &S) {
    set_user_timeout(stream, None);
}

/// The kernel waits longer for a client that answers.
pub(crate) fn later_by_kernel<S: AsFd>(stream: &S, stall: Duration) {
    set_user_timeout(stream, Some(stall * KERNEL_STALLS));
}

fn set_user_timeout<S: AsFd>(stream: &S, patience: Option<Duration>) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(patience) {
        tracing::debug!(%error, "a socket option was refused");
    }
}

/// For how much longer to wait for a client whose socket took nothing for `stall`: not at all, or for another at most.
pub(crate) fn more_patience(local: io::Result<SocketAddr>, peer: io::Result<SocketAddr>, stall: Duration) -> Duration {
    // A socket that has no peer any more does not have to be asked about.
    let (Ok(local), Ok(peer)) = (local, peer) else { return Duration::ZERO };
    match progress(local, peer) {
        Ok(progress) => judge(progress, stall),
        // The connection is gone since it was decided to ask.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Duration::ZERO,
        Err(error) => {
            tracing::warn!(
                %error,
                "the kernel does not say which slow clients read (sock_diag over netlink): whoever's socket takes \
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
    fn who_answers_has_two_stalls_from_when_its_window_opened_last() {
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
    fn who_does_not_answer_has_none_however_often_it_is_sent_to() {
        let stall = Duration::from_secs(60);
        for (sent, acknowledged) in [(0, 60), (1, 61), (60, 200)] {
            let progress =
                Progress { sent: Duration::from_secs(sent), acknowledged: Duration::from_secs(acknowledged) };
            assert_eq!(judge(progress, stall), Duration::ZERO, "{progress:?}");
        }
    }
}

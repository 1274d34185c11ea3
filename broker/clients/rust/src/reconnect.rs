//! Whether another connection follows the end of one, according to the protocol's table of close codes, and how soon.

use std::time::Duration;

use broker_protocol::CloseReason;

use crate::backoff::Backoff;
use crate::error::ConnectError;

/// What follows the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt after the usual backoff.
    Soon,
    /// Another attempt, but only after the longest backoff: the broker is overloaded.
    Later,
    /// One attempt with another token, if there is one to ask for; else none.
    WithAnotherToken,
    /// No attempt: it would end the same way.
    Never,
}

/// What follows a close code; `None` means that the connection ended without one.
pub(crate) fn after(code: Option<u16>) -> Next {
    let Some(code) = code else { return Next::Soon };
    match CloseReason::ALL.iter().find(|reason| reason.code() == code) {
        Some(CloseReason::Normal | CloseReason::GoingAway) => Next::Soon,
        Some(CloseReason::Internal | CloseReason::Slow | CloseReason::NoSignOfLife) => Next::Soon,
        Some(CloseReason::LimitExceeded) => Next::Later,
        Some(
            CloseReason::ProtocolError
            | CloseReason::UnsupportedData
            | CloseReason::InvalidUtf8
            | CloseReason::TooBig
            | CloseReason::Forbidden,
        ) => Next::Never,
        Some(CloseReason::Unauthenticated) => Next::WithAnotherToken,
        // From a proxy (1012, 1013, 1014), or of a later version of the protocol: users expect a reconnect.
        None => Next::Soon,
    }
}

/// The HTTP status that refuses a handshake without a valid token.
const UNAUTHORIZED: u16 = 401;

/// Whether the broker refused an attempt because of its token.
pub(crate) fn is_about_token(error: &ConnectError) -> bool {
    match error {
        ConnectError::Refused { status, .. } => *status == UNAUTHORIZED,
        ConnectError::Closed { code, .. } => *code == CloseReason::Unauthenticated.code(),
        _ => false,
    }
}

/// The refusals of tokens in a row. A refused token is asked for once more, at once; there is no third attempt, so that
/// neither the broker nor whoever issues the tokens is asked in a loop.
#[derive(Debug, Default)]
pub(crate) struct Refusals(u32);

/// A connection that was authenticated and then refused before this time is replaced only after the usual wait.
const BRIEF: Duration = Duration::from_secs(5);

impl Refusals {
    /// Records that the broker accepted the token of a connection.
    pub(crate) fn accepted(&mut self) {
        self.0 = 0;
    }

    /// Records a refusal. Returns whether another attempt follows.
    pub(crate) fn refused(&mut self) -> bool {
        self.0 += 1;
        self.0 < 2
    }

    /// Whether the attempt after a refusal is made at once: unless the connection had been authenticated and was brief.
    pub(crate) fn is_at_once(accepted: bool, lifetime: Duration) -> bool {
        !accepted || lifetime >= BRIEF
    }
}

/// The count of attempts that the waits between connections grow with.
///
/// A connection on which everything was restored shows that the broker is well. The next wait is short, because a feed
/// should be back at once after a rolling restart. But a broker that accepts connections and loses them must not be
/// asked ever faster. So each of several short connections in a row doubles the wait, as failed attempts do.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Attempts since the broker was last well.
    failed: u32,
    /// Connections in a row on which everything was restored and that did not last.
    brief: u32,
}

impl Attempts {
    /// Records that a connection ended: whether everything was restored on it, and how long it existed.
    /// Returns whether it lasted.
    pub(crate) fn ended(&mut self, restored: bool, lifetime: Duration, backoff: &Backoff) -> bool {
        let lasted = lifetime >= Duration::from_millis(backoff.max_ms);
        if restored || lasted {
            self.failed = 0;
        }
        match (lasted, restored) {
            (true, _) => self.brief = 0,
            (false, true) => self.brief = self.brief.saturating_add(1),
            (false, false) => {}
        }
        lasted
    }

    /// Records that an attempt begins.
    pub(crate) fn begun(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// The number of the next attempt, for [`Backoff::delay_ms`].
    pub(crate) fn next(&self) -> u32 {
        self.failed.saturating_add(self.brief.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_restart_is_no_reason_to_wait_but_a_crash_loop_is() {
        let backoff = Backoff { first_ms: 100, max_ms: 10_000, jitter: 0.0 };
        let wait_ms = |attempts: &Attempts| backoff.delay_ms(attempts.next(), 0.0);
        let mut attempts = Attempts::default();
        // The broker was away for a while, came back, and goes away again after three seconds.
        (0..6).for_each(|_| attempts.begun());
        assert_eq!(wait_ms(&attempts), 6_400);
        attempts.ended(true, Duration::from_secs(3), &backoff);
        assert_eq!(wait_ms(&attempts), 100);
        // The broker accepts every connection, restores everything, and loses the connection.
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                attempts.begun();
                attempts.ended(true, Duration::from_millis(10), &backoff);
                wait_ms(&attempts)
            })
            .collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
        // One connection that lasts is enough.
        attempts.begun();
        attempts.ended(true, Duration::from_secs(10), &backoff);
        assert_eq!(wait_ms(&attempts), 100);
        // A handshake alone proves nothing.
        attempts.begun();
        attempts.ended(false, Duration::from_millis(10), &backoff);
        attempts.begun();
        assert_eq!(wait_ms(&attempts), 400);
    }

    #[test]
    fn the_protocols_table() {
        let table = [
            (&[1000, 1001, 1011, 4008, 4009][..], Next::Soon),
            (&[1002, 1003, 1007, 1009, 4003], Next::Never),
            (&[4001], Next::WithAnotherToken),
            (&[4029], Next::Later),
            (&[1005, 1006, 1012, 1013, 3000, 4999], Next::Soon),
        ];
        for (codes, expected) in table {
            for code in codes {
                assert_eq!(after(Some(*code)), expected, "{code}");
            }
        }
        assert_eq!(after(None), Next::Soon);
        let decided: usize = table[..4].iter().map(|(codes, _)| codes.len()).sum();
        assert_eq!(decided, CloseReason::ALL.len(), "every code of the catalogue is in the table");
    }
}

//! Which ends of a connection are followed by another, as the protocol's table of close codes says.

use broker_protocol::CloseReason;

/// What follows the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt after the usual backoff.
    Soon,
    /// Another attempt, but not before the longest backoff: the broker has too much to do.
    Later,
    /// Nothing: the same client would end the same way.
    Never,
}

/// Of a close code; `None` where the connection ended without one.
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
        // "With a new token": this client has none to offer yet.
        Some(CloseReason::Unauthenticated) => Next::Never,
        // Of a proxy (1012, 1013, 1014), or of a later version: coming back is what a user expects.
        None => Next::Soon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_table() {
        let table = [
            (&[1000, 1001, 1011, 4008, 4009][..], Next::Soon),
            (&[1002, 1003, 1007, 1009, 4001, 4003], Next::Never),
            (&[4029], Next::Later),
            (&[1005, 1006, 1012, 1013, 3000, 4999], Next::Soon),
        ];
        for (codes, expected) in table {
            for code in codes {
                assert_eq!(after(Some(*code)), expected, "{code}");
            }
        }
        assert_eq!(after(None), Next::Soon);
        let decided: usize = table[..3].iter().map(|(codes, _)| codes.len()).sum();
        assert_eq!(decided, CloseReason::ALL.len(), "every code of the catalogue is in the table");
    }
}

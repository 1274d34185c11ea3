//! Where a connection's bytes go: a socket in the server, a simulated network in the tests.

use std::sync::Arc;

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// This many bytes were taken, possibly fewer than were offered. Zero is the same as `Full`.
    Bytes(usize),
    /// Nothing fits now; the driver of the shard calls `Shard::writable` when something does.
    Full,
    /// The peer is gone; nothing will ever be taken.
    Gone,
}

/// How a transport other than WebSocket marks messages. The engine writes each message with these marks instead of a
/// frame's head.
pub struct Encoding {
    /// Written before a message.
    pub before: &'static [u8],
    /// Written after a message.
    pub after: &'static [u8],
    /// Written in place of a heartbeat.
    pub heartbeat: &'static [u8],
    /// Appends what replaces a close frame with this code (0 for none) and this reason.
    pub close: fn(&mut Vec<u8>, code: u16, reason: &str),
}

impl Encoding {
    /// Appends a whole message.
    pub(crate) fn push(&self, out: &mut Vec<u8>, message: &[u8]) {
        out.extend_from_slice(self.before);
        out.extend_from_slice(message);
        out.extend_from_slice(self.after);
    }
}

/// Who is at the other end of a connection, as an operator is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whom its token or certificate names, if it has one.
    pub sub: Option<Arc<str>>,
    /// Its IPv6 address; an IPv4 address is mapped into IPv6. The engine only passes it on.
    pub address: [u8; 16],
}

/// The outgoing side of one connection.
pub trait Sink {
    /// Takes as many leading bytes as fit without waiting. A sink with an encoding takes all of them or none.
    fn write(&mut self, bytes: &[u8]) -> Wrote;

    /// Returns how messages are written to it; `None` for WebSocket frames. A transport with an encoding has no pings,
    /// and gets its position at the end of a turn.
    fn encoding(&self) -> Option<&'static Encoding> {
        None
    }

    /// Returns whether it may hold bytes of the output that count as written: then they count against the budget of
    /// buffers, and [`crate::Shard::took`] tells when the peer takes some of them.
    fn holds_output(&self) -> bool {
        self.encoding().is_some()
    }

    /// Returns who is at the other end.
    fn origin(&self) -> Origin {
        Origin::default()
    }

    /// Ends the output: no more bytes will be written. The peer may be notified (a socket shuts down its sending side).
    fn finish(&mut self);

    /// Ends a turn: a sink that holds bytes back sends them now. If the connection is in step and its sink has an
    /// encoding, `position` is the ordinal up to which the peer has every update that it is subscribed to.
    fn end_turn(&mut self, _position: Option<u64>) {}

    /// Returns the bytes that it holds, of input and of output.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Ends the input: nothing more is read from the peer, and the input that the sink holds is dropped.
    fn stop_listening(&mut self) {}

    /// Returns how many more milliseconds to wait for a peer that took nothing for `stall_ms`; 0 gives it up. The
    /// implementor may know that the peer is reading nevertheless: a kernel takes bytes in large steps, while a slow
    /// reader makes room in small ones.
    fn more_patience_ms(&self, _stall_ms: u32) -> u32 {
        0
    }
}

//! Where a connection's bytes go: a socket in the server, a simulated network in the tests.

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

/// The outgoing side of one connection.
pub trait Sink {
    /// Takes as many leading bytes of `bytes` as fit without waiting.
    fn write(&mut self, bytes: &[u8]) -> Wrote;

    /// No more bytes will be written: the peer may be notified (a socket shuts down its sending side).
    fn finish(&mut self);

    /// The turn's writes are done: a sink that holds bytes back sends them now. `position` is the id up to which the
    /// peer has everything that it follows, if it is in step; see [`Sink::follows_order`].
    fn end_turn(&mut self, _position: Option<u64>) {}

    /// Bytes that it holds of what was read or is still to be written.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Nothing more is read from the peer: what it holds of what was read is dropped.
    fn stop_listening(&mut self) {}

    /// Whether it wants the position in [`Sink::end_turn`].
    fn follows_order(&self) -> bool {
        false
    }

    /// For how many more milliseconds to wait for a peer that took nothing for `stall_ms`; 0 gives it up. The
    /// implementor may know that the peer is reading nevertheless: a kernel takes bytes in large steps, while a slow
    /// reader makes room in small ones.
    fn more_patience_ms(&self, _stall_ms: u32) -> u32 {
        0
    }

    /// Whether the peer can answer a ping.
    fn answers_pings(&self) -> bool {
        true
    }
}

//! Where a connection's bytes go: a socket in the server, a simulated network in the tests.

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// This many bytes were taken, maybe fewer than were offered. Zero is `Full`.
    Bytes(usize),
    /// Nothing fits now; whoever drives the shard calls `Shard::writable` when something does.
    Full,
    /// The peer is gone; nothing will ever fit.
    Gone,
}

/// One connection's way out.
pub trait Sink {
    /// Takes as many leading bytes of `bytes` as fit without waiting.
    fn write(&mut self, bytes: &[u8]) -> Wrote;

    /// No more bytes will be written: the peer may be told (a socket shuts down its sending side).
    fn finish(&mut self);

    /// The turn's writes are over: a carrier that holds bytes back sends them now. `position` is the id of the place in the
    /// broker's order up to which the peer has everything that it follows, where it is in step; see
    /// [`Sink::follows_order`].
    fn end_turn(&mut self, _position: Option<u64>) {}

    /// Bytes that it holds of what was read or is to be written.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Nothing more is listened to: what it holds of what was read goes.
    fn stop_listening(&mut self) {}

    /// Whether it wants to know that place.
    fn follows_order(&self) -> bool {
        false
    }

    /// For how many milliseconds more to wait for a peer of which nothing was taken for `stall_ms`; 0 to give it up. A
    /// carrier may know that the peer takes something all the same: a kernel takes bytes in large steps, while a slow reader
    /// makes room in small ones.
    fn more_patience_ms(&self, _stall_ms: u32) -> u32 {
        0
    }

    /// Whether the peer can answer a ping.
    fn answers_pings(&self) -> bool {
        true
    }
}

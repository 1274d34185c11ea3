//! Time is an argument: the engine never asks for it.

/// A moment, as whoever drives the engine read it from both clocks of the machine (or made it up, in a simulation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds of a clock that never goes back; only differences mean something.
    pub mono_us: u64,
    /// Microseconds since the UNIX epoch: the `ts` of the protocol.
    pub wall_us: u64,
}

impl Now {
    /// Milliseconds of the monotonic clock, cut to 32 bits: 49 days, compared by wrapping difference.
    pub(crate) fn mono_ms(self) -> u32 {
        (self.mono_us / 1000) as u32
    }
}

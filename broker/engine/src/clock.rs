//! Time is an argument: the engine never reads a clock.

/// A moment, as read from both clocks of the machine by the driver of the engine (or invented, in a simulation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds of a clock that never goes back; only differences are meaningful.
    pub mono_us: u64,
    /// Microseconds since the UNIX epoch: the `ts` of the protocol.
    pub wall_us: u64,
}

impl Now {
    /// Milliseconds of the monotonic clock, truncated to 32 bits: they wrap after 49 days and are compared by wrapping
    /// difference.
    pub(crate) fn mono_ms(self) -> u32 {
        (self.mono_us / 1000) as u32
    }
}

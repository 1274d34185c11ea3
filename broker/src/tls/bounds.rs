//! What a connection may hold of TLS, and whether a socket took it.

/// The largest record (RFC 8446 §5.2; TLS 1.2 adds less with the ciphers in use): its head, 16 KiB, and what encryption
/// may add.
pub(crate) const RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 256;
/// What a handshake may have sent of an incomplete message. A chain of client certificates may need several records.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;
/// How much of what was held back a socket took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All of it, or there was nothing.
    All,
    /// Some of it.
    Some,
    /// Nothing.
    Nothing,
}

//! What TLS needs beside the platform's certificate authorities.

use std::path::PathBuf;

/// PEM files for `wss://`. They are read again before an attempt to connect if they have changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificate authorities to trust beside those of the platform.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate and those up to its authority, for brokers that ask for one.
    pub client_cert_file: Option<PathBuf>,
    /// The key of the client's certificate.
    pub client_key_file: Option<PathBuf>,
}

//! The peer of a connection.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Ends the connection, because it holds too much of a shared budget.
    pub hang_up: Arc<Notify>,
    /// Who it is by the certificate that it has shown.
    pub certificate: OnceLock<Arc<str>>,
}

impl Peer {
    /// The peer of a new connection.
    pub fn new(address: IpAddr) -> Peer {
        Peer { address, hang_up: Arc::default(), certificate: OnceLock::new() }
    }

    /// Notes who it is by the certificate that it has shown in its handshake.
    pub(crate) fn set_certificate(&self, identity: Option<Arc<str>>) {
        if let Some(identity) = identity {
            // There is one handshake only.
            let _ = self.certificate.set(identity);
        }
    }
}

//! The peer of a connection.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Ends the connection, because it holds too much of a shared budget.
    pub hang_up: Arc<Notify>,
}

/// Who publishes over HTTP: by this, publishers are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who it is, if that is known.
    pub sub: Option<Arc<str>>,
    /// Where it comes from.
    pub address: IpAddr,
}

impl Peer {
    /// The sender of a request, as an operator is told.
    pub(super) fn caller(&self) -> Caller {
        Caller { sub: None, address: self.address.to_canonical() }
    }

    /// The peer of a new connection.
    pub fn new(address: IpAddr) -> Peer {
        Peer { address, hang_up: Arc::default() }
    }
}

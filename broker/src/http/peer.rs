//! The sender of a request.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::address::ClientAddress;

/// The sender of a request. Behind a proxy, the requests of one connection may have different senders.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: ClientAddress,
    /// The first DNS or URI name in its certificate, if it has shown one.
    pub certificate: Option<Arc<str>>,
    /// Ends the connection, because it holds too much of a shared budget.
    pub hang_up: Arc<Notify>,
}

/// Who publishes over HTTP: by this, publishers are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Author {
    /// Who it is, if that is known.
    pub sub: Option<Arc<str>>,
    /// Where it comes from.
    pub address: IpAddr,
}

impl Peer {
    /// The sender of requests on a new connection.
    pub fn new(address: impl Into<ClientAddress>) -> Peer {
        Peer { address: address.into(), certificate: None, hang_up: Arc::default() }
    }
}

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

impl Peer {
    /// The peer of a new connection.
    pub fn new(address: IpAddr) -> Peer {
        Peer { address, hang_up: Arc::default() }
    }
}

//! Bounds the number of connections, in all and from one address. A connection is admitted with its handshake and
//! counts until its last owner drops it.

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::address::Block;
use crate::sync::lock;

/// The bounds and the counts.
#[derive(Debug)]
pub struct Admission {
    connections_max: AtomicU64,
    per_address_max: u32,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u64,
    /// Connections that were refused since the start.
    refused: u64,
    /// Kept only if there is a bound per address.
    by_address: HashMap<Block, u32>,
}

/// A connection that counts against the bounds until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    remote: Remote,
    admission: Arc<Admission>,
}

/// An address in 16 bytes instead of 32: there is one in every connection, and most are IPv4.
#[derive(Debug)]
enum Remote {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
    /// The address of someone whose name is known.
    Known(Box<(SocketAddr, Arc<str>)>),
}

impl Remote {
    fn of(remote: SocketAddr) -> Self {
        match remote {
            SocketAddr::V4(remote) => Remote::V4(remote),
            SocketAddr::V6(remote) => Remote::V6(Box::new(remote)),
        }
    }
}

impl Admission {
    /// Bounds connections in all, and from one address (0 is no bound).
    pub fn new(connections_max: u32, per_address_max: u32) -> Arc<Self> {
        Arc::new(Self { connections_max: u64::from(connections_max).into(), per_address_max, counts: Mutex::default() })
    }

    /// Admits a connection from `remote`.
    ///
    /// # Errors
    /// The bound that is reached, as a text for the client.
    pub fn admit(self: &Arc<Self>, remote: SocketAddr) -> Result<Admitted, &'static str> {
        let mut counts = lock(&self.counts);
        if counts.all >= self.connections_max() {
            counts.refused += 1;
            return Err("as many connections as connections_max allows");
        }
        if self.per_address_max > 0 {
            let count = counts.by_address.entry(Block::of(remote.ip())).or_default();
            if *count >= self.per_address_max {
                counts.refused += 1;
                return Err("as many connections from this address as connections_per_address_max allows");
            }
            *count += 1;
        }
        counts.all += 1;
        Ok(Admitted { remote: Remote::of(remote), admission: self.clone() })
    }

    /// The most connections that may be admitted at the same time.
    pub fn connections_max(&self) -> u64 {
        self.connections_max.load(Ordering::Relaxed)
    }

    /// Changes that bound. Connections over a lower one stay, and no other is admitted until enough have ended.
    pub(crate) fn change_connections_max(&self, connections_max: u32) {
        self.connections_max.store(connections_max.into(), Ordering::Relaxed);
    }

    /// Connections that were refused since the start.
    pub fn refused(&self) -> u64 {
        lock(&self.counts).refused
    }

    /// Connections that are admitted now.
    pub fn count(&self) -> u64 {
        lock(&self.counts).all
    }
}

impl Admitted {
    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        match &self.remote {
            Remote::V4(remote) => (*remote).into(),
            Remote::V6(remote) => (**remote).into(),
            Remote::Known(known) => known.0,
        }
    }

    /// Who the peer is, if that is known.
    pub(crate) fn sub(&self) -> Option<&Arc<str>> {
        match &self.remote {
            Remote::Known(known) => Some(&known.1),
            _ => None,
        }
    }

    /// Says who the peer is.
    pub(crate) fn set_sub(&mut self, sub: Option<Arc<str>>) {
        let remote = self.remote();
        self.remote = match sub {
            Some(sub) => Remote::Known(Box::new((remote, sub))),
            None => Remote::of(remote),
        };
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.all -= 1;
        let address = Block::of(self.remote().ip());
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_customers_block() {
        let admission = Admission::new(100, 2);
        let admit = |address: &str| admission.admit(SocketAddr::new(address.parse().unwrap(), 1));
        let mut admitted = Vec::new();
        for (address, is_admitted) in [
            ("2001:db8::1", true),
            ("2001:db8::2:3:4:5", true),
            ("2001:db8::6", false),
            ("2001:db8:0:1::6", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("::ffff:192.0.2.2", true),
        ] {
            let result = admit(address);
            assert_eq!(result.is_ok(), is_admitted, "{address}");
            admitted.extend(result);
        }
        // A name changes nothing about where someone comes from.
        admitted.iter_mut().for_each(|one| one.set_sub(Some("user-42".into())));
        assert!(admitted.iter().all(|one| one.sub().is_some_and(|sub| **sub == *"user-42")));
        assert_eq!(std::mem::size_of::<Admitted>(), 24);
        drop(admitted);
        assert_eq!((admission.count(), admission.refused()), (0, 2));
        assert!(admission.counts.lock().unwrap().by_address.is_empty());
    }
}

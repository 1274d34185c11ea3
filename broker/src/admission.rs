//! Bounds the number of connections, in all and from one address. A connection is admitted with its handshake and
//! counts until its last owner drops it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use broker_engine::{Quota, Refusals};

use crate::address::{Block, ClientAddress};
use crate::sync::lock;

/// The bounds and the counts.
#[derive(Debug)]
pub struct Admission {
    connections_max: AtomicU64,
    per_address_max: AtomicU32,
    refusals: Arc<Refusals>,
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

/// An address in 16 bytes instead of 24: there is one in every connection, and most are IPv4.
#[derive(Debug)]
enum Remote {
    V4(Ipv4Addr, Rest),
    V6(Box<(Ipv6Addr, Rest)>),
    /// The address of someone whose name is known.
    Known(Box<Known>),
}

#[derive(Debug)]
struct Known {
    address: ClientAddress,
    sub: Arc<str>,
    is_counted: bool,
}

impl Remote {
    fn of(address: ClientAddress, is_counted: bool) -> Self {
        let rest = Rest { port: address.port, is_local: address.is_local, is_counted };
        match address.ip {
            IpAddr::V4(ip) => Remote::V4(ip, rest),
            IpAddr::V6(ip) => Remote::V6(Box::new((ip, rest))),
        }
    }
}

/// What an address is besides its bits.
#[derive(Debug, Clone, Copy)]
struct Rest {
    port: Option<u16>,
    is_local: bool,
    /// The connection counts among those of its address.
    is_counted: bool,
}

const _: () = assert!(size_of::<Admitted>() == 24);

impl Admission {
    /// Bounds connections in all, and from one address (0 is no bound).
    pub fn new(connections_max: u32, per_address_max: u32, refusals: Arc<Refusals>) -> Arc<Self> {
        let connections_max = u64::from(connections_max).into();
        let per_address_max = per_address_max.into();
        Arc::new(Self { connections_max, per_address_max, refusals, counts: Mutex::default() })
    }

    /// Admits a connection from this address.
    ///
    /// # Errors
    /// The bound that is reached, as a text for the client.
    pub fn admit(self: &Arc<Self>, address: ClientAddress) -> Result<Admitted, &'static str> {
        let mut counts = lock(&self.counts);
        if counts.all >= self.connections_max() {
            counts.refused += 1;
            return Err("as many connections as connections_max allows");
        }
        let per_address_max = self.per_address_max.load(Ordering::Relaxed);
        let is_counted = per_address_max > 0;
        if is_counted {
            let count = counts.by_address.entry(address.block()).or_default();
            if *count >= per_address_max && self.refusals.refuses(Quota::ConnectionsOfAddress) {
                counts.refused += 1;
                return Err(Quota::ConnectionsOfAddress.exceeded());
            }
            *count += 1;
        }
        counts.all += 1;
        Ok(Admitted { remote: Remote::of(address, is_counted), admission: self.clone() })
    }

    /// Changes the bound on connections from one address. Those that are open stay open.
    pub(crate) fn change_per_address_max(&self, per_address_max: u32) {
        self.per_address_max.store(per_address_max, Ordering::Relaxed);
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
    /// The client's address.
    pub fn address(&self) -> ClientAddress {
        let (ip, Rest { port, is_local, .. }) = match &self.remote {
            Remote::V4(ip, rest) => ((*ip).into(), *rest),
            Remote::V6(remote) => (remote.0.into(), remote.1),
            Remote::Known(known) => return known.address,
        };
        ClientAddress { ip, port, is_local }
    }

    /// Who the peer is, if that is known.
    pub(crate) fn sub(&self) -> Option<&Arc<str>> {
        match &self.remote {
            Remote::Known(known) => Some(&known.sub),
            _ => None,
        }
    }

    /// Says who the peer is.
    pub(crate) fn set_sub(&mut self, sub: Option<Arc<str>>) {
        let (address, is_counted) = (self.address(), self.is_counted());
        self.remote = match sub {
            Some(sub) => Remote::Known(Box::new(Known { address, sub, is_counted })),
            None => Remote::of(address, is_counted),
        };
    }

    /// Whether it counts among the connections of its address. It does not if there was no bound when it was admitted.
    fn is_counted(&self) -> bool {
        match &self.remote {
            Remote::V4(_, rest) => rest.is_counted,
            Remote::V6(remote) => remote.1.is_counted,
            Remote::Known(known) => known.is_counted,
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.all -= 1;
        if !self.is_counted() {
            return;
        }
        let address = self.address().block();
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
        let admission = Admission::new(100, 2, Arc::default());
        let admit = |address: &str| {
            let ip = address.parse().unwrap();
            admission.admit(ClientAddress { ip, port: None, is_local: false })
        };
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

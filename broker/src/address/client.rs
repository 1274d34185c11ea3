//! The address that decides about a client: quotas, budgets, what is only for this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};

use super::forwarded::forwarded;
use super::{Block, Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The address.
    pub ip: IpAddr,
    /// The port; `None` if a proxy named an address alone.
    pub port: Option<u16>,
    /// Whether the client is on this machine, and so may read what others may not. An address that a proxy named never
    /// is, nor is a trusted proxy.
    pub is_local: bool,
}

impl ClientAddress {
    /// The block as which it is counted.
    pub(crate) fn block(&self) -> Block {
        Block::of(self.ip)
    }
}

impl From<IpAddr> for ClientAddress {
    /// The address of a client that reaches the broker directly.
    fn from(ip: IpAddr) -> ClientAddress {
        // IPv4 addresses come mapped into IPv6 if the listener is `[::]`.
        ClientAddress { ip, port: None, is_local: ip.to_canonical().is_loopback() }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}", SocketAddr::new(self.ip, port)),
            None => write!(f, "{}", self.ip),
        }
    }
}

/// Whether connections begin with a header of the PROXY protocol. There is no third value that accepts both: whoever
/// reaches the port could then send a header of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    Off,
    /// They all do, and come from trusted proxies.
    Required,
}

/// What is believed of what proxies say.
#[derive(Debug)]
pub struct Proxies {
    trusted: Vec<Net>,
    protocol: ProxyProtocol,
}

impl Proxies {
    /// Believes these proxies.
    pub fn new(trusted: Vec<Net>, protocol: ProxyProtocol) -> Proxies {
        Proxies { trusted, protocol }
    }

    /// Whether connections have to begin with a header.
    pub fn needs_header(&self) -> bool {
        self.protocol == ProxyProtocol::Required
    }

    /// Whether an address is a trusted proxy's.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(address))
    }

    /// The address of a socket's peer.
    pub fn direct(&self, peer: SocketAddr) -> ClientAddress {
        let address = ClientAddress::from(peer.ip());
        let is_local = address.is_local && !self.trusts(address.ip);
        ClientAddress { port: Some(peer.port()), is_local, ..address }
    }

    /// The address that a trusted proxy named for a connection.
    pub fn named(&self, source: SocketAddr) -> ClientAddress {
        ClientAddress { ip: source.ip().to_canonical(), port: Some(source.port()), is_local: false }
    }

    /// The address of a request's sender: the connection's, or the one that a trusted proxy named for the request.
    pub fn of_request(&self, connection: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        if self.trusted.is_empty() || !self.trusts(connection.ip) {
            return connection;
        }
        let lines = headers.get_all(X_FORWARDED_FOR).iter().map(|value| value.as_bytes());
        match forwarded(lines, |address| self.trusts(address)) {
            Some(ip) => ClientAddress { ip, port: None, is_local: false },
            None => connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str]) -> Proxies {
        Proxies::new(trusted.iter().map(|net| Net::parse(net).unwrap()).collect(), ProxyProtocol::Off)
    }

    #[test]
    fn who_is_local() {
        for (trusted, peer, is_local) in [
            (&[][..], "127.0.0.1:1", true),
            (&[], "[::1]:1", true),
            (&[], "[::ffff:127.0.0.1]:1", true),
            (&[], "192.0.2.1:1", false),
            (&["10.0.0.0/8"], "127.0.0.1:1", true),
            (&["10.0.0.0/8"], "10.0.0.1:1", false),
            (&["127.0.0.1"], "127.0.0.1:1", false),
            (&["127.0.0.1"], "[::ffff:127.0.0.1]:1", false),
            (&["127.0.0.1"], "127.0.0.2:1", true),
        ] {
            assert_eq!(proxies(trusted).direct(peer.parse().unwrap()).is_local, is_local, "{trusted:?} {peer}");
        }
        let named = proxies(&["10.0.0.1"]).named("[::ffff:127.0.0.1]:7".parse().unwrap());
        assert_eq!((named.to_string(), named.is_local), ("127.0.0.1:7".to_owned(), false));
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for (peer, header, address, is_local) in [
            ("10.0.0.1:5", Some("198.51.100.9, 192.0.2.1"), "192.0.2.1", false),
            ("10.0.0.1:5", Some("127.0.0.1"), "127.0.0.1", false),
            ("10.0.0.1:5", Some("garbage"), "10.0.0.1:5", false),
            ("10.0.0.1:5", Some("10.0.0.7"), "10.0.0.1:5", false),
            ("10.0.0.1:5", None, "10.0.0.1:5", false),
            ("192.0.2.5:5", Some("192.0.2.1"), "192.0.2.5:5", false),
            ("127.0.0.1:5", Some("192.0.2.1"), "127.0.0.1:5", true),
        ] {
            let proxies = proxies(&["10.0.0.0/8"]);
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|value| (X_FORWARDED_FOR, value.parse().unwrap())));
            let found = proxies.of_request(proxies.direct(peer.parse().unwrap()), &headers);
            assert_eq!((found.to_string(), found.is_local), (address.to_owned(), is_local), "{peer} {header:?}");
        }
    }
}

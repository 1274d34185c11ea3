//! The target of connections: a URL, and the addresses to connect from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::access::{Access, Token};

/// The most connections from one address to one listener: less than half of the 28,232 ports that Linux gives out by
/// default (`net.ipv4.ip_local_port_range`). Linux searches every second port first, and once these are taken, it
/// searches all of them for each connection: 19,000 from one address took 20 s, from two addresses 3 s. A closed
/// connection holds its port for a minute.
const PORTS_PER_ADDRESS: u32 = 12_000;

/// The server under load, at one address or several: those of servers that have the same topics.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// At least one.
    endpoints: Vec<Endpoint>,
    pub(crate) token: Token,
    sources: Vec<IpAddr>,
}

/// One address of the server.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// For the `Host` header.
    pub(crate) authority: String,
    /// `None` if the URL has none.
    pub(crate) path: Option<String>,
    /// For `wss://`.
    pub(crate) tls: Option<Tls>,
}

/// What TLS needs to know of a server.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that its certificate has to have.
    pub(crate) name: ServerName<'static>,
}

impl Target {
    /// Reads URLs with commas between them. `sources` are this machine's addresses to connect from, in turn; with none,
    /// loopback targets get as many as ports require.
    pub(crate) fn parse(urls: &str, sources: &[IpAddr], access: &Access) -> anyhow::Result<Self> {
        let endpoints = urls.split(',').map(|url| Endpoint::parse(url, access)).collect::<anyhow::Result<_>>()?;
        Ok(Self { endpoints, token: access.token()?, sources: sources.to_vec() })
    }

    /// Where a subscriber connects. Subscribers are spread evenly, but not in turn: topics are dealt in turn, so each
    /// topic could have all its subscribers at one address.
    pub(crate) fn of_subscriber(&self, subscriber: u32) -> &Endpoint {
        let count = self.endpoints.len();
        let (round, place) = (subscriber / count as u32, subscriber as usize % count);
        let turn = scattered(round) as usize;
        &self.endpoints[(place + turn) % count]
    }

    /// Where a publisher connects: in turn.
    pub(crate) fn of_publisher(&self, publisher: usize) -> &Endpoint {
        &self.endpoints[publisher % self.endpoints.len()]
    }

    /// The addresses, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        names.join(", ")
    }

    /// The address that a subscriber connects from, if it is not left to the kernel.
    pub(crate) fn source(&self, subscriber: u32) -> Option<IpAddr> {
        if !self.sources.is_empty() {
            return Some(self.sources[subscriber as usize % self.sources.len()]);
        }
        let block = subscriber / PORTS_PER_ADDRESS;
        let address = self.of_subscriber(subscriber).address;
        let loopback = address.ip().is_loopback() && address.is_ipv4();
        // All of 127.0.0.0/8 is this machine.
        (loopback && block > 0).then(|| IpAddr::V4(Ipv4Addr::from_bits(0x7f00_0001 + block)))
    }
}

impl Endpoint {
    /// Reads `ws://host:port/path`, or `wss://` in the same form.
    fn parse(url: &str, access: &Access) -> anyhow::Result<Self> {
        let (rest, port) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
            (Some(rest), _) => (rest, 80),
            (None, Some(rest)) => (rest, 443),
            (None, None) => bail!("{url}: a target has the form ws://HOST:PORT/PATH, or wss:// for TLS"),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (rest, None),
        };
        let with_port = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            authority.to_owned()
        } else {
            format!("{authority}:{port}")
        };
        let mut addresses =
            with_port.to_socket_addrs().with_context(|| format!("{url}: no address for {authority:?}"))?;
        let address = addresses.next().with_context(|| format!("{url}: no address for {authority:?}"))?;
        let tls = match url.starts_with("wss://") {
            true => Some(Tls { config: Arc::new(access.tls()?), name: server_name(&with_port, url)? }),
            false => None,
        };
        Ok(Self { address, authority: authority.to_owned(), path, tls })
    }
}

/// Another number for each, without a pattern: the last step of MurmurHash3.
fn scattered(number: u32) -> u32 {
    let number = (number ^ (number >> 16)).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ (number >> 13)).wrapping_mul(0xc2b2_ae35);
    number ^ (number >> 16)
}

/// The host of an authority, without its port and the brackets of an IPv6 address.
fn server_name(with_port: &str, url: &str) -> anyhow::Result<ServerName<'static>> {
    let host = with_port.rsplit_once(':').map_or(with_port, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).with_context(|| format!("{url}: no certificate can have this name"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parse(url: &str, sources: &[IpAddr]) -> anyhow::Result<Target> {
        Target::parse(url, sources, &Access::default())
    }

    #[test]
    fn urls_are_parsed() {
        let endpoint = |url: &str| parse(url, &[]).expect("a URL").of_publisher(0).clone();
        let target = endpoint("ws://127.0.0.1:9000/v1/ws?x=1");
        assert_eq!((target.address.port(), target.path.as_deref()), (9000, Some("/v1/ws?x=1")));
        assert_eq!(endpoint("ws://127.0.0.1").address.port(), 80);
        let secure = endpoint("wss://127.0.0.1/x");
        assert_eq!((secure.address.port(), secure.tls.is_some(), target.tls.is_some()), (443, true, false));
        for wrong in ["http://x", "127.0.0.1:9000", "ws://no.such.host.invalid:1"] {
            let error = parse(wrong, &[]).expect_err(wrong).to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn each_topic_has_subscribers_at_each_address_and_each_address_has_as_many() {
        let target = parse("ws://127.0.0.1:1,ws://127.0.0.1:2,ws://127.0.0.1:3", &[]).expect("three URLs");
        let port = |subscriber| target.of_subscriber(subscriber).address.port();
        for first in (0..999).step_by(3) {
            let mut ports = [0, 1, 2].map(|more| port(first + more));
            ports.sort_unstable();
            assert_eq!(ports, [1, 2, 3], "from {first}");
        }
        for topics in 1..=100 {
            for topic in 0..topics {
                let ports: BTreeSet<u16> = (topic..topics * 30).step_by(topics as usize).map(port).collect();
                assert_eq!(ports.len(), 3, "topic {topic} of {topics}");
            }
        }
        assert_eq!([0, 1, 2, 3].map(|publisher| target.of_publisher(publisher).address.port()), [1, 2, 3, 1]);
        assert!(parse("ws://127.0.0.1:1,", &[]).is_err());
    }

    #[test]
    fn many_connections_come_from_many_addresses() {
        let target = parse("ws://127.0.0.1:9000", &[]).expect("a URL");
        assert_eq!(target.source(11_999), None);
        assert_eq!(target.source(12_000), Some(Ipv4Addr::new(127, 0, 0, 2).into()));
        assert_eq!(target.source(24_000), Some(Ipv4Addr::new(127, 0, 0, 3).into()));
        let sources = [Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into()];
        let target = parse("ws://127.0.0.1:9000", &sources).expect("a URL");
        assert_eq!(target.source(3), Some(sources[1]));
    }
}

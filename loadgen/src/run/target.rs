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

/// A server under load.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// For the `Host` header.
    pub(crate) authority: String,
    /// `None` if the URL has none.
    pub(crate) path: Option<String>,
    /// For `wss://`.
    pub(crate) tls: Option<Tls>,
    pub(crate) token: Token,
    sources: Vec<IpAddr>,
}

/// What TLS needs to know of a server.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that its certificate has to have.
    pub(crate) name: ServerName<'static>,
}

impl Target {
    /// Reads `ws://host:port/path`, or `wss://` in the same form. `sources` are this machine's addresses to connect from, in turn; with none,
    /// loopback targets get as many as ports require.
    pub(crate) fn parse(url: &str, sources: &[IpAddr], access: &Access) -> anyhow::Result<Self> {
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
        let (token, sources) = (access.token()?, sources.to_vec());
        Ok(Self { address, authority: authority.to_owned(), path, tls, token, sources })
    }

    /// The address that a subscriber connects from, if it is not left to the kernel.
    pub(crate) fn source(&self, subscriber: u32) -> Option<IpAddr> {
        if !self.sources.is_empty() {
            return Some(self.sources[subscriber as usize % self.sources.len()]);
        }
        let block = subscriber / PORTS_PER_ADDRESS;
        let loopback = self.address.ip().is_loopback() && self.address.is_ipv4();
        // All of 127.0.0.0/8 is this machine.
        (loopback && block > 0).then(|| IpAddr::V4(Ipv4Addr::from_bits(0x7f00_0001 + block)))
    }
}

/// The host of an authority, without its port and the brackets of an IPv6 address.
fn server_name(with_port: &str, url: &str) -> anyhow::Result<ServerName<'static>> {
    let host = with_port.rsplit_once(':').map_or(with_port, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).with_context(|| format!("{url}: no certificate can have this name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, sources: &[IpAddr]) -> anyhow::Result<Target> {
        Target::parse(url, sources, &Access::default())
    }

    #[test]
    fn urls_are_parsed() {
        let target = parse("ws://127.0.0.1:9000/v1/ws?x=1", &[]).expect("a URL");
        assert_eq!((target.address.port(), target.path.as_deref()), (9000, Some("/v1/ws?x=1")));
        assert_eq!(parse("ws://127.0.0.1", &[]).expect("a URL").address.port(), 80);
        let secure = parse("wss://127.0.0.1/x", &[]).expect("a URL");
        assert_eq!((secure.address.port(), secure.tls.is_some(), target.tls.is_some()), (443, true, false));
        for wrong in ["http://x", "127.0.0.1:9000", "ws://no.such.host.invalid:1"] {
            let error = parse(wrong, &[]).expect_err(wrong).to_string();
            assert!(error.contains(wrong), "{error}");
        }
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

//! Decides who may connect (`docs/protocol.md`, "Who may connect"). Any web page on the reader's machine can send
//! requests to a broker on loopback. A browser does not let it forge `Origin`, `Host` and `Sec-Fetch-Site`, and these
//! decide here, before anything else is checked, on both listeners.
//!
//! - `Host` has to be given exactly once in HTTP/1.1 (otherwise 400), and be an IP address, `localhost` or a configured
//!   name: a page whose own name was made to point at the broker (DNS rebinding) arrives with that name.
//! - `Origin`, if there is one, has to be the same host and port, on the allow-list, or that of another broker of the
//!   cluster. `null` is foreign.
//! - Without an `Origin`, a `Sec-Fetch-Site` has to be `same-origin` or `none`: this refuses links, images and forms of
//!   other pages. Only the live page at `/` may be opened by a link from anywhere, in a tab of its own, because it is
//!   the same for every client.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::{Uri, Version, http::uri::Authority};

pub use self::gate::Gate;

mod gate;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The allow-lists of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Foreign origins that may connect.
    pub origins: Vec<Origin>,
    /// Names in `Host` besides IP addresses and `localhost`.
    pub hosts: Vec<HostName>,
    /// The origins of all brokers of a cluster, whose live pages may connect.
    pub brokers: Vec<Origin>,
}

/// The sender of an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Not a browser, or a page of the broker's own.
    Own,
    /// The live page, which came from the broker's client listener and asks its admin listener. The answer has to name the
    /// origin as well.
    Page(HeaderValue),
    /// A page from an origin on the allow-list. The answer has to name the origin, otherwise the browser withholds it
    /// from the page.
    Foreign(HeaderValue),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDenied {
    /// The part of it that is the reason.
    pub what: Denied,
    /// For the person who reads the answer.
    pub message: String,
}

/// The part of a request for which it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// `Host` is not a name of the broker.
    Host,
    /// The page's origin is not on the allow-list.
    Origin,
    /// A page of another site, which did not name its origin.
    Site,
    /// The connection did not begin as `proxy_protocol` requires.
    Proxy,
    /// The request violates HTTP, whatever its origin.
    Malformed,
}

impl Denied {
    /// The reasons that are counted.
    pub const COUNTED: [Denied; 4] = [Denied::Host, Denied::Origin, Denied::Site, Denied::Proxy];

    /// Its word in metrics and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Denied::Host => "host",
            Denied::Origin => "origin",
            Denied::Site => "site",
            Denied::Proxy => "proxy",
            Denied::Malformed => "malformed",
        }
    }
}

/// The ports of the client listeners, whose live page may ask the admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePorts {
    /// That of `listen`.
    pub http: u16,
    /// That of `tls_listen`.
    pub https: Option<u16>,
}

/// Checks one request. On the admin listener `pages` says which pages may ask.
///
/// # Errors
/// The request is refused.
pub fn check(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    rules: &AccessRules,
    pages: Option<PagePorts>,
) -> Result<Access, AccessDenied> {
    let host = check_host(version, uri, headers, rules)?;
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) if is_visit(uri, headers) => Ok(Access::Own),
        (None, _) => check_fetch_site(headers).map(|()| Access::Own),
        (Some(_), Some(_)) => Err(denied(Denied::Malformed, "the request has more than one Origin")),
        (Some(value), None) => {
            let origin = value.to_str().ok().and_then(Origin::parse);
            match origin {
                Some(origin) if host.as_ref().is_some_and(|host| origin.is_at(host)) => Ok(Access::Own),
                Some(origin) if host.as_ref().is_some_and(|host| origin.is_page_beside(host, pages)) => {
                    Ok(Access::Page(value.clone()))
                }
                Some(origin) if rules.origins.contains(&origin) || rules.brokers.contains(&origin) => {
                    Ok(Access::Foreign(value.clone()))
                }
                _ => {
                    let message = format!("the origin {} may not connect here (allow_origin)", quoted(value));
                    Err(denied(Denied::Origin, message))
                }
            }
        }
    }
}

/// Returns the host that the request is for; `None` if it names none, which only HTTP/1.0 may (RFC 9112 §3.2). No
/// browser sends such a request, but probes of load balancers do.
fn check_host(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    rules: &AccessRules,
) -> Result<Option<HostPort>, AccessDenied> {
    let mut hosts = headers.get_all(HOST).iter();
    let value = match (hosts.next(), hosts.next()) {
        (Some(value), None) => value,
        (None, _) if version < Version::HTTP_11 && uri.authority().is_none() => return Ok(None),
        _ => return Err(denied(Denied::Malformed, "the request needs exactly one Host")),
    };
    let host = value.to_str().ok().and_then(HostPort::parse);
    let Some(host) = host.filter(|host| host.name.is_trusted(rules)) else {
        let message = format!("{} is not a name of this broker (allow_host)", quoted(value));
        return Err(denied(Denied::Host, message));
    };
    // A request line with a full URL names the host a second time (RFC 9112 §3.2.2).
    let repeated = uri.authority().map(Authority::as_str).map(HostPort::parse);
    if repeated.is_some_and(|repeated| repeated.as_ref() != Some(&host)) {
        return Err(denied(Denied::Malformed, "the host in the request line is not the one in Host"));
    }
    Ok(Some(host))
}

/// Returns whether a person opens the live page in a tab, not in a frame of another page.
fn is_visit(uri: &Uri, headers: &HeaderMap) -> bool {
    let has = |name, value: &str| headers.get(name).is_some_and(|found| found == value);
    uri.path() == "/" && has(SEC_FETCH_MODE, "navigate") && has(SEC_FETCH_DEST, "document")
}

fn check_fetch_site(headers: &HeaderMap) -> Result<(), AccessDenied> {
    let own = |value: &HeaderValue| value == "same-origin" || value == "none";
    match headers.get_all(SEC_FETCH_SITE).iter().find(|value| !own(value)) {
        None => Ok(()),
        Some(value) => {
            let message = format!("a page of another site may not send this (Sec-Fetch-Site: {})", quoted(value));
            Err(denied(Denied::Site, message))
        }
    }
}

fn denied(what: Denied, message: impl Into<String>) -> AccessDenied {
    AccessDenied { what, message: message.into() }
}

/// Quotes a client's header for a sentence: bounded and printable.
fn quoted(value: &HeaderValue) -> String {
    let text: String = String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect();
    format!("{text:?}")
}

/// A host as `Host` and origins name it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Dns(HostName),
}

impl Name {
    fn is_trusted(&self, rules: &AccessRules) -> bool {
        match self {
            Name::V4(_) | Name::V6(_) => true,
            Name::Dns(name) => name.0 == "localhost" || rules.hosts.contains(name),
        }
    }
}

/// The value of `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPort {
    name: Name,
    port: Option<u16>,
}

impl HostPort {
    fn parse(text: &str) -> Option<HostPort> {
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            (Name::V6(address.parse().ok()?), port)
        } else {
            let at = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at(at);
            let name = host.parse().map(Name::V4).ok().or_else(|| HostName::parse(host).map(Name::Dns))?;
            (name, port)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            // "host:" is a host without a port (RFC 3986 §3.2.3).
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        Some(HostPort { name, port })
    }
}

/// A DNS name, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Parses a name without a port; `None` if it is not one. Numbers that only a browser reads as an address (`127.1`,
    /// `0x7f000001`) are names here, so they are never trusted by themselves.
    pub fn parse(text: &str) -> Option<HostName> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let labels = !text.starts_with('.') && !text.contains("..");
        ((1..=253).contains(&text.len()) && labels && text.bytes().all(good))
            .then(|| HostName(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A web origin: scheme, host and port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: HostPort,
}

impl Origin {
    /// Parses an origin as a browser writes it; `None` for `null`, for paths and for anything else.
    pub fn parse(text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://")?;
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(good) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let mut host = HostPort::parse(rest)?;
        host.port = host.port.or(default_port(&scheme));
        Some(Origin { scheme, host })
    }

    /// Returns whether its pages come from this `Host`. A `Host` without a port means the default port of the origin's
    /// scheme: behind a proxy with TLS the broker cannot know which of the two it was.
    fn is_at(&self, host: &HostPort) -> bool {
        let default = default_port(&self.scheme);
        default.is_some() && self.host.name == host.name && self.host.port == host.port.or(default)
    }
}

impl Origin {
    /// Returns whether its pages come from one of these ports of the same host, without a proxy between.
    fn is_page_beside(&self, host: &HostPort, pages: Option<PagePorts>) -> bool {
        let port = pages.and_then(|ports| match &*self.scheme {
            "http" => Some(ports.http),
            "https" => ports.https,
            _ => None,
        });
        port.is_some() && self.host.name == host.name && self.host.port == port
    }
}

impl Origin {
    /// The same host and port, as WebSockets name them. `None` if no page comes over HTTP from there.
    pub(crate) fn of_sockets(&self) -> Option<Origin> {
        let scheme = match &*self.scheme {
            "http" => "ws",
            "https" => "wss",
            _ => return None,
        };
        Some(Origin { scheme: scheme.to_owned(), host: self.host.clone() })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.host.name {
            Name::V4(address) => write!(f, "{address}")?,
            Name::V6(address) => write!(f, "[{address}]")?,
            Name::Dns(name) => write!(f, "{name}")?,
        }
        match self.host.port {
            Some(port) if default_port(&self.scheme) != Some(port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

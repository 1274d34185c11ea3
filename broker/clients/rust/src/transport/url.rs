//! The endpoint that a URL names.

use hyper::Uri;

use crate::error::ConnectError;

/// A broker's endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// As the program gave it.
    pub(crate) url: String,
    /// For the TCP connection, so without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// Path and query.
    pub(super) path: String,
    /// `host:port`, as in the `Host` header and in errors.
    pub(crate) address: String,
}

const WS_PORT: u16 = 80;
const WSS_PORT: u16 = 443;
const PATH: &str = "/v1/ws";

impl Target {
    /// Whether both name the same endpoint, however they are written.
    pub(crate) fn is_same_endpoint(&self, other: &Target) -> bool {
        let endpoint = |target: &Target| (target.tls, target.address.to_ascii_lowercase(), target.path.clone());
        endpoint(self) == endpoint(other)
    }

    pub(crate) fn parse(url: &str) -> Result<Target, ConnectError> {
        let wrong = |why: &'static str| ConnectError::Url { url: url.to_owned(), why };
        if url.is_empty() {
            return Err(wrong("it is empty: give at least one address, such as ws://127.0.0.1:9000"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            _ => return Err(wrong("it must begin with ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it contains a user name, which the protocol does not use"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        // `Uri` treats a port that is out of range as absent.
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => {
                if tls {
                    WSS_PORT
                } else {
                    WS_PORT
                }
            }
            Some(digits) => digits.parse().map_err(|_| wrong("its port is not a number below 65536"))?,
        };
        let path = match uri.path_and_query().map(|path| path.as_str()) {
            None | Some("" | "/") => PATH.to_owned(),
            Some(path) => path.to_owned(),
        };
        Ok(Target { url: url.to_owned(), host, port, tls, path, address: format!("{}:{port}", authority.host()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, host: &str, port: u16, path: &str, address: &str| {
            let target = Target::parse(url).unwrap();
            assert_eq!((&*target.host, target.port, &*target.path, &*target.address), (host, port, path, address));
        };
        check("ws://127.0.0.1:9000/v1/ws", "127.0.0.1", 9000, "/v1/ws", "127.0.0.1:9000");
        check("ws://broker:9000", "broker", 9000, "/v1/ws", "broker:9000");
        check("ws://broker/", "broker", 80, "/v1/ws", "broker:80");
        check("ws://[::1]:9000/feed?x=1", "::1", 9000, "/feed?x=1", "[::1]:9000");
        check("wss://broker", "broker", 443, "/v1/ws", "broker:443");
        check("https://broker:9443/", "broker", 9443, "/v1/ws", "broker:9443");
        for (url, tls) in [("ws://a", false), ("http://a", false), ("wss://a", true), ("https://a", true)] {
            assert_eq!(Target::parse(url).unwrap().tls, tls, "{url}");
        }
    }

    #[test]
    fn unusable_urls_are_refused_with_a_reason() {
        for (url, why) in [
            ("ftp://broker:9000", "ws://"),
            ("broker:9000", "ws://"),
            ("ws://user:secret@broker:9000", "user"),
            ("ws://broker:99999", "port"),
            ("not a url", "not a URL"),
            ("", "at least one address"),
        ] {
            let error = Target::parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}

//! What a URL says about where to ask.

use hyper::Uri;
use hyper::http::uri::Scheme;

/// A listener, and what to ask it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether it is asked over TLS.
    pub(super) is_secure: bool,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of the header `Host`.
    pub(super) authority: String,
    /// With a query if there is one. Without a path it is that of the live page, which every client may have.
    pub(super) path: String,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Target, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL, such as https://localhost:9443/")?;
        let is_secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err("it begins with neither https:// nor http://"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("a user and a password are not sent");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("it has no host");
        }
        Ok(Target {
            is_secure,
            host,
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, is_secure, host, port, path) in [
            ("https://md.example", true, "md.example", 443, "/"),
            ("https://md.example:9443/v1/topics?limit=1", true, "md.example", 9443, "/v1/topics?limit=1"),
            ("http://127.0.0.1:9000", false, "127.0.0.1", 9000, "/"),
            ("https://[::1]:9443/", true, "::1", 9443, "/"),
        ] {
            let target = Target::parse(text).unwrap();
            let found = (target.is_secure, &*target.host, target.port, &*target.path);
            assert_eq!(found, (is_secure, host, port, path), "{text}");
        }
        assert_eq!(Target::parse("https://[::1]:9443/").unwrap().authority, "[::1]:9443");
        for (text, part) in [
            ("", "not a URL"),
            ("md.example:9443", "neither https"),
            ("md.example", "neither https"),
            ("/readyz", "neither https"),
            ("wss://md.example/v1/ws", "neither https"),
            ("https://a:b@md.example/", "a user"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

//! The address of a JWKS.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use hyper::Uri;
use hyper::http::uri::Scheme;

/// An address from which keys may be fetched: `https`, or `http` on this machine, where nobody is in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysUrl {
    uri: Uri,
    secure: bool,
    host: String,
    port: u16,
}

impl KeysUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<KeysUrl, &'static str> {
        if text.contains(['{', '}', '#']) {
            return Err("it is used as it is: without placeholders, and without a part after #");
        }
        let uri: Uri = text.parse().map_err(|_| "it is not an address")?;
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("a user and a password are not sent");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        if !secure && uri.scheme() != Some(&Scheme::HTTP) {
            return Err("it is neither https nor http");
        }
        if !secure && !is_this_machine(&host) {
            return Err("keys are fetched by http from this machine only (127.0.0.1, [::1], localhost): use https");
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(KeysUrl { secure, host, port, uri })
    }

    /// Whether it is `https`.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host: a name, or an address without brackets.
    #[cfg(feature = "tls")]
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Where to connect. `localhost` means the same here as in `listen`, whatever a resolver says.
    pub(super) fn target(&self) -> (String, u16) {
        let host = if self.host == "localhost" { Ipv4Addr::LOCALHOST.to_string() } else { self.host.clone() };
        (host, self.port)
    }

    /// The value of the header `Host`.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// The path, with a query if there is one.
    pub(super) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

impl fmt::Display for KeysUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(formatter)
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parts = |text: &str| KeysUrl::parse(text).map(|url| (url.is_secure(), url.target(), url.path().to_owned()));
        let good = |secure, host: &str, port, path: &str| Ok((secure, (host.to_owned(), port), path.to_owned()));
        let table = [
            ("https://id.example.com/jwks.json", good(true, "id.example.com", 443, "/jwks.json")),
            ("https://id.example.com:8443/a/b?c=d", good(true, "id.example.com", 8443, "/a/b?c=d")),
            ("https://id.example.com", good(true, "id.example.com", 443, "/")),
            ("http://127.0.0.1:8080/keys", good(false, "127.0.0.1", 8080, "/keys")),
            ("http://[::1]:8080/keys", good(false, "::1", 8080, "/keys")),
            ("http://localhost/keys", good(false, "127.0.0.1", 80, "/keys")),
        ];
        for (text, expected) in table {
            assert_eq!(parts(text), expected, "{text}");
        }
        for (text, part) in [
            ("", "not an address"),
            ("id.example.com", "neither https nor http"),
            ("/jwks.json", "no host"),
            ("ftp://127.0.0.1/keys", "neither https nor http"),
            ("file:///etc/passwd", "no"),
            ("http://id.example.com/keys", "use https"),
            ("http://169.254.169.254/keys", "use https"),
            ("http://localhost.example.com/keys", "use https"),
            ("https://user:secret@id.example.com/keys", "a user"),
            ("https://id.example.com/{tenant}/keys", "without placeholders"),
            ("https://id.example.com/keys#x", "without placeholders"),
        ] {
            let error = KeysUrl::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

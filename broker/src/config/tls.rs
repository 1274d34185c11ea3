//! The values and the checks of the settings for TLS.

use super::settings::Config;
use super::value::{Allowed, Value};

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked for one.
    Off,
    /// They may show one; a wrong one is refused.
    Optional,
    /// They have to show one.
    Required,
}

/// Implements a setting that is one of a few words.
macro_rules! words {
    ($type:ty: $($word:literal => $value:expr),+; $expected:literal) => {
        impl Value for $type {
            fn parse(text: &str, _: Allowed) -> Option<Self> {
                [$(($word, $value)),+].into_iter().find_map(|(word, value)| (word == text).then_some(value))
            }

            fn expected(_: Allowed) -> String {
                $expected.into()
            }

            fn toml(&self) -> String {
                let words = [$(($word, $value)),+];
                words.into_iter().find(|(_, value)| value == self).map_or_else(String::new, |(word, _)| format!("\"{word}\""))
            }
        }
    };
}

words!(TlsVersion: "1.2" => TlsVersion::V12, "1.3" => TlsVersion::V13; "1.2 or 1.3");
words!(
    ClientAuth: "off" => ClientAuth::Off, "optional" => ClientAuth::Optional, "required" => ClientAuth::Required;
    "off, optional or required"
);

impl Config {
    /// Returns a sentence for each contradiction between the settings for TLS.
    pub(super) fn tls_contradictions(&self) -> Vec<String> {
        let (certs, keys) = (self.tls_cert.len(), self.tls_key.len());
        let is_on = self.tls_listen.is_some();
        let mut found = Vec::new();
        let mut check = |good: bool, sentence: &str| {
            if !good {
                found.push(sentence.to_owned());
            }
        };
        check(
            !is_on || certs > 0,
            "tls_listen is set, but tls_cert is not: TLS needs a certificate and its private key (tls_cert, tls_key)",
        );
        check(
            certs == keys,
            &format!(
                "tls_cert has {certs} files and tls_key {keys}: they are given in pairs, a key for each certificate, in the \
                 same order"
            ),
        );
        check(
            is_on || (certs == 0 && keys == 0 && self.tls_client_ca.is_none()),
            "tls_cert, tls_key or tls_client_ca is set, but tls_listen is not, so TLS is off: set tls_listen to an address",
        );
        check(
            self.tls_client_auth == ClientAuth::Off || self.tls_client_ca.is_some(),
            "tls_client_auth is on, but tls_client_ca is not set: it names the authorities whose clients are trusted",
        );
        check(
            self.tls_client_auth != ClientAuth::Off || self.tls_client_ca.is_none(),
            "tls_client_ca is set, but tls_client_auth is off, so nobody is asked for a certificate: set tls_client_auth to \
             optional or required",
        );
        for (name, other) in [("listen", self.listen), ("admin_listen", self.admin_listen)] {
            check(
                self.tls_listen != Some(other) || other.port() == 0,
                &format!("tls_listen and {name} are both {other}: they need different ports"),
            );
        }
        found
    }
}

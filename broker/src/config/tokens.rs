//! The settings of tokens: their types, what contradicts each other, and what they mean to those who use them.

use broker_identity::{Algorithm, ClaimName, ClaimRules, Grants, TokenRules};

use super::settings::Config;
use super::tls::ClientAuth;
use super::value::{Allowed, Value, list, parts};
use crate::tokens::{KeysUrl, Sources};

/// A text without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Value for Text {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| Text(text.to_owned()))
    }

    fn expected(_: Allowed) -> String {
        "a text without control characters".into()
    }

    fn toml(&self) -> String {
        toml::Value::String(self.0.clone()).to_string()
    }
}

impl Value for ClaimName {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        ClaimName::parse(text)
    }

    fn expected(_: Allowed) -> String {
        "the name of a claim, as in tickcast, realm_access.roles or https://desk.example.com/roles".into()
    }

    fn toml(&self) -> String {
        toml::Value::String(self.as_str().to_owned()).to_string()
    }
}

impl Value for Vec<Algorithm> {
    const LIST: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        let all: Option<Vec<Algorithm>> = parts(text).map(Algorithm::parse).collect();
        all.filter(|all| !all.is_empty())
    }

    fn expected(_: Allowed) -> String {
        "one or more of ES256, EdDSA, RS256 and HS256".into()
    }

    fn toml(&self) -> String {
        list(&self.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>())
    }
}

impl Value for KeysUrl {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        KeysUrl::parse(text).ok()
    }

    fn expected(_: Allowed) -> String {
        "an address like https://id.example.com/.well-known/jwks.json".into()
    }

    fn hint(text: &str) -> Option<String> {
        KeysUrl::parse(text).err().map(str::to_owned)
    }

    fn toml(&self) -> String {
        toml::Value::String(self.to_string()).to_string()
    }
}

impl Config {
    /// Whether the broker asks who a client is.
    pub fn asks_for_tokens(&self) -> bool {
        self.has_keys() || !self.roles.is_empty() || !self.tokens.is_empty()
    }

    fn has_keys(&self) -> bool {
        self.token_key_file.is_some() || self.token_jwks_url.is_some() || self.token_secret_file.is_some()
    }

    /// Whether nobody on the network can read the tokens of clients: the plain listener is for this machine, or for
    /// proxies that speak TLS to clients.
    fn hides_tokens(&self) -> bool {
        self.listen.ip().is_loopback() || !self.trusted_proxies.is_empty()
    }

    pub(super) fn token_contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let public =
            [("token_key_file", self.token_key_file.is_some()), ("token_jwks_url", self.token_jwks_url.is_some())];
        if self.token_secret_file.is_some() {
            for (name, _) in public.into_iter().filter(|(_, given)| *given) {
                found.push(format!(
                    "token_secret_file and {name} are both given: with a secret nobody needs public keys; give one of them"
                ));
            }
            let defaults = Vec::<Algorithm>::parse("ES256,EdDSA,RS256", Allowed::Any);
            if !self.token_algorithms.contains(&Algorithm::Hs256) && Some(&self.token_algorithms) != defaults.as_ref() {
                found.push(
                    "token_secret_file is given, but token_algorithms does not contain HS256, the only algorithm with a secret"
                        .into(),
                );
            }
        } else if self.token_algorithms == [Algorithm::Hs256] && self.has_keys() {
            found.push(
                "token_algorithms is HS256 alone, which needs a token_secret_file, and verifies nothing with public keys"
                    .into(),
            );
        }
        if self.asks_for_tokens() && !self.hides_tokens() && !self.cleartext_tokens {
            found.push(format!(
                "listen = {} is reachable from beyond loopback, and tokens would come in without TLS, for everybody on the \
                 network to read: listen on 127.0.0.1 and use tls_listen for clients, name the proxies that speak TLS to \
                 them in trusted_proxies, or set cleartext_tokens = true (--cleartext-tokens) if you want that",
                self.listen
            ));
        }
        found.extend(Grants::new(self.roles.clone(), self.tokens.clone()).err().into_iter().flatten());
        found
    }

    pub(super) fn token_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |wrong: bool, sentence: &str| wrong.then(|| warnings.push(sentence.to_owned()));
        warn(
            self.token_in_url,
            "token_in_url is true: tokens in addresses end up in the logs of proxies and in the histories of browsers",
        );
        warn(
            self.asks_for_tokens() && !self.hides_tokens(),
            "tokens come in without TLS from beyond loopback (cleartext_tokens): others on the network can read and use them",
        );
        warn(
            self.token_revoked_file.is_some() && !self.has_keys(),
            "token_revoked_file is given, but no key that verifies tokens: it is about those only",
        );
        warn(
            self.roles.iter().any(|role| !role.client_cert.is_empty()) && self.tls_client_auth == ClientAuth::Off,
            "a role has client_cert, but tls_client_auth is off: no client shows a certificate",
        );
        let uses = |name: &str| self.roles.iter().any(|role| role.name == name);
        warn(
            self.asks_for_tokens()
                && !self.has_keys()
                && self.tokens.is_empty()
                && !uses("anonymous")
                && self.roles.iter().all(|role| role.client_cert.is_empty()),
            "there are roles, but neither keys nor tokens nor certificates nor a role named anonymous: nobody can have one",
        );
        warnings
    }

    /// The rules for tokens.
    pub fn token_rules(&self) -> TokenRules {
        let secret = self.token_secret_file.is_some();
        TokenRules {
            bytes_max: self.token_bytes_max as usize,
            algorithms: if secret { vec![Algorithm::Hs256] } else { self.token_algorithms.clone() },
            claims: ClaimRules {
                audience: self.token_audience.0.clone(),
                issuer: self.token_issuer.as_ref().map(|text| text.0.clone()),
                claim: self.token_claim.clone(),
                roles_claim: self.token_roles_claim.clone(),
                leeway_ms: self.token_leeway_ms.into(),
                lifetime_max_ms: self.token_lifetime_max_ms,
            },
        }
    }

    /// Where keys and revocations come from.
    pub fn token_sources(&self) -> Sources {
        Sources {
            key_file: self.token_key_file.clone(),
            secret_file: self.token_secret_file.clone(),
            revoked_file: self.token_revoked_file.clone(),
            keys_url: self.token_jwks_url.clone(),
            refresh_ms: self.jwks_refresh_ms.into(),
            cooldown_ms: self.jwks_cooldown_ms.into(),
            stale_ms: self.jwks_stale_ms,
        }
    }
}

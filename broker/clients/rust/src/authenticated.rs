//! Whom the broker takes the client for, and what it may.

use serde::Deserialize;

/// The broker's answer to a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Authenticated {
    /// The user, or the name of a static token, or the name in the client's certificate.
    pub sub: String,
    /// When the token ends, in microseconds since the UNIX epoch; `None` if it does not.
    #[serde(default)]
    pub expires_ts: Option<u64>,
    /// What the client may.
    #[serde(default)]
    pub allow: Allow,
}

/// Patterns of topics. What is subscribed or published has to lie inside one of `sub` or `publish`, and in none of `deny`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Allow {
    /// What may be subscribed and read.
    pub sub: Vec<String>,
    /// What may be published.
    #[serde(rename = "pub")]
    pub publish: Vec<String>,
    /// What is taken out of both.
    pub deny: Vec<String>,
}

//! What is known of a client, once it is known who it is.

use std::fmt;
use std::sync::Arc;

use broker_protocol::permissions::Permissions;

use crate::keys::UsedKey;
use crate::quotas::Quotas;
use crate::roles::Given;
use crate::static_tokens::TokenDigest;

/// The longest time between the notice that a token will expire and its `exp`.
const NOTICE_MS_MAX: u64 = 60_000;

/// Who a client is, and what it may do. Connections share it; a new token, or a reload, gives a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name: a token's `sub`, a static token's name, or the name in a certificate; `None` for `anonymous`.
    pub sub: Option<Arc<str>>,
    /// The names of its roles, without those that do not exist or are void for it.
    pub roles: Vec<Arc<str>>,
    /// What it may read and publish.
    pub permissions: Arc<Permissions>,
    /// Whether it may delete topics to which it may publish.
    pub admin: bool,
    /// Its quotas, where its roles name them.
    pub quotas: Quotas,
    /// When its token was taken, in ms since the UNIX epoch.
    pub taken_ms: u64,
    /// When its token expires (`exp`), in ms since the UNIX epoch; `None` is never.
    pub expires_ms: Option<u64>,
    /// How far the clocks may differ, in ms: a connection ends so long after `expires_ms`.
    pub leeway_ms: u64,
    /// How many roles its token names that do not exist.
    pub unknown_roles: usize,
    /// What it comes from.
    pub source: Source,
}

/// What an identity comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing: there is a role named `anonymous`.
    Anonymous,
    /// A JWT. Its claims are kept, to be read again after a reload.
    Jwt {
        /// The claims, as they were signed. They are no credential, because the signature is not kept.
        payload: Box<str>,
        /// The key that verified it.
        key: UsedKey,
    },
    /// A token of the configuration.
    Static(TokenDigest),
    /// A client certificate.
    Certificate,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Source::Anonymous => "Anonymous",
            Source::Jwt { .. } => "Jwt",
            Source::Static(_) => "Static",
            Source::Certificate => "Certificate",
        })
    }
}

impl Identity {
    /// Makes one that does not end by itself.
    pub(crate) fn new(sub: Option<&str>, given: Given, source: Source) -> Identity {
        Identity {
            sub: sub.map(Arc::from),
            roles: given.roles,
            permissions: given.permissions,
            admin: given.admin,
            quotas: given.quotas,
            taken_ms: 0,
            expires_ms: None,
            leeway_ms: 0,
            unknown_roles: given.unknown_roles,
            source,
        }
    }

    /// When a client should be told that its token expires, in ms since the UNIX epoch: a minute before, or a quarter of
    /// the time for which the token was good when it was taken, if that is less.
    pub fn reauth_ms(&self) -> Option<u64> {
        let expires = self.expires_ms?;
        Some(expires - (expires.saturating_sub(self.taken_ms) / 4).min(NOTICE_MS_MAX))
    }

    /// When it gives nothing any more, in ms since the UNIX epoch.
    pub fn ends_ms(&self) -> Option<u64> {
        Some(self.expires_ms?.saturating_add(self.leeway_ms))
    }
}

//! Who sends a request, and what it may do (`docs/protocol.md`, "Tokens").
//!
//! Everything here is off until a key, a static token or a role is configured: then [`Authentication::who`] answers
//! [`Who::Anyone`] without looking at the request.

mod token;
mod who;

use std::sync::Arc;

use broker_identity::{Authority, BadToken, Identity};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::Auth;
use broker_protocol::request::Refusal;
use hyper::header::HeaderMap;

pub use self::token::split_token;
pub use self::who::{Identified, Who};
use crate::tokens::Tokens;

/// Decides who clients are.
pub struct Authentication {
    tokens: Arc<Tokens>,
    token_in_url: bool,
}

impl Authentication {
    /// Makes one that takes tokens from headers and, if `token_in_url`, from the query of URLs.
    pub fn new(tokens: Arc<Tokens>, token_in_url: bool) -> Authentication {
        Authentication { tokens, token_in_url }
    }

    /// The authority that counts now.
    pub fn authority(&self) -> Arc<Authority> {
        self.tokens.authority()
    }

    /// The number of times that the authority was replaced. Whoever keeps what it said looks at this *before* asking it,
    /// and later asks [again](Self::again) if this is another number.
    pub fn as_of(&self) -> u64 {
        self.tokens.as_of()
    }

    /// Says who a client is by now, at `now_ms` since the UNIX epoch; `None` if that has not changed.
    ///
    /// # Errors
    /// `bad_token`: what it had has ended.
    pub fn again(&self, who: &Who, as_of: u64, now_ms: u64) -> Result<Option<Who>, Refusal> {
        let ends_ms = if let Who::Known(identity) = who { identity.ends_ms() } else { None };
        if as_of == self.as_of() && ends_ms.is_none_or(|end| now_ms < end) {
            return Ok(None);
        }
        let authority = self.authority();
        if !authority.is_configured() {
            return Ok(Some(Who::Anyone));
        }
        match who {
            Who::Known(identity) => match authority.renew(identity, now_ms) {
                Ok(renewed) => Ok(Some(Who::Known(renewed))),
                Err(ended) => Err(bad_token(&ended.to_string())),
            },
            Who::Anyone | Who::Unknown => Ok(Some(authority.anonymous().map_or(Who::Unknown, Who::Known))),
        }
    }

    /// Whether the query parameter `token` is taken.
    pub fn takes_token_in_url(&self) -> bool {
        self.token_in_url && self.authority().is_configured()
    }

    /// Says who sends a request: by a token in its header or its URL, otherwise by the name in the client's certificate,
    /// otherwise by the role `anonymous`.
    ///
    /// # Errors
    /// `bad_token` for a token that is not taken, or for two of them; `unavailable` while there are no keys yet.
    pub async fn who(
        &self,
        headers: &HeaderMap,
        in_url: Option<&str>,
        certificate: Option<&str>,
    ) -> Result<Who, Refusal> {
        let authority = self.authority();
        if !authority.is_configured() {
            return Ok(Who::Anyone);
        }
        let token = match (token::bearer(headers)?, in_url) {
            (Some(_), Some(_)) => return Err(bad_token("the request has a token in its header and one in its URL")),
            (Some(token), None) | (None, Some(token)) => token,
            (None, None) => {
                let known = certificate.and_then(|name| authority.certificate(name)).or_else(|| authority.anonymous());
                return Ok(known.map_or(Who::Unknown, Who::Known));
            }
        };
        self.check(token).await.map(Who::Known)
    }

    /// Checks a token. If its key is unknown, waits for keys that are fetched from a URL, if that is due.
    ///
    /// # Errors
    /// `bad_token` or `unavailable`.
    pub async fn check(&self, token: &str) -> Result<Arc<Identity>, Refusal> {
        self.tokens.authenticate_waiting(token).await.map_err(refusal)
    }

    /// Checks a token with the keys that are there. `None` if others may have to be fetched first.
    pub fn check_now(&self, token: &str) -> Option<Result<Arc<Identity>, Refusal>> {
        match self.tokens.authenticate(token) {
            Err(BadToken::UnknownKey | BadToken::KeysUnavailable) if self.tokens.fetches_keys() => None,
            result => Some(result.map_err(refusal)),
        }
    }

    /// What `hello` says about authentication to a client without an identity of its own.
    pub fn auth(&self) -> Auth {
        if self.authority().anonymous().is_some() { Auth::Optional } else { Auth::Required }
    }
}

/// The refusal of a token.
fn refusal(bad: BadToken) -> Refusal {
    let code = if bad == BadToken::KeysUnavailable { ErrorCode::Unavailable } else { ErrorCode::BadToken };
    Refusal { code, message: bad.to_string() }
}

fn bad_token(message: &str) -> Refusal {
    Refusal { code: ErrorCode::BadToken, message: message.into() }
}

//! From a token, or the name in a certificate, to an identity.

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::claims::{ClaimRules, Claims};
use crate::grants::Grants;
use crate::identity::{Identity, Source};
use crate::jwt::verify;
use crate::keys::Keys;
use crate::refusal::{BadToken, Ended};
use crate::revocations::Revocations;
use crate::roles::{TooMuch, Who};
use crate::static_tokens::TokenDigest;

/// The rules for tokens that come from settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// The most bytes of a token.
    pub bytes_max: usize,
    /// The algorithms of JWTs that are taken.
    pub algorithms: Vec<Algorithm>,
    /// What claims have to say.
    pub claims: ClaimRules,
}

/// Everything that decides who a client is and what it may do. It never changes: after a reload, or when keys changed,
/// another one takes its place.
#[derive(Debug, Clone)]
pub struct Authority {
    rules: Arc<TokenRules>,
    grants: Arc<Grants>,
    keys: Keys,
    revoked: Arc<Revocations>,
}

impl Authority {
    /// Makes one without keys and revocations.
    pub fn new(rules: TokenRules, grants: Grants) -> Authority {
        Authority { rules: Arc::new(rules), grants: Arc::new(grants), keys: Keys::default(), revoked: Arc::default() }
    }

    /// The same with these keys in place of its own.
    #[must_use]
    pub fn with_keys(&self, keys: Keys) -> Authority {
        Authority { keys, ..self.clone() }
    }

    /// The same with these revocations in place of its own.
    #[must_use]
    pub fn with_revocations(&self, revoked: Arc<Revocations>) -> Authority {
        Authority { revoked, ..self.clone() }
    }

    /// Whether it is asked at all who a client is: there is a key, a static token or a role.
    pub fn is_configured(&self) -> bool {
        self.keys.is_configured() || !self.grants.is_empty()
    }

    /// What a client without a token has: the role named `anonymous`, if there is one.
    pub fn anonymous(&self) -> Option<Arc<Identity>> {
        self.grants.anonymous()
    }

    /// What a client with a certificate has whose first DNS or URI name is this, if it leads to a role.
    pub fn certificate(&self, name: &str) -> Option<Arc<Identity>> {
        self.grants.certificate(name)
    }

    /// Says who has a token. The time is in ms since the UNIX epoch.
    ///
    /// # Errors
    /// Why the token is refused.
    pub fn authenticate(&self, token: &str, now_ms: u64) -> Result<Arc<Identity>, BadToken> {
        if token.len() > self.rules.bytes_max {
            return Err(BadToken::TooLong);
        }
        if self.grants.has_tokens()
            && let Some(identity) = self.grants.token(&TokenDigest::of(token))
        {
            return Ok(identity);
        }
        if !self.keys.is_configured() {
            return Err(BadToken::Unknown);
        }
        let verified = verify(token, &self.rules.algorithms, &self.keys)?;
        let source = Source::Jwt { payload: verified.payload.into(), key: verified.key };
        self.identify(source, now_ms).map(Arc::new)
    }

    /// Says what an identity gives by now: after a reload, or when keys or revocations changed.
    ///
    /// # Errors
    /// Why it gives nothing any more.
    pub fn renew(&self, identity: &Identity, now_ms: u64) -> Result<Arc<Identity>, Ended> {
        match (&identity.source, &identity.sub) {
            (Source::Static(digest), _) => self.grants.token(digest).ok_or(Ended::NotListed),
            (Source::Certificate, Some(name)) => self.certificate(name).ok_or(Ended::NoRole),
            (Source::Anonymous | Source::Certificate, _) => self.anonymous().ok_or(Ended::NoAnonymous),
            (source @ Source::Jwt { key, .. }, _) => {
                if !self.keys.has(key, &self.rules.algorithms) {
                    return Err(Ended::Token(BadToken::UnknownKey));
                }
                let renewed = self.identify(source.clone(), identity.taken_ms).map_err(Ended::Token)?;
                if renewed.ends_ms().is_some_and(|end| now_ms >= end) {
                    return Err(Ended::Token(BadToken::Expired));
                }
                Ok(Arc::new(renewed))
            }
        }
    }

    /// Reads the claims of a JWT whose signature is good, as at the time when it was taken.
    fn identify(&self, source: Source, taken_ms: u64) -> Result<Identity, BadToken> {
        let Source::Jwt { payload, .. } = &source else { return Err(BadToken::Unknown) };
        let claims = Claims::read(payload, &self.rules.claims, taken_ms)?;
        if self.revoked.covers(&claims.sub, claims.jti.as_deref(), claims.issued_s) {
            return Err(BadToken::Revoked);
        }
        let mut lists = claims.lists;
        let names = std::mem::take(&mut lists.roles);
        let who = Who { sub: Some(&claims.sub), tenant: claims.tenant.as_deref() };
        let given = self.grants.roles().give(names.iter().map(String::as_str), lists, who);
        let given = given.map_err(|TooMuch| BadToken::TooMuch)?;
        let expires_ms = Some(claims.expires_ms);
        let leeway_ms = self.rules.claims.leeway_ms;
        Ok(Identity { taken_ms, expires_ms, leeway_ms, ..Identity::new(Some(&claims.sub), given, source) })
    }
}

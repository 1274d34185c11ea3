//! The claims of a JWT (RFC 7519 section 4), read after its signature was found good, with the time passed in.

mod lists;
mod name;

use serde::Deserialize;

pub use lists::CLAIM_PATTERNS_MAX;
pub(crate) use lists::Lists;
pub use name::ClaimName;

use crate::members::{Members, read, whole_number};
use crate::refusal::{BadToken, Claim};

/// The most bytes of `sub` and of `tenant`.
pub const NAME_BYTES_MAX: usize = 128;

/// What claims have to say, and where ours are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRules {
    /// `aud` has to contain this.
    pub audience: String,
    /// `iss` has to be this, if it is given.
    pub issuer: Option<String>,
    /// The claim with the client's roles and patterns.
    pub claim: ClaimName,
    /// A claim with a list of further roles.
    pub roles_claim: Option<ClaimName>,
    /// How far the clocks of the broker and of the issuer may differ, in ms, either way.
    pub leeway_ms: u64,
    /// How far `exp` may be ahead, in ms.
    pub lifetime_max_ms: u64,
}

/// What the broker needs of a token's claims.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) tenant: Option<String>,
    pub(crate) jti: Option<String>,
    pub(crate) issued_s: Option<u64>,
    pub(crate) expires_ms: u64,
    pub(crate) lists: Lists,
}

impl Claims {
    /// Reads claims and checks them at a time, in ms since the UNIX epoch.
    ///
    /// # Errors
    /// A claim is missing, has a wrong type or value, or the time is outside of the token's.
    pub(crate) fn read(payload: &str, rules: &ClaimRules, now_ms: u64) -> Result<Claims, BadToken> {
        let members = Members::parse(payload).ok_or(BadToken::NoClaims)?;
        let expires_ms = seconds(&members, "exp", Claim::Exp)?.ok_or(BadToken::Claim(Claim::Exp))?.saturating_mul(1000);
        let begins_ms = seconds(&members, "nbf", Claim::Nbf)?.unwrap_or(0).saturating_mul(1000);
        if now_ms >= expires_ms.saturating_add(rules.leeway_ms) {
            return Err(BadToken::Expired);
        }
        if begins_ms > now_ms.saturating_add(rules.leeway_ms) {
            return Err(BadToken::TooEarly);
        }
        if expires_ms > now_ms.saturating_add(rules.lifetime_max_ms).saturating_add(rules.leeway_ms) {
            return Err(BadToken::TooLongLived);
        }
        check_audience(&members, &rules.audience)?;
        if let Some(issuer) = &rules.issuer {
            let iss: String = members.get("iss").and_then(read).ok_or(BadToken::Claim(Claim::Iss))?;
            if iss != *issuer {
                return Err(BadToken::Issuer);
            }
        }
        let sub =
            members.get("sub").and_then(read).filter(|sub: &String| is_name(sub)).ok_or(BadToken::Claim(Claim::Sub))?;
        let tenant = optional(&members, "tenant", Claim::Tenant)?;
        if tenant.as_ref().is_some_and(|tenant| !is_name(tenant)) {
            return Err(BadToken::Claim(Claim::Tenant));
        }
        Ok(Claims {
            sub,
            tenant,
            jti: optional(&members, "jti", Claim::Jti)?,
            issued_s: seconds(&members, "iat", Claim::Iat)?,
            expires_ms,
            lists: Lists::read(&members, rules)?,
        })
    }
}

/// A name that log lines and answers may contain. Whether it can be a segment of a topic is another question.
fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

fn optional(members: &Members<'_>, name: &str, claim: Claim) -> Result<Option<String>, BadToken> {
    members.get(name).map(|text| read(text).ok_or(BadToken::Claim(claim))).transpose()
}

fn seconds(members: &Members<'_>, name: &str, claim: Claim) -> Result<Option<u64>, BadToken> {
    members.get(name).map(|text| whole_number(text).ok_or(BadToken::Claim(claim))).transpose()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

fn check_audience(members: &Members<'_>, expected: &str) -> Result<(), BadToken> {
    let audience: Audience = members.get("aud").and_then(read).ok_or(BadToken::Claim(Claim::Aud))?;
    let named = match &audience {
        Audience::One(one) => one == expected,
        Audience::Several(several) => several.iter().any(|one| one == expected),
    };
    named.then_some(()).ok_or(BadToken::Audience)
}

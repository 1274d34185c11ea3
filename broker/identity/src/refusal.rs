//! Why a token is refused, and why an identity ends. No sentence contains anything of a token.

use std::fmt;

/// Why a token is refused. Its `Display` is a sentence for the `message` of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// It is longer than `token_bytes_max`.
    TooLong,
    /// It is no static token of this broker, and no JWT.
    Unknown,
    /// It is no JWT as RFC 7515 section 7.1 writes them.
    Malformed,
    /// Its algorithm is none that is configured.
    Algorithm,
    /// Its header demands an extension.
    Critical,
    /// Its header names a key that is not among those of the broker, or no key fits its algorithm.
    UnknownKey,
    /// It names no key, and too many would fit.
    KeyNotNamed,
    /// It names a key that is one of another algorithm.
    KeyOfOther,
    /// No key verifies its signature.
    Signature,
    /// The claims are no JSON object, or one occurs twice.
    NoClaims,
    /// A claim is missing, or is not what it has to be.
    Claim(Claim),
    /// Its `exp` is over.
    Expired,
    /// Its `nbf` has not come.
    TooEarly,
    /// Its `exp` is further ahead than `token_lifetime_max_ms`.
    TooLongLived,
    /// Its `aud` does not name this broker.
    Audience,
    /// Its `iss` is another one.
    Issuer,
    /// It has more roles or patterns than one client may have.
    TooMuch,
    /// It is revoked.
    Revoked,
    /// The keys are not there yet, so nobody knows whether it is good.
    KeysUnavailable,
}

/// A claim that is missing or has a wrong form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// When the token ends.
    Exp,
    /// Before when it is not taken.
    Nbf,
    /// When it was made.
    Iat,
    /// For whom it is.
    Aud,
    /// Who made it.
    Iss,
    /// Whom it is about.
    Sub,
    /// The token's name.
    Jti,
    /// The tenant that `{tenant}` stands for.
    Tenant,
    /// The claim that `token_claim` names.
    Permissions,
    /// A pattern in that claim.
    Pattern,
    /// The claim that `token_roles_claim` names.
    Roles,
}

impl BadToken {
    /// Every label, for counters.
    pub const LABELS: [&str; 12] = [
        "algorithm",
        "audience",
        "claims",
        "expired",
        "issuer",
        "key",
        "keys_unavailable",
        "malformed",
        "permissions",
        "revoked",
        "signature",
        "unknown",
    ];

    /// What counters call it: one of [`LABELS`](Self::LABELS).
    pub fn label(self) -> &'static str {
        match self {
            BadToken::Unknown => "unknown",
            BadToken::TooLong | BadToken::Malformed => "malformed",
            BadToken::Algorithm | BadToken::Critical => "algorithm",
            BadToken::UnknownKey | BadToken::KeyNotNamed | BadToken::KeyOfOther => "key",
            BadToken::Signature => "signature",
            BadToken::Claim(Claim::Permissions | Claim::Pattern | Claim::Roles) | BadToken::TooMuch => "permissions",
            BadToken::NoClaims | BadToken::Claim(_) | BadToken::TooLongLived | BadToken::TooEarly => "claims",
            BadToken::Expired => "expired",
            BadToken::Audience => "audience",
            BadToken::Issuer => "issuer",
            BadToken::Revoked => "revoked",
            BadToken::KeysUnavailable => "keys_unavailable",
        }
    }
}

impl fmt::Display for BadToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            BadToken::TooLong => "the token is longer than token_bytes_max",
            BadToken::Unknown => "the token is not one of this broker",
            BadToken::Malformed => "the token is neither one of this broker nor a signed JWT",
            BadToken::Algorithm => "the token's algorithm is not one of token_algorithms",
            BadToken::Critical => "the token's header demands an extension (crit) that the broker does not have",
            BadToken::UnknownKey => "the broker has no key for this token",
            BadToken::KeyNotNamed => "the token names no key (kid), and several keys would fit",
            BadToken::KeyOfOther => "the token's algorithm is not that of the key that it names (kid)",
            BadToken::Signature => "the token's signature is wrong",
            BadToken::NoClaims => "the token's claims are not a JSON object in which each name occurs once",
            BadToken::Claim(claim) => return write!(formatter, "{claim}"),
            BadToken::Expired => "the token has expired",
            BadToken::TooEarly => "the token is not valid yet (nbf)",
            BadToken::TooLongLived => "the token's exp is further ahead than token_lifetime_max_ms",
            BadToken::Audience => "the token's aud does not name this broker (token_audience)",
            BadToken::Issuer => "the token's iss is not the one that is expected (token_issuer)",
            BadToken::TooMuch => "the token has more roles or patterns than one client may have",
            BadToken::Revoked => "the token is revoked",
            BadToken::KeysUnavailable => "the broker could not fetch the keys of tokens yet; try again",
        })
    }
}

impl std::error::Error for BadToken {}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Claim::Exp => "the token needs the claim exp, a whole number of seconds since 1970",
            Claim::Nbf => "the token's nbf is not a whole number of seconds since 1970",
            Claim::Iat => "the token's iat is not a whole number of seconds since 1970",
            Claim::Aud => "the token needs the claim aud, a string or a list of strings",
            Claim::Iss => "the token needs the claim iss, a string",
            Claim::Sub => "the token needs the claim sub, a string of at most 128 bytes without control characters",
            Claim::Jti => "the token's jti is not a string",
            Claim::Tenant => "the token's tenant is not a string of at most 128 bytes without control characters",
            Claim::Permissions => {
                "the token's permissions (the claim that token_claim names) are not an object with lists of strings \
                 named roles, sub, pub and deny, and nothing else"
            }
            Claim::Pattern => "a pattern in the token's permissions is not one",
            Claim::Roles => "the claim that token_roles_claim names is not a list of strings",
        })
    }
}

/// Why an identity that was taken gives nothing any more. Its `Display` is a sentence for the reason of a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The token would not be taken today.
    Token(BadToken),
    /// The static token is not in the configuration any more.
    NotListed,
    /// The certificate leads to no role any more.
    NoRole,
    /// There is no role named `anonymous` any more.
    NoAnonymous,
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Token(bad) => bad.fmt(formatter),
            Ended::NotListed => formatter.write_str("the token is not one of this broker any more"),
            Ended::NoRole => formatter.write_str("the certificate leads to no role any more"),
            Ended::NoAnonymous => formatter.write_str("a token is needed by now"),
        }
    }
}

impl std::error::Error for Ended {}

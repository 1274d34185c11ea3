//! A JSON Web Token as RFC 7515 section 7.1 writes it: `header.claims.signature`, each in base64url.
//!
//! Of the header only `alg`, `kid` and `crit` are read. A key or an address in it (`jwk`, `jku`, `x5u`, `x5c`) is what the
//! sender of the token wants to be believed, so it is ignored.

use crate::algorithm::Algorithm;
use crate::base64url::decode;
use crate::keys::{Keys, UsedKey};
use crate::members::{Members, read};
use crate::refusal::BadToken;

/// A token whose signature is good.
pub(crate) struct Verified {
    /// The claims, as the text that was signed.
    pub(crate) payload: String,
    /// The key that verified it.
    pub(crate) key: UsedKey,
}

/// Verifies a token's signature with one of the keys. Nothing of the claims is read before.
///
/// # Errors
/// The token is no JWT, its algorithm is not among `algorithms`, no key fits, or the signature is wrong.
pub(crate) fn verify(token: &str, algorithms: &[Algorithm], keys: &Keys) -> Result<Verified, BadToken> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(BadToken::Malformed);
    };
    let Header { algorithm, kid } = Header::read(header, algorithms)?;
    let signature = decode(signature).ok_or(BadToken::Malformed)?;
    let signed = &token.as_bytes()[..header.len() + 1 + claims.len()];
    let fitting = keys.fitting(algorithm, kid.as_deref())?;
    let key = fitting.into_iter().find(|key| key.verifies(signed, &signature)).ok_or(BadToken::Signature)?;
    let payload = decode(claims).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(BadToken::NoClaims)?;
    Ok(Verified { payload, key: keys.used(key) })
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Header {
    fn read(part: &str, algorithms: &[Algorithm]) -> Result<Header, BadToken> {
        let text = decode(part).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(BadToken::Malformed)?;
        let members = Members::parse(&text).ok_or(BadToken::Malformed)?;
        let name: String = members.get("alg").and_then(read).ok_or(BadToken::Malformed)?;
        let algorithm = Algorithm::parse(&name).filter(|algorithm| algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(BadToken::Algorithm)?;
        // RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid. We understand none.
        if members.get("crit").is_some() {
            return Err(BadToken::Critical);
        }
        let kid = match members.get("kid") {
            None => None,
            Some(text) => Some(read(text).ok_or(BadToken::Malformed)?),
        };
        Ok(Header { algorithm, kid })
    }
}

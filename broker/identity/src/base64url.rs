//! The encoding of everything in a JWT and in a JWK (RFC 7515 section 2).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Decodes base64url without padding. An encoding is the only one of its bytes, so a token has one spelling.
pub(crate) fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

//! What an operator may do, and who is one.

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::HeaderValue;

use broker_identity::TokenDigest;

/// Checks that a request has the operator's token.
pub(super) fn check(headers: &HeaderMap, token: &TokenDigest) -> Result<(), Refusal> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let message = match (given.next(), given.next()) {
        (None, _) => "the admin listener asks for its token: Authorization: Bearer TOKEN (admin_token_sha256)",
        (Some(value), None) => match bearer(value) {
            Some(given) if TokenDigest::of(given).is(token) => return Ok(()),
            Some(_) => "this is not the admin listener's token (admin_token_sha256)",
            None => "the admin listener takes Authorization: Bearer TOKEN, and nothing else",
        },
        (Some(_), Some(_)) => "the request has more than one Authorization",
    };
    Err(Refusal { code: ErrorCode::BadToken, message: message.into() })
}

/// The token of a header. The scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let value = value.as_bytes();
    let (scheme, rest) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_taken() {
        let token = TokenDigest::of(b"s3cret");
        for (given, is_good) in [
            ("Bearer s3cret", true),
            ("bearer   s3cret", true),
            ("Bearer S3cret", false),
            ("Bearer s3cre", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            ("s3cret", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(given).unwrap())]);
            let result = check(&headers, &token);
            assert_eq!(result.is_ok(), is_good, "{given:?}");
            assert!(result.is_ok() || !result.unwrap_err().message.contains("3cre"), "{given:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        assert!(check(&twice, &token).is_err() && check(&HeaderMap::new(), &token).is_err());
    }
}

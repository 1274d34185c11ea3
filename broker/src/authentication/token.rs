//! Where a token is found in a request.

use std::borrow::Cow;

use broker_protocol::request::Refusal;
use hyper::header::{AUTHORIZATION, HeaderMap};

use super::bad_token;

/// Returns the token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), if there is such a header.
///
/// # Errors
/// There are several, or it is not one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let several = headers.contains_key(AUTHORIZATION);
        return if several { Err(bad_token("the request has more than one Authorization header")) } else { Ok(None) };
    };
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return Err(bad_token("the Authorization header is not \"Bearer\" and a token"));
    }
    Ok(Some(token))
}

/// Takes the parameter `token` out of a query, so that nothing else sees it. Returns the token, if there is one, and the
/// rest of the query.
///
/// # Errors
/// It is given twice, or has characters that no token has.
pub fn split_token(query: &str) -> Result<(Option<&str>, Cow<'_, str>), Refusal> {
    let is_token = |part: &&str| part.split_once('=').is_some_and(|(name, _)| name == "token");
    let mut tokens = query.split('&').filter(is_token);
    let Some(part) = tokens.next() else { return Ok((None, Cow::Borrowed(query))) };
    if tokens.next().is_some() {
        return Err(bad_token("the parameter token is given twice"));
    }
    let token = &part["token=".len()..];
    // A JWT has none of the characters that URLs encode.
    if token.is_empty() || token.contains(['%', '+']) {
        return Err(bad_token("the parameter token is empty, or has characters that no token has"));
    }
    let rest: Vec<&str> = query.split('&').filter(|part| !is_token(part)).collect();
    Ok((Some(token), Cow::Owned(rest.join("&"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn one_bearer_token() {
        assert_eq!(bearer(&headers(&[])), Ok(None));
        for text in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(&headers(&[text])), Ok(Some("abc")), "{text}");
        }
        for values in
            [&["Bearer"][..], &["Bearer "], &["Basic abc"], &["abc"], &["Bearer a b"], &["Bearer a", "Bearer a"]]
        {
            let message = bearer(&headers(values)).unwrap_err().message;
            assert!(!message.contains("abc"), "{message}");
        }
    }

    #[test]
    fn a_token_leaves_the_query() {
        assert_eq!(split_token("a=1&b=2").unwrap(), (None, "a=1&b=2".into()));
        assert_eq!(split_token("a=1&token=x.y.z&b=2").unwrap(), (Some("x.y.z"), "a=1&b=2".into()));
        assert_eq!(split_token("token=t").unwrap(), (Some("t"), "".into()));
        for query in ["token=a&token=a", "token=", "token=%41", "token=a+b"] {
            assert!(split_token(query).is_err(), "{query}");
        }
    }
}

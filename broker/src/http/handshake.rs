//! The WebSocket handshake (RFC 6455 §4.2.1), checked before anything is upgraded: `fastwebsockets` makes the answer,
//! but would give it to a request without `Upgrade` or with a short key as well.

use broker_protocol::codes::ErrorCode;
use fastwebsockets::upgrade::UpgradeFut;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, Response, StatusCode, Version};

use super::{AnswerBody, Reply, error_with_status};

/// The one subprotocol.
pub const SUBPROTOCOL: &str = "tickcast.v1.json";

/// Answers the request: with 101 and the future connection, or with the reason why not.
pub fn upgrade<B>(request: &mut Request<B>, subprotocol: Option<&str>) -> Result<(Reply, UpgradeFut), Box<Reply>> {
    let chosen = check(request, subprotocol)?;
    let (response, upgraded) = fastwebsockets::upgrade::upgrade(request)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, &format!("no WebSocket handshake: {error}")))?;
    let (mut head, _) = response.into_parts();
    if chosen && let Some(name) = subprotocol.and_then(|name| HeaderValue::from_str(name).ok()) {
        head.headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok((Response::from_parts(head, AnswerBody::default()), upgraded))
}

/// Checks the handshake. Returns whether the client asked for the subprotocol.
fn check<B>(request: &Request<B>, subprotocol: Option<&str>) -> Result<bool, Box<Reply>> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 {
        return Err(refuse(StatusCode::BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1"));
    }
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        let mut reply = refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this is the WebSocket endpoint: the request needs Upgrade: websocket and Connection: Upgrade",
        );
        reply.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        return Err(reply);
    }
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    if versions.next().is_none_or(|version| version != "13") || versions.next().is_some() {
        let mut reply = refuse(StatusCode::UPGRADE_REQUIRED, "only version 13 of the WebSocket protocol is supported");
        reply.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(reply);
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().filter(|key| is_key(key.as_bytes()));
    if key.is_none() || keys.next().is_some() {
        return Err(refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be given once, as 16 bytes in base64"));
    }
    // With a body, the beginning of the first frame would depend on what arrives together.
    let empty = headers.get_all(CONTENT_LENGTH).iter().all(|len| len == "0");
    if !empty || headers.contains_key(TRANSFER_ENCODING) {
        return Err(refuse(StatusCode::BAD_REQUEST, "a WebSocket handshake must not have a body"));
    }
    let mut offered = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).peekable();
    match subprotocol {
        Some(name) if offered.peek().is_some() => {
            if !offered.any(|token| token == name) {
                return Err(refuse(StatusCode::BAD_REQUEST, &format!("the only supported subprotocol is {name}")));
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn refuse(status: StatusCode, message: &str) -> Box<Reply> {
    Box::new(error_with_status(status, ErrorCode::BadRequest, message))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// Returns whether a key is 16 bytes in base64: 22 characters, of which the last carries only two bits, and `==`.
fn is_key(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_at_checked(22) else { return false };
    let sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.iter().all(sign) && matches!(digits[21], b'A' | b'Q' | b'g' | b'w')
}

#[cfg(test)]
mod tests {
    use super::is_key;

    #[test]
    fn keys() {
        for (key, good) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("AAAAAAAAAAAAAAAAAAAAAB==", false),
            ("dGhlIHNhbXBsZSBub25jZQ=", false),
            ("dGhlIHNhbXBsZSBub25jZ===", false),
            ("short", false),
            ("", false),
        ] {
            assert_eq!(is_key(key.as_bytes()), good, "{key}");
        }
    }
}

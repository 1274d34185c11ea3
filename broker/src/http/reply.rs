//! Answers: JSON, and errors in the form of `docs/protocol.md`.

use std::time::SystemTime;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message;
use broker_protocol::request::Refusal;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH,
    CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};

use super::answer::AnswerBody;

/// An answer of either listener.
pub type Reply = Response<AnswerBody>;

/// A 200 with a JSON body.
pub(super) fn json(body: AnswerBody) -> Reply {
    typed(StatusCode::OK, "application/json", body)
}

/// A 200 with a body of another type.
pub(super) fn text(content_type: &'static str, body: String) -> Reply {
    typed(StatusCode::OK, content_type, body.into_bytes().into())
}

/// An error with the status that goes with its code.
pub fn error(refusal: &Refusal) -> Reply {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = error_with_status(status, refusal.code, &refusal.message);
    if refusal.code.retry() {
        // In seconds. All of these conditions pass quickly or not at all.
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if refusal.code == ErrorCode::BadToken {
        // RFC 6750 section 3.
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if refusal.code == ErrorCode::Timeout {
        // The rest of the body is not waited for.
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// A 429 for a request that exceeds a quota, and fits after `retry_ms`.
pub(super) fn rate_limited(message: &str, retry_ms: u64) -> Reply {
    let mut reply = error(&Refusal { code: ErrorCode::RateLimited, message: message.into() });
    reply.headers_mut().insert(RETRY_AFTER, retry_ms.div_ceil(1000).into());
    reply
}

/// The head of a stream of events, which ends with its connection. The caller writes the body.
pub fn event_stream() -> Reply {
    let mut reply = typed(StatusCode::OK, "text/event-stream", AnswerBody::default());
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    // Otherwise nginx would buffer the answer before it passes it on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply
}

/// The head of an HTTP/1.1 answer as it is sent, with a `Date`. The caller writes the body.
pub fn head_bytes(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {}\r\n", reply.status()).into_bytes();
    for (name, value) in reply.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("date: {}\r\n\r\n", httpdate::fmt_http_date(SystemTime::now())).as_bytes());
    head
}

/// A whole error as it is sent, for a connection that ends with it.
pub fn error_bytes(refusal: &Refusal) -> Vec<u8> {
    last_bytes(error(refusal), refusal)
}

/// A whole error with this status as it is sent, for a connection that ends with it.
pub fn error_bytes_with_status(status: StatusCode, refusal: &Refusal) -> Vec<u8> {
    last_bytes(error_with_status(status, refusal.code, &refusal.message), refusal)
}

fn last_bytes(mut reply: Reply, refusal: &Refusal) -> Vec<u8> {
    let mut body = Vec::new();
    message::http_error(&mut body, refusal.code, &refusal.message);
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    [head_bytes(&reply), body].concat()
}

/// An error whose status says more than its code, such as 426 for a request that should have been an upgrade.
pub fn error_with_status(status: StatusCode, code: ErrorCode, message: &str) -> Reply {
    let mut body = Vec::new();
    message::http_error(&mut body, code, message);
    typed(status, "application/json", body.into())
}

/// A 405.
pub(super) fn method_not_allowed(method: &Method, allowed: &[Method]) -> Reply {
    let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let method: String = method.as_str().chars().take(20).collect();
    let message = format!("{method} is not allowed on this path, which takes {allowed}");
    let mut reply = error(&Refusal { code: ErrorCode::MethodNotAllowed, message });
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        reply.headers_mut().insert(ALLOW, value);
    }
    reply
}

/// The header fields that a page may send: those of the broker's requests, and those that clients of Server-Sent Events
/// add (some forbid caches, some name themselves). It is a list, because `*` does not cover `authorization`.
const HEADERS_ALLOWED: &str = "authorization, cache-control, content-type, last-event-id, x-requested-with";

/// The answer to a preflight request, which a browser sends before a page of another origin may send JSON. The origin
/// is on the allow-list.
pub(super) fn preflight() -> Reply {
    let mut reply = Response::new(AnswerBody::default());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, DELETE"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS_ALLOWED));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    reply
}

/// The header fields of answers that a page of another origin acts on, besides those that browsers always show it: how
/// long to wait, and that a token is needed.
const HEADERS_EXPOSED: &str = "retry-after, www-authenticate";

/// Lets a page of this origin read the answer, errors included.
pub(super) fn readable_by(reply: &mut Reply, origin: HeaderValue) {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(HEADERS_EXPOSED));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

fn typed(status: StatusCode, content_type: &'static str, body: AnswerBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // The data is live: yesterday's quote from a cache would look like today's. And what clients published is never a
    // page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

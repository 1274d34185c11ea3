//! Bodies of requests to the admin listener: small JSON objects.

use std::error::Error;
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Body;
use serde_json::{Map, Value};

use super::super::body::check_type;
use super::super::query::bad_request;
use crate::address::Net;
use crate::shard::Whom;

/// More than any of these bodies needs. There are at most as many as the listener takes connections.
const BYTES_MAX: usize = 8192;
/// The time for a whole body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a body. An empty one is an empty object if that is `optional`, and then needs no type.
pub(super) async fn object<B>(request: Request<B>, optional: bool) -> Result<Map<String, Value>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > BYTES_MAX as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, BYTES_MAX).collect()).await;
    let bytes = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        // The client is gone, or has sent too much: in the first case nobody reads this.
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", PATIENCE.as_secs());
            return Err(Refusal { code: ErrorCode::Timeout, message });
        }
    };
    if bytes.is_empty() && optional {
        return Ok(Map::new());
    }
    check_type(&head.headers, &["application/json"])?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad_request("the body has to be a JSON object")),
        Err(error) => Err(Refusal { code: ErrorCode::BadJson, message: format!("the body is not JSON: {error}") }),
    }
}

fn too_large() -> Refusal {
    Refusal { code: ErrorCode::TooLarge, message: format!("the body has more than {BYTES_MAX} bytes") }
}

/// The connections that a body names, and how: the key, and what it says.
pub(super) struct Named {
    pub(super) key: &'static str,
    pub(super) value: String,
}

/// Reads whom to close: exactly one of `session`, `sub` and `address`.
pub(super) fn named(body: Map<String, Value>) -> Result<Named, Refusal> {
    const KEYS: [&str; 3] = ["session", "sub", "address"];
    let expected = "expected exactly one of session, sub and address, as in {\"session\":\"4bX\"}";
    if body.len() != 1 {
        return Err(bad_request(expected));
    }
    match body.into_iter().next() {
        Some((name, Value::String(value))) => match KEYS.into_iter().find(|key| *key == name) {
            Some(key) => Ok(Named { key, value }),
            None => Err(bad_request(expected)),
        },
        _ => Err(bad_request(expected)),
    }
}

impl Named {
    /// Whom that means; `None` if no connection can have this session.
    pub(super) fn whom(&self, session_number: impl FnOnce(&str) -> Option<u64>) -> Result<Option<Whom>, Refusal> {
        match self.key {
            "session" => Ok(session_number(&self.value).map(Whom::Session)),
            "sub" => Ok(Some(Whom::Sub(self.value.as_str().into()))),
            _ => match Net::parse(&self.value) {
                Some(network) => Ok(Some(Whom::Addresses(network))),
                None => Err(bad_request(
                    "address has to be an IP address or a block of them, as in 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
                )),
            },
        }
    }
}

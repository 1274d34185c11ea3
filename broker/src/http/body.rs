//! Bodies of requests: of a type we take, and bounded in size, in time, and all together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use bytes::Buf;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, timeout_at};

use super::query::bad_request;

/// The slowest pace at which a body is waited for, after a first grace: who drips bytes does not hold a connection for ever.
const BODY_BYTES_PER_MS_MIN: u64 = 8;

/// After a body over its limit, this much more is read and thrown away: closing on a sender that has not finished resets the
/// connection, and it would never see the 413.
const EXCESS_BYTES_MAX: u64 = 1 << 20;

/// The memory that bodies being read may take together.
#[derive(Debug)]
pub struct BodyBudget {
    bytes_max: u64,
    bytes: AtomicU64,
}

impl BodyBudget {
    /// A budget of so many bytes for all requests at the same time.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0) }
    }

    /// Bytes of bodies held now.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn hold(&self) -> Held<'_> {
        Held { budget: self, bytes: 0 }
    }
}

/// What one body holds of the budget; given back when it goes, however it goes.
#[derive(Debug)]
struct Held<'a> {
    budget: &'a BodyBudget,
    bytes: u64,
}

impl Held<'_> {
    fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let before = self.budget.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes <= self.budget.bytes_max {
            Ok(())
        } else {
            let message = "the broker is reading too many bodies at the moment".into();
            Err(Refusal { code: ErrorCode::Unavailable, message })
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body that was read.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    _held: Held<'a>,
}

/// How much of a body is taken, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// Above this it is `too_large`.
    pub(super) bytes_max: u64,
    /// The setting that says so, for the error.
    pub(super) setting: &'static str,
    /// The grace before the least pace counts.
    pub(super) grace: Duration,
    /// What all bodies share.
    pub(super) budget: &'a BodyBudget,
}

/// 415 for a body whose type is not one of these. Parameters (`; charset=utf-8`) are ignored, an encoding is not.
pub(super) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Refusal> {
    let mut given = headers.get_all(CONTENT_TYPE).iter().map(|value| value.to_str().unwrap_or_default());
    let essence = given.next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = types.iter().any(|known| known.eq_ignore_ascii_case(essence)) && given.next().is_none();
    let encoded = headers.get_all(CONTENT_ENCODING).iter().any(|value| value != "identity");
    if known && !encoded {
        return Ok(());
    }
    let message = format!("a body here needs Content-Type: {}, and no Content-Encoding", types.join(" or "));
    Err(Refusal { code: ErrorCode::UnsupportedMediaType, message })
}

/// Reads a body to its end, or to its bound.
pub(super) async fn read<'a, B>(mut body: B, bounds: Bounds<'a>) -> Result<Read<'a>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let begun = Instant::now();
    let mut held = bounds.budget.hold();
    let mut bytes = Vec::new();
    let mut received = 0u64;
    // `Content-Length` already says what will come.
    if body.size_hint().lower() > bounds.bytes_max + EXCESS_BYTES_MAX {
        return Err(too_large(bounds));
    }
    loop {
        let pace = Duration::from_millis(received / BODY_BYTES_PER_MS_MIN);
        let frame = match timeout_at(begun + bounds.grace + pace, body.frame()).await {
            Err(_) => return Err(bad_request("the body did not arrive in time")),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(bad_request("the body is cut or malformed")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let length = data.remaining() as u64;
        received += length;
        if received <= bounds.bytes_max {
            held.grow(length)?;
            bytes.extend_from_slice(&data);
        } else if received > bounds.bytes_max + EXCESS_BYTES_MAX {
            return Err(too_large(bounds));
        } else {
            bytes = Vec::new();
        }
    }
    if received > bounds.bytes_max {
        return Err(too_large(bounds));
    }
    Ok(Read { bytes, _held: held })
}

fn too_large(bounds: Bounds<'_>) -> Refusal {
    let message = format!("the body has more than {} bytes ({})", bounds.bytes_max, bounds.setting);
    Refusal { code: ErrorCode::TooLarge, message }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;
    use hyper::header::HeaderValue;

    use super::*;

    fn bounds(budget: &BodyBudget) -> Bounds<'_> {
        Bounds { bytes_max: 10, setting: "message_bytes", grace: Duration::from_secs(10), budget }
    }

    #[tokio::test]
    async fn up_to_the_bound_and_not_a_byte_more() {
        let budget = BodyBudget::new(100);
        let body = read(Full::from("0123456789"), bounds(&budget)).await.unwrap();
        assert_eq!((body.bytes.as_slice(), budget.bytes()), (&b"0123456789"[..], 10));
        drop(body);
        let refusal = read(Full::from("0123456789a"), bounds(&budget)).await.unwrap_err();
        assert_eq!((refusal.code, budget.bytes()), (ErrorCode::TooLarge, 0));
    }

    #[tokio::test]
    async fn all_bodies_share_a_budget() {
        let budget = BodyBudget::new(15);
        let first = read(Full::from("0123456789"), bounds(&budget)).await.unwrap();
        let refusal = read(Full::from("0123456789"), bounds(&budget)).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unavailable);
        drop(first);
        assert!(read(Full::from("0123456789"), bounds(&budget)).await.is_ok());
    }

    /// A sender that stops in the middle.
    struct Stuck(Option<Bytes>);

    impl Body for Stuck {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_sending_is_not_waited_for() {
        let budget = BodyBudget::new(100);
        let refusal = read(Stuck(Some(Bytes::from_static(b"01"))), bounds(&budget)).await.unwrap_err();
        assert_eq!((refusal.code, budget.bytes()), (ErrorCode::BadRequest, 0));
    }

    #[test]
    fn types() {
        let json = &["application/json"][..];
        let both = &["application/json", "application/x-ndjson"][..];
        let cases = [
            (json, &["application/json"][..], true),
            (json, &["Application/JSON; charset=utf-8"], true),
            (json, &["application/x-ndjson"], false),
            (both, &["application/x-ndjson"], true),
            (json, &["text/plain"], false),
            (json, &["application/x-www-form-urlencoded"], false),
            (json, &["text/plain; application/json"], false),
            (json, &["application/json", "text/plain"], false),
            (json, &["application/json, text/plain"], false),
            (json, &[], false),
        ];
        for (types, given, good) in cases {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            assert_eq!(check_type(&headers, types).is_ok(), good, "{given:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check_type(&headers, json).is_err());
    }
}

//! Bodies of requests: their types, and their bounds in size, in time, and all together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use bytes::Buf;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, timeout_at};

use super::Peer;
use super::budget::{BodyBudget, Held, unavailable};
use super::query::bad_request;
use crate::work::Work;

/// This much, or the end, has to arrive within the time that a body may be silent, so that a client that drips bytes
/// does not hold a connection for ever.
const PROGRESS_BYTES: u64 = 1024;

/// After a body over its limit, this much more is read and discarded: closing while the sender has not finished resets
/// the connection, and the sender would never see the 413.
const EXCESS_BYTES_MAX: u64 = 1 << 20;

/// The bytes of one body that are read before other requests have their turn.
const TURN_BYTES: u64 = 64 << 10;

/// A body is kept in blocks: nothing is moved when it grows, and used blocks are freed one by one. The first is small,
/// because most bodies are.
const BLOCK_BYTES: usize = 64 << 10;
const FIRST_BLOCK_BYTES: usize = 4 << 10;

/// A body that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Its bytes.
    pub(super) blocks: VecDeque<Vec<u8>>,
    /// Its share of the budget.
    pub(super) held: Held,
}

impl Read {
    /// Returns its bytes in one piece.
    pub(super) fn into_bytes(mut self) -> (Vec<u8>, Held) {
        let mut bytes = self.blocks.pop_front().unwrap_or_default();
        self.blocks.iter().for_each(|block| bytes.extend_from_slice(block));
        (bytes, self.held)
    }
}

/// The bounds of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// A larger body is `too_large`.
    pub(super) bytes_max: u64,
    /// The setting of that bound, for the error.
    pub(super) setting: &'static str,
    /// How long the next KiB, or the end, may take to arrive.
    pub(super) silence: Duration,
    /// The budget that all bodies share.
    pub(super) budget: &'a Arc<BodyBudget>,
    /// The turns in which large bodies are read.
    pub(super) work: &'a Work,
    /// The sender.
    pub(super) peer: &'a Peer,
}

/// Refuses a body whose type is not one of `types` (415). Parameters (`; charset=utf-8`) are ignored, encodings are
/// refused.
pub(super) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Refusal> {
    let mut given = headers.get_all(CONTENT_TYPE).iter().map(|value| value.to_str().unwrap_or_default());
    let essence = given.next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = types.iter().any(|known| known.eq_ignore_ascii_case(essence)) && given.next().is_none();
    // Codings are case-insensitive (RFC 9110 §8.4.1).
    let plain = |coding: &str| coding.trim().eq_ignore_ascii_case("identity");
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or_default());
    if known && encodings.all(|value| value.split(',').all(plain)) {
        return Ok(());
    }
    let message = format!("the body needs Content-Type: {}, and no Content-Encoding", types.join(" or "));
    Err(Refusal { code: ErrorCode::UnsupportedMediaType, message })
}

/// Reads a body to its end.
///
/// # Errors
/// `too_large`, `timeout`, `unavailable` when it is given up, `bad_request` when it is cut.
pub(super) async fn read<B>(mut body: B, bounds: Bounds<'_>) -> Result<Read, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let held = bounds.budget.hold(bounds.peer);
    // `Content-Length` may announce a body that is too large.
    let announced = body.size_hint().lower();
    if announced > bounds.bytes_max + EXCESS_BYTES_MAX {
        return Err(too_large(bounds));
    }
    let mut blocks = Blocks { blocks: VecDeque::new(), bytes: 0, announced };
    let (mut received, mut turn_at) = (0u64, TURN_BYTES);
    let mut deadline = Instant::now() + bounds.silence;
    loop {
        let frame = tokio::select! {
            biased;
            () = held.given_up() => return Err(unavailable()),
            frame = timeout_at(deadline, body.frame()) => frame,
        };
        let frame = match frame {
            Err(_) => return Err(too_slow(bounds)),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(bad_request("the body is cut or malformed")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let before = received;
        received += data.remaining() as u64;
        if received / PROGRESS_BYTES > before / PROGRESS_BYTES {
            deadline = Instant::now() + bounds.silence;
        }
        if received <= bounds.bytes_max {
            blocks.add(&data, &held)?;
        } else if received > bounds.bytes_max + EXCESS_BYTES_MAX {
            return Err(too_large(bounds));
        } else {
            blocks.clear(&held);
        }
        if received >= turn_at {
            turn_at = received + TURN_BYTES;
            let begun = Instant::now();
            bounds.work.turn().await;
            // The wait for a turn is not the client's silence.
            deadline += begun.elapsed();
        }
    }
    if received > bounds.bytes_max {
        return Err(too_large(bounds));
    }
    Ok(Read { blocks: blocks.blocks, held })
}

struct Blocks {
    blocks: VecDeque<Vec<u8>>,
    /// Their capacity.
    bytes: u64,
    /// The least length of the whole body, if the request says it.
    announced: u64,
}

impl Blocks {
    fn add(&mut self, mut data: &[u8], held: &Held) -> Result<(), Refusal> {
        while !data.is_empty() {
            let room = self.blocks.back().map_or(0, |block| block.capacity() - block.len());
            if room == 0 {
                let size = self.next_block();
                held.grow(size as u64)?;
                self.bytes += size as u64;
                self.blocks.push_back(Vec::with_capacity(size));
                continue;
            }
            let (now, rest) = data.split_at(room.min(data.len()));
            if let Some(block) = self.blocks.back_mut() {
                block.extend_from_slice(now);
            }
            data = rest;
        }
        Ok(())
    }

    fn next_block(&self) -> usize {
        let missing = usize::try_from(self.announced.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        match (missing, self.blocks.back()) {
            (0, None) => FIRST_BLOCK_BYTES,
            (0, Some(block)) => (2 * block.capacity()).min(BLOCK_BYTES),
            (missing, _) => missing.min(BLOCK_BYTES),
        }
    }

    fn clear(&mut self, held: &Held) {
        self.blocks = VecDeque::new();
        held.shrink(std::mem::take(&mut self.bytes));
    }
}

fn too_large(bounds: Bounds<'_>) -> Refusal {
    let message = format!("the body has more than {} bytes ({})", bounds.bytes_max, bounds.setting);
    Refusal { code: ErrorCode::TooLarge, message }
}

fn too_slow(bounds: Bounds<'_>) -> Refusal {
    let message =
        format!("neither the next KiB of the body nor its end arrived within {} ms", bounds.silence.as_millis());
    Refusal { code: ErrorCode::Timeout, message }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;
    use hyper::header::HeaderValue;
    use tokio::time::{Sleep, sleep};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(10);

    /// Reads a body of at most `bytes_max` bytes.
    async fn read_up_to<B>(body: B, bytes_max: u64, budget: &Arc<BodyBudget>) -> Result<Read, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (work, peer) = (Work::default(), Peer::new(IpAddr::from([192, 0, 2, 1])));
        let (setting, silence) = ("message_bytes", SILENCE);
        read(body, Bounds { bytes_max, setting, silence, budget, work: &work, peer: &peer }).await
    }

    #[tokio::test]
    async fn up_to_the_bound_and_not_a_byte_more() {
        let budget = BodyBudget::new(100);
        let body = read_up_to(Full::from("0123456789"), 10, &budget).await.unwrap();
        assert_eq!(budget.bytes(), 10);
        assert_eq!(body.into_bytes().0, b"0123456789");
        assert_eq!(budget.bytes(), 0);
        let refusal = read_up_to(Full::from("0123456789a"), 10, &budget).await.unwrap_err();
        assert_eq!((refusal.code, budget.bytes()), (ErrorCode::TooLarge, 0));
    }

    #[tokio::test]
    async fn all_bodies_share_a_budget_and_the_largest_is_given_up() {
        let budget = BodyBudget::new(15);
        let first = read_up_to(Full::from("0123456789"), 10, &budget).await.unwrap();
        let second = read_up_to(Full::from("012345"), 10, &budget).await.unwrap();
        assert!(first.held.is_given_up() && !second.held.is_given_up());
        drop((first, second));
        assert!(read_up_to(Full::from("0123456789"), 10, &budget).await.is_ok());
    }

    #[tokio::test]
    async fn the_blocks_together_are_what_was_sent() {
        let budget = BodyBudget::new(1 << 20);
        let sent: Vec<u8> = (0..300_000u32).map(|index| (index % 251) as u8).collect();
        for known_length in [true, false] {
            let whole = Full::from(sent.clone());
            let read = match known_length {
                true => read_up_to(whole, 1 << 20, &budget).await.unwrap(),
                false => read_up_to(Drips::of(&sent, 777, Duration::ZERO), 1 << 20, &budget).await.unwrap(),
            };
            assert!(read.blocks.iter().all(|block| block.capacity() <= BLOCK_BYTES));
            let counted: u64 = read.blocks.iter().map(|block| block.capacity() as u64).sum();
            assert_eq!(budget.bytes(), counted);
            let bytes = read.into_bytes().0;
            assert!(bytes == sent, "known length: {known_length}");
        }
    }

    /// A body that arrives in parts, with pauses, and does not announce its length. If `ends` is false, it stops
    /// without an end.
    struct Drips {
        parts: VecDeque<Bytes>,
        pause: Duration,
        ends: bool,
        sleep: Option<Pin<Box<Sleep>>>,
    }

    impl Drips {
        fn of(bytes: &[u8], at_once: usize, pause: Duration) -> Self {
            let parts = bytes.chunks(at_once).map(Bytes::copy_from_slice).collect();
            Self { parts, pause, ends: true, sleep: None }
        }
    }

    impl Body for Drips {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let pause = self.pause;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(pause)));
            if pause > Duration::ZERO && sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
            match self.parts.pop_front() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_make_progress() {
        let budget = BodyBudget::new(1 << 20);
        let bytes = vec![b'x'; 5 * 1024];
        let second = Duration::from_secs(1);
        for (at_once, pause, ends, good, at_most) in [
            // A KiB in nine seconds, then the end.
            (128, second, true, true, 50 * second),
            // A KiB in eleven.
            (100, second, true, false, 11 * second),
            // All but the end.
            (1024, second, false, false, 16 * second),
            // Nothing at all.
            (1024, 100 * second, true, false, 11 * second),
        ] {
            let begun = Instant::now();
            let result = read_up_to(Drips { ends, ..Drips::of(&bytes, at_once, pause) }, 1 << 20, &budget).await;
            let code = result.as_ref().map(drop).map_err(|refusal| refusal.code);
            assert_eq!(code, if good { Ok(()) } else { Err(ErrorCode::Timeout) }, "{at_once} bytes at a time");
            assert!(begun.elapsed() <= at_most, "{at_once} bytes at a time: {:?}", begun.elapsed());
            drop(result);
            assert_eq!(budget.bytes(), 0);
        }
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
        for (coding, good) in [
            ("gzip", false),
            ("identity", true),
            ("Identity", true),
            ("IDENTITY, identity", true),
            ("identity, gzip", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert_eq!(check_type(&headers, json).is_ok(), good, "{coding}");
        }
    }
}

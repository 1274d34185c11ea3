//! The bodies of answers. Most have a few hundred bytes and are made at once. Large ones are made while they are
//! written, a portion per turn. So a listing of a million topics, or a history of gigabytes, costs this thread a
//! fraction of a millisecond at a time, and memory for one portion, however slowly its client reads.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use broker_protocol::request::Refusal;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::budget::Held;
use crate::work::Work;

/// The bytes of an answer that are written in one turn. An answer that is not longer has a `Content-Length`.
pub(super) const PORTION_BYTES: usize = 64 << 10;

/// The steps of one turn. A step is a visit to one name in a directory of a million, or work that takes about as long,
/// 1 to 2 µs.
const STEPS: usize = 256;
/// The steps that a request does without a turn, because it most likely needs no more.
const STEPS_AT_ONCE: usize = 64;

/// A source of an answer that is made in portions.
pub(super) trait Source: Send + 'static {
    /// Writes to `out` for at most `steps` steps, or until `out` is full. Returns `false` once there is no more.
    fn go_on(&mut self, out: &mut Out, steps: &mut usize) -> bool;
}

/// A message without its WebSocket head.
pub(super) struct Payload(pub(super) broker_protocol::frame::Frame);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.payload()
    }
}

/// The output of a source.
#[derive(Debug, Default)]
pub(super) struct Out {
    bytes: Vec<u8>,
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Out {
    /// Appends what `write` writes.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.len += self.bytes.len() - before;
    }

    /// Appends bytes that are shared with their other holders. Short ones are copied.
    pub(super) fn push(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) {
        if bytes.as_ref().len() < PORTION_BYTES {
            self.write(|out| out.extend_from_slice(bytes.as_ref()));
            return;
        }
        self.len += bytes.as_ref().len();
        self.close_piece();
        self.pieces.push_back(Bytes::from_owner(bytes));
    }

    /// Returns all of it, for tests.
    #[cfg(test)]
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.take(usize::MAX)).flatten().collect()
    }

    /// Returns whether a portion is full.
    pub(super) fn is_full(&self) -> bool {
        self.len >= PORTION_BYTES
    }

    fn close_piece(&mut self) {
        if !self.bytes.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.bytes).into());
        }
    }

    /// Takes the next bytes, at most `bytes_max`.
    fn take(&mut self, bytes_max: usize) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.close_piece();
        }
        let mut piece = self.pieces.pop_front()?;
        if piece.len() > bytes_max {
            let rest = piece.split_off(bytes_max);
            self.pieces.push_front(rest);
        }
        self.len -= piece.len();
        Some(piece)
    }
}

/// The body of an answer.
#[derive(Default)]
pub struct AnswerBody {
    out: Out,
    /// Whether a portion of `out` may be written: it is the first one, or its turn has come.
    may_go: bool,
    rest: Option<Rest>,
    /// Its share of the budget.
    held: Option<Held>,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("bytes", &self.out.len).field("rest", &self.rest.is_some()).finish()
    }
}

/// The part that is still to be made, and the turns in which it is made.
struct Rest {
    work: Arc<Work>,
    source: Option<Box<dyn Source>>,
    turn: Option<Turn>,
}

/// A turn that was requested, and its output.
type Turn = Pin<Box<dyn Future<Output = (Option<Box<dyn Source>>, Out)> + Send>>;

/// The answer held most of a budget that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp;

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer held most of bodies_bytes_max, and was given up")
    }
}

impl std::error::Error for GivenUp {}

impl From<Vec<u8>> for AnswerBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        let pieces = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([bytes]) };
        Self { out: Out { bytes: Vec::new(), pieces, len }, ..Self::default() }
    }
}

impl AnswerBody {
    /// Makes a body of output that exists already, of any length. Beyond one portion it is written in turns. `held`
    /// counts it.
    pub(super) fn of(out: Out, work: &Arc<Work>, held: Held) -> Result<Self, Refusal> {
        held.set(out.len as u64)?;
        held.is_written();
        let rest = (out.len > PORTION_BYTES).then(|| Rest { work: work.clone(), source: None, turn: None });
        Ok(Self { out, may_go: true, rest, held: Some(held) })
    }

    /// Makes a body from a source. The first portion is made here; if that is all, the body's length is known.
    pub(super) async fn from_source(
        mut source: Box<dyn Source>,
        work: &Arc<Work>,
        held: Held,
    ) -> Result<Self, Refusal> {
        let mut out = Out::default();
        let mut more = source.go_on(&mut out, &mut STEPS_AT_ONCE.clone());
        while more && !out.is_full() {
            work.turn().await;
            more = source.go_on(&mut out, &mut STEPS.clone());
        }
        let mut body = Self::of(out, work, held)?;
        if more {
            body.rest = Some(Rest { work: work.clone(), source: Some(source), turn: None });
        }
        Ok(body)
    }
}

/// Waits for a turn, and makes the source's next portion in it if there is a source: there is none while earlier output
/// is left.
async fn turn(work: Arc<Work>, source: Option<Box<dyn Source>>, mut out: Out) -> (Option<Box<dyn Source>>, Out) {
    work.turn().await;
    let Some(mut source) = source else { return (None, out) };
    let more = source.go_on(&mut out, &mut STEPS.clone());
    (more.then_some(source), out)
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let body = self.get_mut();
        let Some(rest) = &mut body.rest else {
            return Poll::Ready(body.out.take(usize::MAX).map(|bytes| Ok(Frame::data(bytes))));
        };
        loop {
            if std::mem::take(&mut body.may_go)
                && let Some(bytes) = body.out.take(PORTION_BYTES)
            {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if body.out.len == 0 && rest.source.is_none() && rest.turn.is_none() {
                return Poll::Ready(None);
            }
            let next = rest.turn.get_or_insert_with(|| {
                let source = if body.out.len == 0 { rest.source.take() } else { None };
                Box::pin(turn(rest.work.clone(), source, std::mem::take(&mut body.out)))
            });
            let (source, out) = ready!(next.as_mut().poll(cx));
            rest.turn = None;
            rest.source = source.or(rest.source.take());
            if body.held.as_ref().is_some_and(|held| held.set(out.len as u64).is_err()) {
                return Poll::Ready(Some(Err(GivenUp)));
            }
            (body.out, body.may_go) = (out, true);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.out.len == 0 && !self.is_open()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_open() { SizeHint::default() } else { SizeHint::with_exact(self.out.len as u64) }
    }
}

impl AnswerBody {
    /// Returns whether more may be made than there is now.
    fn is_open(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.source.is_some() || rest.turn.is_some())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use std::net::IpAddr;

    use super::super::{BodyBudget, Peer};
    use super::*;

    fn hold(budget: &Arc<BodyBudget>) -> Held {
        budget.hold(&Peer::new(IpAddr::from([192, 0, 2, 1])))
    }

    /// Writes numbers, with idle steps between them.
    struct Numbers {
        next: usize,
        count: usize,
        idle: usize,
    }

    impl Source for Numbers {
        fn go_on(&mut self, out: &mut Out, steps: &mut usize) -> bool {
            while *steps > 0 && !out.is_full() {
                *steps -= 1;
                if self.next == self.count {
                    return false;
                }
                if self.next % (self.idle + 1) == self.idle {
                    out.write(|out| out.extend_from_slice(format!("{},", self.next).as_bytes()));
                }
                self.next += 1;
            }
            true
        }
    }

    async fn frames(mut body: AnswerBody) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream());
        frames
    }

    #[tokio::test]
    async fn a_source_is_written_whole_in_portions() {
        let (work, budget) = (Arc::<Work>::default(), BodyBudget::new(1 << 20));
        for (count, idle) in [(0, 0), (1, 0), (5, 0), (70, 0), (1000, 99), (50_000, 0), (50_000, 3), (3_000, 4_000)] {
            let numbers = Numbers { next: 0, count, idle };
            let body = AnswerBody::from_source(Box::new(numbers), &work, hold(&budget)).await.unwrap();
            let expected: String =
                (0..count).filter(|n| n % (idle + 1) == idle).map(|number| format!("{number},")).collect();
            let exact = body.size_hint().exact();
            assert_eq!(exact, (expected.len() <= PORTION_BYTES).then_some(expected.len() as u64), "{count} {idle}");
            let frames = frames(body).await;
            assert!(frames.iter().all(|frame| !frame.is_empty() && frame.len() <= PORTION_BYTES + 10));
            assert_eq!(frames.concat(), expected.as_bytes(), "{count} {idle}");
            assert_eq!(budget.bytes(), 0);
        }
    }

    #[tokio::test]
    async fn large_bytes_are_not_copied_and_are_written_in_portions() {
        let (work, budget) = (Arc::<Work>::default(), BodyBudget::new(1 << 20));
        let large = vec![b'x'; 3 * PORTION_BYTES + 5];
        let at = large.as_ptr();
        let mut out = Out::default();
        out.write(|out| out.extend_from_slice(b"before"));
        out.push(large);
        out.push(b"after");
        let body = AnswerBody::of(out, &work, hold(&budget)).unwrap();
        let len = 3 * PORTION_BYTES as u64 + 16;
        assert_eq!((body.size_hint().exact(), budget.bytes()), (Some(len), len));
        let frames = frames(body).await;
        assert_eq!(
            frames.iter().map(Bytes::len).collect::<Vec<_>>(),
            [6, PORTION_BYTES, PORTION_BYTES, PORTION_BYTES, 5, 5]
        );
        assert_eq!(frames[1].as_ptr(), at);
    }
}

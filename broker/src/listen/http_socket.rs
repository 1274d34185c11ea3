//! A connection's socket while it speaks HTTP. It does what hyper does not:
//!
//! - a request that hyper cannot read is answered by hyper itself, without a body, and the service is not called. That
//!   answer is replaced by an error as in `docs/protocol.md` (HTTP);
//! - a client that reads nothing of its answer for `stall_ms` is given up;
//! - the service can ask whether a request arrived together with the one before, and whether all answers so far are
//!   written;
//! - the shutdown waits a moment for the client to close its side: closing a socket with unread bytes resets the
//!   connection, and the client might lose the answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use super::wire::Wire;
use crate::http::error_bytes_with_status;
use crate::http::sockets::Place;
use crate::stall::{later_by_kernel, more_patience};

/// The time that the client has to hang up after the last answer.
const LINGER: Duration = Duration::from_secs(1);
/// The most bytes that one read discards meanwhile.
const DISCARD_BYTES: usize = 4096;
/// More than the head of an answer that hyper makes by itself: a status line and three fields.
const BARE_HEAD_BYTES_MAX: usize = 256;

/// The socket.
pub(super) struct HttpSocket {
    wire: Wire,
    stall: Duration,
    /// When to give up a client that takes nothing, or does not hang up.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The answer that replaces one of hyper's, and how many of its bytes are written.
    replacement: Vec<u8>,
    written: usize,
    /// Whether the client was told that nothing follows.
    is_shut: bool,
    state: Arc<SocketState>,
    place: Arc<Place>,
}

/// What a connection's service knows of its socket.
#[derive(Debug, Default)]
pub(super) struct SocketState {
    /// Bytes have arrived since the last [`SocketState::take_arrived`].
    arrived: AtomicBool,
    /// Bytes were written that may not be sent yet.
    is_unflushed: AtomicBool,
    /// Notified when everything that was written is sent.
    all_sent: Notify,
    /// A request is being answered.
    is_answering: AtomicBool,
    /// A request was answered.
    has_answered: AtomicBool,
    /// The head that is being read names a body length that hyper treats as one of its own markers.
    names_huge_length: AtomicBool,
}

impl SocketState {
    /// Notes that a request is being answered.
    pub(super) fn begin(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
        self.names_huge_length.store(false, Ordering::Relaxed);
    }

    /// Notes that the request has its answer.
    pub(super) fn end(&self) {
        self.is_answering.store(false, Ordering::Relaxed);
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Returns whether no request is being answered, but one was before.
    pub(super) fn is_idle(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed) && !self.is_answering.load(Ordering::Relaxed)
    }

    /// Returns whether bytes have arrived since the last call. If not, the request that is being answered arrived
    /// together with an earlier one.
    pub(super) fn take_arrived(&self) -> bool {
        self.arrived.swap(false, Ordering::Relaxed)
    }

    /// Waits until everything that was written is sent.
    pub(super) async fn flushed(&self) {
        while self.is_unflushed() {
            self.all_sent.notified().await;
        }
    }

    /// Returns whether something was written that may not be sent yet.
    pub(super) fn is_unflushed(&self) -> bool {
        self.is_unflushed.load(Ordering::Relaxed)
    }

    /// Returns whether this is a change.
    fn set_unflushed(&self, is_unflushed: bool) -> bool {
        let is_change = self.is_unflushed.swap(is_unflushed, Ordering::Relaxed) != is_unflushed;
        if is_change && !is_unflushed {
            self.all_sent.notify_one();
        }
        is_change
    }
}

impl HttpSocket {
    /// Wraps a socket that holds `place`. Its client is given up when it takes nothing for `stall`.
    pub(super) fn new(wire: Wire, stall: Duration, place: Arc<Place>) -> Self {
        let (replacement, state) = (Vec::new(), Arc::default());
        Self { wire, stall, deadline: None, replacement, written: 0, is_shut: false, state, place }
    }

    /// Returns the socket itself, after an upgrade.
    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Returns what the service knows of it.
    pub(super) fn state(&self) -> Arc<SocketState> {
        self.state.clone()
    }

    /// Returns whether the deadline has passed. The first call sets it to `wait` from now.
    fn deadline_passed(&mut self, cx: &mut Context<'_>, wait: Duration) -> bool {
        self.deadline.get_or_insert_with(|| Box::pin(sleep(wait))).as_mut().poll(cx).is_ready()
    }

    /// Writes to the socket. Fails if the client has stalled.
    fn poll_write_or_stall(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.or_stall(cx, result)
    }

    /// Returns the result of an operation that waits for the client to take something, or the error of a client that has
    /// stalled.
    fn or_stall<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.wire.take_moved() {
            self.deadline = None;
        }
        match result {
            Poll::Ready(result) => {
                self.deadline = None;
                Poll::Ready(result)
            }
            Poll::Pending if self.deadline_passed(cx, self.stall) && self.has_stalled(cx) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Returns whether to give up a client whose socket took nothing for `stall`. If not, sets a new deadline.
    fn has_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let stream = self.wire.stream();
        let more = more_patience(stream.local_addr(), stream.peer_addr(), self.stall);
        self.deadline = None;
        if more.is_zero() {
            return true;
        }
        later_by_kernel(self.wire.stream(), self.stall);
        self.deadline_passed(cx, more)
    }

    /// Writes the rest of the replacement.
    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.replacement.len() {
            let replacement = std::mem::take(&mut self.replacement);
            let result = self.poll_write_or_stall(cx, &replacement[self.written..]);
            self.replacement = replacement;
            match ready!(result)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = bytes.filled().len();
        let result = Pin::new(&mut socket.wire).poll_read(cx, bytes);
        let arrived = &bytes.filled()[before..];
        if !arrived.is_empty() {
            socket.state.arrived.store(true, Ordering::Relaxed);
            // Bodies are not searched.
            if !socket.state.is_answering.load(Ordering::Relaxed) {
                socket.state.names_huge_length.fetch_or(has_huge_length(arrived), Ordering::Relaxed);
            }
        }
        result
    }
}

impl AsyncWrite for HttpSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        socket.state.set_unflushed(true);
        ready!(socket.poll_replacement(cx))?;
        match with_own_error(bytes, socket.state.names_huge_length.load(Ordering::Relaxed)) {
            // It is sent with the flush that follows each of hyper's writes.
            Some(replacement) => {
                (socket.replacement, socket.written) = (replacement, 0);
                Poll::Ready(Ok(bytes.len()))
            }
            None => socket.poll_write_or_stall(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        ready!(socket.poll_replacement(cx))?;
        let sent = Pin::new(&mut socket.wire).poll_flush(cx);
        ready!(socket.or_stall(cx, sent))?;
        // Hyper flushes once its own buffer is empty: it has nothing more to write.
        if socket.state.set_unflushed(false) {
            socket.place.begin_anew();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        ready!(socket.poll_replacement(cx))?;
        if !socket.is_shut {
            let shut = Pin::new(&mut socket.wire).poll_shutdown(cx);
            ready!(socket.or_stall(cx, shut))?;
            socket.is_shut = true;
        }
        loop {
            let mut discard = [0; DISCARD_BYTES];
            let mut discard = ReadBuf::new(&mut discard);
            match Pin::new(&mut socket.wire).poll_read(cx, &mut discard) {
                Poll::Ready(Ok(())) if !discard.filled().is_empty() && !socket.deadline_passed(cx, LINGER) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending if socket.deadline_passed(cx, LINGER) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Returns what to send in place of `bytes`, if they end with an error that hyper made by itself: what precedes it, and
/// an error of our own.
fn with_own_error(bytes: &[u8], names_huge_length: bool) -> Option<Vec<u8>> {
    let (at, status) = bare_error(bytes)?;
    let (status, code, message) = match status {
        // The message names the most likely cause: `curl` sends `?match=stocks.>` as it is.
        StatusCode::BAD_REQUEST => (
            status,
            ErrorCode::BadRequest,
            "this is not a valid HTTP/1.1 request; in a URL, > must be written as %3E, and a space as %20",
        ),
        StatusCode::URI_TOO_LONG => (status, ErrorCode::TooLarge, "the URL is too long"),
        // Hyper treats a body of 2^64-1 or 2^64-2 bytes as a head that is too large.
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if names_huge_length => (
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooLarge,
            "the body is larger than any body that is accepted here (Content-Length)",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            status,
            ErrorCode::TooLarge,
            "the request line and the headers exceed header_bytes_max, or there are too many headers",
        ),
        _ => return None,
    };
    let error = error_bytes_with_status(status, &Refusal { code, message: message.into() });
    Some([&bytes[..at], &error].concat())
}

/// Returns the offset and the status of the error that hyper made by itself, if `bytes` end with one. Such an error has
/// no body. All errors of ours have one, and a body cannot be mistaken for such an error: JSON has no line breaks.
///
/// In each write hyper passes all that it still has. Such an error is short and comes last: only the end is searched.
fn bare_error(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    const BEGIN: &[u8] = b"HTTP/1.1 4";
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail = bytes.len().saturating_sub(BARE_HEAD_BYTES_MAX);
    let at = tail + bytes[tail..].windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
    let head = std::str::from_utf8(&bytes[at..]).ok()?;
    let is_bare = head.contains("\r\ncontent-length: 0\r\n")
        && !head.contains("content-type:")
        && head.matches("\r\n\r\n").count() == 1;
    if !is_bare {
        return None;
    }
    Some((at, head.get(9..12)?.parse().ok()?))
}

/// Returns whether one of the two lengths that hyper treats as markers (2^64-1 and 2^64-2) is among these bytes.
fn has_huge_length(bytes: &[u8]) -> bool {
    const DIGITS: &[u8] = b"1844674407370955161";
    bytes
        .windows(DIGITS.len() + 1)
        .any(|window| window.starts_with(DIGITS) && matches!(window.last(), Some(b'4' | b'5')))
}

#[cfg(test)]
mod tests {
    use super::with_own_error;

    #[test]
    fn only_an_error_without_a_body_is_replaced() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let ours = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let empty = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for text in [ours, empty, good, "", "HTTP/1.1 4", &bare[..bare.len() - 1]] {
            assert_eq!(with_own_error(text.as_bytes(), false), None, "{text:?}");
        }
        for before in ["", good, ours] {
            let text = String::from_utf8(with_own_error(format!("{before}{bare}").as_bytes(), false).unwrap()).unwrap();
            let added = text.strip_prefix(before).unwrap();
            let (head, body) = added.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("\r\nconnection: close"), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            assert!(body.contains("bad_request"), "{body}");
        }
    }
}

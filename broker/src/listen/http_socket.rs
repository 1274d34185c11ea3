//! A connection's socket while it speaks HTTP, with what hyper leaves to us:
//!
//! - a request that hyper cannot read is answered by hyper itself, without a body, and no service is asked. In place of such
//!   an answer goes an error as PROTOCOL §6 has it;
//! - a client that reads nothing of its answer for `stall_ms` is not waited for;
//! - whether a request came together with the one before, and whether all answers so far are written, is told to the
//!   service that answers;
//! - the end waits a moment for the client's own: closing with bytes unread resets, and would take the answer along.

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
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use crate::http::error_bytes_with_status;
use crate::http::sockets::Place;
use crate::stall::{later_by_kernel, more_patience};

/// How long the client may take to hang up after the last answer.
const LINGER: Duration = Duration::from_secs(1);
/// What is thrown away at once meanwhile.
const RUBBISH_BYTES: usize = 4096;
/// More than the head of an answer that hyper makes by itself: a status, three fields.
const BARE_HEAD_BYTES_MAX: usize = 256;

/// The socket.
pub(super) struct HttpSocket {
    stream: TcpStream,
    stall: Duration,
    /// When patience ends with a client that takes nothing, or does not hang up.
    patience: Option<Pin<Box<Sleep>>>,
    /// An answer in place of one of hyper's, and how much of it is written.
    instead: Vec<u8>,
    written: usize,
    flow: Arc<Flow>,
    place: Arc<Place>,
}

/// What the service of a connection hears of its socket.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes have arrived since somebody asked.
    arrived: AtomicBool,
    /// Bytes were written that may not be out yet.
    is_dirty: AtomicBool,
    cleaned: Notify,
    /// A request is being answered, or one was.
    is_asked: AtomicBool,
    was_asked: AtomicBool,
    /// The head that is being read names a length that hyper takes for one of its own numbers.
    is_endless: AtomicBool,
}

impl Flow {
    /// A request is being answered.
    pub(super) fn begin(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        self.is_endless.store(false, Ordering::Relaxed);
    }

    /// It has its answer.
    pub(super) fn end(&self) {
        self.is_asked.store(false, Ordering::Relaxed);
        self.was_asked.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is asked at the moment, but was before.
    pub(super) fn is_idle(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed) && !self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether bytes have arrived since the last call. The request that is answered was among them, or else it arrived
    /// together with an earlier one.
    pub(super) fn take_arrived(&self) -> bool {
        self.arrived.swap(false, Ordering::Relaxed)
    }

    /// Waits until everything that was written is out.
    pub(super) async fn flushed(&self) {
        while self.is_dirty() {
            self.cleaned.notified().await;
        }
    }

    /// Whether something was written that may not be out yet.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty.load(Ordering::Relaxed)
    }

    /// Returns whether that is new.
    fn set_dirty(&self, is_dirty: bool) -> bool {
        let is_new = self.is_dirty.swap(is_dirty, Ordering::Relaxed) != is_dirty;
        if is_new && !is_dirty {
            self.cleaned.notify_one();
        }
        is_new
    }
}

impl HttpSocket {
    /// Around a socket in its place, whose client may take nothing for `stall`.
    pub(super) fn new(stream: TcpStream, stall: Duration, place: Arc<Place>) -> Self {
        Self { stream, stall, patience: None, instead: Vec::new(), written: 0, flow: Arc::default(), place }
    }

    /// The socket itself, after an upgrade.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// What is heard of it.
    pub(super) fn flow(&self) -> Arc<Flow> {
        self.flow.clone()
    }

    /// Whether patience, which began at the first call, has ended.
    fn waited(&mut self, cx: &mut Context<'_>, patience: Duration) -> bool {
        self.patience.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx).is_ready()
    }

    fn poll_patiently(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(result) => {
                self.patience = None;
                Poll::Ready(result)
            }
            Poll::Pending if self.waited(cx, self.stall) && self.has_stalled(cx) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether a client whose socket took nothing for so long is given up. If not, it is waited for anew.
    fn has_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let more = more_patience(self.stream.local_addr(), self.stream.peer_addr(), self.stall);
        self.patience = None;
        if more.is_zero() {
            return true;
        }
        later_by_kernel(&self.stream, self.stall);
        self.waited(cx, more)
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.instead.len() {
            let instead = std::mem::take(&mut self.instead);
            let result = self.poll_patiently(cx, &instead[self.written..]);
            self.instead = instead;
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
        let result = Pin::new(&mut socket.stream).poll_read(cx, bytes);
        let arrived = &bytes.filled()[before..];
        if !arrived.is_empty() {
            socket.flow.arrived.store(true, Ordering::Relaxed);
            // Of bodies this is not asked.
            if !socket.flow.is_asked.load(Ordering::Relaxed) {
                socket.flow.is_endless.fetch_or(names_endless_body(arrived), Ordering::Relaxed);
            }
        }
        result
    }
}

impl AsyncWrite for HttpSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        socket.flow.set_dirty(true);
        ready!(socket.poll_instead(cx))?;
        match with_own_error(bytes, socket.flow.is_endless.load(Ordering::Relaxed)) {
            // It goes out with the flush that follows every write of hyper's.
            Some(instead) => {
                (socket.instead, socket.written) = (instead, 0);
                Poll::Ready(Ok(bytes.len()))
            }
            None => socket.poll_patiently(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        ready!(socket.poll_instead(cx))?;
        // Whoever flushes has nothing more to write: hyper does so once its own buffer is empty.
        if socket.flow.set_dirty(false) {
            socket.place.begin_anew();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        ready!(socket.poll_instead(cx))?;
        ready!(Pin::new(&mut socket.stream).poll_shutdown(cx))?;
        loop {
            let mut rubbish = [0; RUBBISH_BYTES];
            let mut rubbish = ReadBuf::new(&mut rubbish);
            match Pin::new(&mut socket.stream).poll_read(cx, &mut rubbish) {
                Poll::Ready(Ok(())) if !rubbish.filled().is_empty() && !socket.waited(cx, LINGER) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending if socket.waited(cx, LINGER) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What to send in place of `bytes`, where they end with an error that hyper made by itself: what came before it, and an
/// error of our own.
fn with_own_error(bytes: &[u8], is_endless: bool) -> Option<Vec<u8>> {
    let (at, status) = bare_error(bytes)?;
    let (status, code, message) = match status {
        // What `curl` sends of `?match=stocks.>`, to name what a stranger is most likely to see this for.
        StatusCode::BAD_REQUEST => (
            status,
            ErrorCode::BadRequest,
            "this is no HTTP/1.1 request; in a URL, > has to be written %3E, and a space %20",
        ),
        StatusCode::URI_TOO_LONG => (status, ErrorCode::TooLarge, "the URL is too long"),
        // Hyper treats a body of 2^64-1 or 2^64-2 bytes as a head that is too large.
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if is_endless => (
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooLarge,
            "the body has more bytes than any that is taken here (Content-Length)",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            status,
            ErrorCode::TooLarge,
            "the request line and the headers are larger than header_bytes_max, or too many",
        ),
        _ => return None,
    };
    let error = error_bytes_with_status(status, &Refusal { code, message: message.into() });
    Some([&bytes[..at], &error].concat())
}

/// Where the error begins that hyper made by itself, if `bytes` end with one, and its status. It has no body. All of ours
/// have one, and none of these can look like that: within JSON there is no line break.
///
/// Hyper hands over all that it still has at every write. Such an answer is short, and the last: only the end is searched.
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

/// Whether the two lengths are among these bytes, which hyper takes for something else.
fn names_endless_body(bytes: &[u8]) -> bool {
    const DIGITS: &[u8] = b"1844674407370955161";
    bytes
        .windows(DIGITS.len() + 1)
        .any(|window| window.starts_with(DIGITS) && matches!(window.last(), Some(b'4' | b'5')))
}

#[cfg(test)]
mod tests {
    use super::with_own_error;

    #[test]
    fn only_an_error_without_a_body_gets_one() {
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

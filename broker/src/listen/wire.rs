//! A connection's socket on the main thread, with TLS or without: what `HttpSocket` reads from and writes to.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{self, Flushed, HANDSHAKE_BYTES_MAX};

/// The ciphertext of one read.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// The memory into which this thread reads ciphertext, behind what is left of the read before.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; HANDSHAKE_BYTES_MAX + READ_BYTES].into_boxed_slice());
}

/// The socket, with what is between it and HTTP.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsSocket>),
}

/// A socket with TLS.
pub(super) struct TlsSocket {
    stream: TcpStream,
    tls: Box<tls::Wire>,
    /// Plaintext that was not asked for yet; the first `used` bytes are gone.
    plain: Vec<u8>,
    used: usize,
    /// Nothing follows.
    ended: bool,
    /// Bytes that were held have left since this was last asked.
    moved: bool,
}

/// A connection's parts when it no longer speaks HTTP.
pub(super) struct Parts {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Box<tls::Wire>>,
    /// What was decrypted and not asked for.
    pub(super) plain: Vec<u8>,
}

impl Wire {
    /// The socket itself.
    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(socket) => &socket.stream,
        }
    }

    /// Who the client is by its certificate.
    pub(super) fn identity(&self) -> Option<Arc<str>> {
        match self {
            Wire::Plain(_) => None,
            Wire::Tls(socket) => socket.tls.identity(),
        }
    }

    /// Returns whether the client took some of the bytes that were held for it, since the last call. A write that has to
    /// wait for the others shows nothing of that.
    pub(super) fn take_moved(&mut self) -> bool {
        match self {
            Wire::Plain(_) => false,
            Wire::Tls(socket) => std::mem::take(&mut socket.moved),
        }
    }

    /// Sends as much of `bytes` as the kernel takes at once, and does not wait.
    pub(super) fn try_send(&mut self, bytes: &[u8]) {
        // Fails if the client is gone, and then nobody needs them.
        let _ = match self {
            Wire::Plain(stream) => stream.try_write(bytes),
            Wire::Tls(socket) => {
                let TlsSocket { stream, tls, .. } = &mut **socket;
                tls.write(&mut Trying(stream), bytes)
            }
        };
    }

    /// Tells a client with TLS that nothing follows, without waiting. The socket is dropped after this.
    pub(super) fn say_goodbye(&mut self) {
        if let Wire::Tls(socket) = self {
            let TlsSocket { stream, tls, .. } = &mut **socket;
            tls.close();
            // Fails if the client is gone.
            let _ = tls.flush(&mut Trying(stream));
        }
    }

    /// Takes it apart.
    pub(super) fn into_parts(self) -> Parts {
        match self {
            Wire::Plain(stream) => Parts { stream, tls: None, plain: Vec::new() },
            Wire::Tls(socket) => {
                let TlsSocket { stream, tls, mut plain, used, .. } = *socket;
                plain.drain(..used);
                Parts { stream, tls: Some(tls), plain }
            }
        }
    }
}

impl TlsSocket {
    /// Wraps a socket that nothing was read from.
    pub(super) fn new(stream: TcpStream, tls: Box<tls::Wire>) -> Self {
        Self { stream, tls, plain: Vec::new(), used: 0, ended: false, moved: false }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn tls(&self) -> &tls::Wire {
        &self.tls
    }

    /// Reads once, and takes in what has come. Answers of TLS itself are held.
    pub(super) fn poll_take_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        BUFFER.with_borrow_mut(|buffer| {
            let at = self.tls.part_len();
            let mut room = ReadBuf::new(&mut buffer[at..at + READ_BYTES]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            let len = room.filled().len();
            if len == 0 {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            let result = self.tls.take_in(&mut buffer[..at + len], &mut self.plain);
            self.ended |= self.tls.peer_has_closed();
            Poll::Ready(result.map(drop))
        })
    }

    /// Waits until there is plaintext to be read, or the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.plain.is_empty() && !self.ended {
            let result = ready!(self.poll_take_in(cx));
            // The alert, if there is one, goes if it can.
            let _ = self.poll_send(cx);
            result?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is held.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, tls, moved, .. } = self;
        match tls.flush(&mut Polled(stream, cx))? {
            Flushed::All => Poll::Ready(Ok(())),
            flushed => {
                *moved |= flushed == Flushed::Some;
                Poll::Pending
            }
        }
    }

    /// Whether the client has closed the connection.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

/// A socket that is written to without waiting.
struct Trying<'a>(&'a TcpStream);

impl io::Write for Trying<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket whose task is woken when it takes bytes again.
struct Polled<'a, 'c, 'w>(&'a mut TcpStream, &'c mut Context<'w>);

impl io::Write for Polled<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.0).poll_write(self.1, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, bytes),
            Wire::Tls(socket) => {
                ready!(socket.poll_fill(cx))?;
                let rest = &socket.plain[socket.used..];
                let len = rest.len().min(bytes.remaining());
                bytes.put_slice(&rest[..len]);
                socket.used += len;
                if socket.used == socket.plain.len() {
                    (socket.plain, socket.used) = (Vec::new(), 0);
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(socket) => {
                ready!(socket.poll_send(cx))?;
                let TlsSocket { stream, tls, .. } = &mut **socket;
                Poll::Ready(tls.write(&mut Polled(stream, cx), bytes))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(socket) => socket.poll_send(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(socket) => {
                socket.tls.close();
                ready!(socket.poll_send(cx))?;
                Pin::new(&mut socket.stream).poll_shutdown(cx)
            }
        }
    }
}

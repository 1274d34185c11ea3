//! A socket, with or without TLS. Without TLS it has the operating system's own two halves, which need no lock.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

#[cfg(feature = "tls")]
pub(super) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;
/// Without the feature there is none: nothing makes one.
#[cfg(not(feature = "tls"))]
pub(super) type TlsStream = tokio::io::Empty;

pub(super) type Socket = Wire<TcpStream, Box<TlsStream>>;
pub(crate) type Writer = Wire<OwnedWriteHalf, WriteHalf<Box<TlsStream>>>;
pub(super) type SocketReader = Wire<OwnedReadHalf, ReadHalf<Box<TlsStream>>>;

#[derive(Debug)]
pub(crate) enum Wire<P, T> {
    Plain(P),
    Tls(T),
}

impl Socket {
    pub(super) fn split(self) -> (SocketReader, Writer) {
        match self {
            Wire::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (Wire::Plain(reader), Wire::Plain(writer))
            }
            Wire::Tls(stream) => {
                let (reader, writer) = tokio::io::split(stream);
                (Wire::Tls(reader), Wire::Tls(writer))
            }
        }
    }
}

impl<P: AsyncRead + Unpin, T: AsyncRead + Unpin> AsyncRead for Wire<P, T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(plain) => Pin::new(plain).poll_read(context, buf),
            Wire::Tls(tls) => Pin::new(tls).poll_read(context, buf),
        }
    }
}

impl<P: AsyncWrite + Unpin, T: AsyncWrite + Unpin> AsyncWrite for Wire<P, T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(plain) => Pin::new(plain).poll_write(context, buf),
            Wire::Tls(tls) => Pin::new(tls).poll_write(context, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(plain) => Pin::new(plain).poll_flush(context),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(plain) => Pin::new(plain).poll_shutdown(context),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

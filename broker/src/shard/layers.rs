//! What is between a connection's messages and its socket: the marks of Server-Sent Events, and TLS. A plain WebSocket
//! connection has neither, and the engine's bytes go to its socket as they are.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};

use broker_engine::Wrote;

use super::sse::Writer;
use crate::tls::{self, Flushed};

/// The layers of one connection, at least one of them.
#[derive(Default)]
pub(super) struct Layers {
    /// The writer of Server-Sent Events; `None` for WebSocket.
    pub(super) sse: Option<Writer>,
    /// Its TLS, if it has any.
    pub(super) tls: Option<Box<tls::Wire>>,
    /// Whether nothing follows what is held.
    finished: bool,
}

/// The way from the writer to the socket.
struct Way<'a> {
    stream: &'a mut TcpStream,
    tls: Option<&'a mut tls::Wire>,
}

impl Write for Way<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(self.stream, bytes),
            None => self.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Layers {
    /// Returns the layers of a connection, if it has any.
    pub(super) fn of(tls: Option<Box<tls::Wire>>, follows_events: bool) -> Option<Box<Layers>> {
        let sse = follows_events.then(Writer::default);
        (tls.is_some() || sse.is_some()).then(|| Box::new(Layers { sse, tls, finished: false }))
    }

    /// Takes bytes of the output. What the socket does not take at once is held: a turn of Server-Sent Events, and one
    /// record of TLS.
    pub(super) fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> Wrote {
        let written = match &mut self.sse {
            Some(writer) => {
                // Without its own TLS, the writer's flush alone says whether anything is held.
                match writer.flush(&mut Way { stream, tls: self.tls.as_deref_mut() }) {
                    Ok(true) => {
                        writer.take(bytes);
                        Ok(bytes.len())
                    }
                    Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(error) => Err(error),
                }
            }
            None => Way { stream, tls: self.tls.as_deref_mut() }.write(bytes),
        };
        match written {
            Ok(len) => Wrote::Bytes(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Wrote::Full,
            Err(_) => Wrote::Gone,
        }
    }

    /// Writes what is held, and then the end if this was the last.
    pub(super) fn flush(&mut self, stream: &mut TcpStream) -> io::Result<Flushed> {
        let mut flushed = self.flush_tls(stream)?;
        if flushed != Flushed::All {
            return Ok(flushed);
        }
        if let Some(writer) = &mut self.sse {
            let before = writer.unsent();
            if !writer.flush(&mut Way { stream, tls: self.tls.as_deref_mut() })? {
                return Ok(if writer.unsent() < before { Flushed::Some } else { Flushed::Nothing });
            }
        }
        if self.finished
            && let Some(tls) = &mut self.tls
        {
            tls.close();
        }
        flushed = self.flush_tls(stream)?;
        if flushed == Flushed::All && self.finished {
            // Fails if the peer is gone already, which makes no difference here.
            let _ = stream.shutdown(Shutdown::Write);
        }
        Ok(flushed)
    }

    fn flush_tls(&mut self, stream: &mut TcpStream) -> io::Result<Flushed> {
        self.tls.as_deref_mut().map_or(Ok(Flushed::All), |tls| tls.flush(stream))
    }

    /// Ends the output after what is held.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the socket has not taken everything that TLS has encrypted.
    pub(super) fn has_rest(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_rest())
    }

    /// The bytes that they hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.sse.as_ref().map_or(0, Writer::held_bytes) + self.tls.as_ref().map_or(0, |tls| tls.held_bytes())
    }
}

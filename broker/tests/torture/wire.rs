//! A socket of which every wait is bounded.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, SockRef, Socket, Type};

use crate::doors::BYSTANDER;
use crate::patience::Patience;

/// Attackers have an address of their own, so that a broker can distinguish them from the others.
pub(crate) const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// The options of a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// The local address, if not the default one.
    pub(crate) from: Option<IpAddr>,
    /// The kernel's receive buffer. A small one fills quickly.
    pub(crate) receive_bytes: Option<usize>,
    /// What the client shows in the request for a WebSocket.
    pub(crate) token: Option<&'static str>,
}

impl Options {
    /// The options of a bystander.
    pub(crate) fn bystander() -> Self {
        Self { token: Some(BYSTANDER), ..Self::default() }
    }

    /// The options of an attacker.
    pub(crate) fn attacker() -> Self {
        Self { from: Some(ATTACKER), ..Self::default() }
    }

    /// The options of an attacker with a receive buffer of this size.
    pub(crate) fn receiving(bytes: usize) -> Self {
        Self { receive_bytes: Some(bytes), ..Self::attacker() }
    }

    /// Begins to connect. The socket does not block.
    pub(crate) fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        if let Some(bytes) = self.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = self.from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

/// A connected socket, and the bytes that were read from it and not used yet.
pub(crate) struct Wire {
    stream: TcpStream,
    poll: Poll,
    events: Events,
    pub(crate) buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr, options: Options, patience: &Patience) -> io::Result<Self> {
        let mut stream = options.connect(address)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        let mut wire = Self { stream, poll, events: Events::with_capacity(1), buffer: Vec::new() };
        loop {
            if let Some(error) = wire.stream.take_error()? {
                return Err(error);
            }
            match wire.stream.peer_addr() {
                Ok(_) => return Ok(wire),
                Err(error) if error.kind() == ErrorKind::NotConnected => wire.wait(patience)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn wait(&mut self, patience: &Patience) -> io::Result<()> {
        let slice = patience.slice()?;
        match self.poll.poll(&mut self.events, Some(slice)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, mut bytes: &[u8], patience: &Patience) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(patience)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads more into the buffer, as soon as there is something. Returns 0 at the end.
    pub(crate) fn fill(&mut self, patience: &Patience) -> io::Result<usize> {
        loop {
            match read_some(&mut self.stream, &mut self.buffer, READ_BYTES) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(patience)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the head of an HTTP message off the buffer.
    pub(crate) fn head(&mut self, patience: &Patience) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.fill(patience)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Returns the bare socket, for a crowd.
    pub(crate) fn into_stream(mut self) -> io::Result<TcpStream> {
        self.poll.registry().deregister(&mut self.stream)?;
        Ok(self.stream)
    }
}

/// Appends at most `bytes_max` bytes that can be read without waiting.
pub(crate) fn read_some(stream: &mut TcpStream, buffer: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
    let kept = buffer.len();
    buffer.resize(kept + bytes_max, 0);
    let read = stream.read(&mut buffer[kept..]);
    buffer.truncate(kept + read.as_ref().map_or(0, |read| *read));
    read
}

/// Makes the end of a connection a reset, so that none of this machine's ports waits a minute for it.
pub(crate) fn reset_at_end(stream: &TcpStream) {
    // If it fails, the end is an ordinary one.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

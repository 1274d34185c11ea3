//! Many connections on one thread. They send what they are given, and read or do not.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::link::handshake;
use crate::patience::Patience;
use crate::wire::{Options, Wire, reset_at_end};

/// The most events taken from the kernel at once.
const EVENTS_MAX: usize = 256;
/// The bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// The most connections that are being made at the same time: less than a listener's backlog.
const CONNECTING_MAX: usize = 500;

struct Member {
    stream: TcpStream,
    /// What it still has to send.
    out: VecDeque<Arc<[u8]>>,
    /// How many bytes of the first of them were sent.
    sent: usize,
    readable: bool,
    writable: bool,
    queued: bool,
    ended: bool,
}

/// The connections, in the order in which they came. Those that the broker has closed keep their number.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    ready: VecDeque<usize>,
    buffer: Vec<u8>,
    reads: bool,
    ended: usize,
}

impl Crowd {
    /// Makes an empty crowd. A crowd that does not read leaves everything in the kernel.
    pub(crate) fn new(reads: bool) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            members: Vec::new(),
            ready: VecDeque::new(),
            buffer: vec![0; BUFFER_BYTES],
            reads,
            ended: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many connections the broker has closed.
    pub(crate) fn ended(&self) -> usize {
        self.ended
    }

    /// Adds a connection.
    pub(crate) fn add(&mut self, mut stream: TcpStream) -> io::Result<usize> {
        let number = self.members.len();
        let interest = if self.reads { Interest::READABLE | Interest::WRITABLE } else { Interest::WRITABLE };
        self.poll.registry().register(&mut stream, Token(number), interest)?;
        reset_at_end(&stream);
        let (out, sent, queued, ended) = (VecDeque::new(), 0, false, false);
        self.members.push(Member { stream, out, sent, readable: false, writable: false, queued, ended });
        Ok(number)
    }

    /// Adds a connection that was used before.
    pub(crate) fn adopt(&mut self, wire: Wire) -> io::Result<usize> {
        let stream = wire.into_stream()?;
        let number = self.add(stream)?;
        // It is served at once, because an event may have come before it was added.
        (self.members[number].writable, self.members[number].readable) = (true, true);
        self.queue(number);
        Ok(number)
    }

    /// Adds `count` new connections, each of which sends `first` as soon as it can.
    pub(crate) fn join(
        &mut self,
        address: SocketAddr,
        count: usize,
        options: Options,
        first: &Arc<[u8]>,
        patience: &Patience,
    ) -> io::Result<()> {
        let begin = self.members.len();
        let mut connected = begin;
        while self.members.len() < begin + count && !patience.is_over() {
            let number = self.add(options.connect(address)?)?;
            self.say(number, first);
            while self.members.len() - connected > CONNECTING_MAX && !patience.is_over() {
                self.turn(Duration::from_millis(1), |_, _| {});
                while connected < self.members.len() && self.has_said_all(connected) {
                    connected += 1;
                }
            }
        }
        while connected < self.members.len() && !patience.is_over() {
            self.turn(Duration::from_millis(1), |_, _| {});
            while connected < self.members.len() && self.has_said_all(connected) {
                connected += 1;
            }
        }
        Ok(())
    }

    /// As [`Crowd::join`], for WebSockets: `message` follows the handshake at once.
    pub(crate) fn join_websockets(
        &mut self,
        address: SocketAddr,
        count: usize,
        options: Options,
        message: &[u8],
        patience: &Patience,
    ) -> io::Result<()> {
        let first: Arc<[u8]> = [&handshake(address, options.token), message].concat().into();
        self.join(address, count, options, &first, patience)
    }

    fn queue(&mut self, number: usize) {
        let member = &mut self.members[number];
        if !member.queued && !member.ended {
            member.queued = true;
            self.ready.push_back(number);
        }
    }

    /// Adds to what a connection has to send.
    pub(crate) fn say(&mut self, number: usize, bytes: &Arc<[u8]>) {
        let member = &mut self.members[number];
        if !member.ended {
            member.out.push_back(bytes.clone());
            if member.writable {
                self.queue(number);
            }
        }
    }

    /// Returns whether the kernel has taken everything that a connection had to send, or it was closed.
    pub(crate) fn has_said_all(&self, number: usize) -> bool {
        self.members[number].ended || self.members[number].out.is_empty()
    }

    /// Makes every connection that has nothing to send send `bytes`.
    pub(crate) fn keep_saying(&mut self, bytes: &Arc<[u8]>) {
        for number in 0..self.members.len() {
            if self.members[number].out.is_empty() {
                self.say(number, bytes);
            }
        }
    }

    /// Writes and reads a little on every connection that is ready, after waiting at most `wait` for the first. Passes
    /// what was read to `heard`, with the connection's number.
    pub(crate) fn turn(&mut self, wait: Duration, mut heard: impl FnMut(usize, &[u8])) {
        let wait = if self.ready.is_empty() { wait } else { Duration::ZERO };
        if self.poll.poll(&mut self.events, Some(wait)).is_err() {
            return;
        }
        for event in &self.events {
            let number = event.token().0;
            let member = &mut self.members[number];
            member.readable |= event.is_readable() || event.is_read_closed();
            member.writable |= event.is_writable();
            if !member.queued && !member.ended {
                member.queued = true;
                self.ready.push_back(number);
            }
        }
        for _ in 0..self.ready.len() {
            let Some(number) = self.ready.pop_front() else { return };
            self.members[number].queued = false;
            if let Err(error) = self.serve(number, &mut heard)
                && error.kind() != ErrorKind::WouldBlock
            {
                self.members[number].ended = true;
                self.members[number].out.clear();
                self.ended += 1;
                continue;
            }
            let member = &self.members[number];
            if (self.reads && member.readable) || (member.writable && !member.out.is_empty()) {
                self.queue(number);
            }
        }
    }

    fn serve(&mut self, number: usize, heard: &mut impl FnMut(usize, &[u8])) -> io::Result<()> {
        let member = &mut self.members[number];
        if self.reads && member.readable {
            match member.stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => heard(number, &self.buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => member.readable = false,
                Err(error) => return Err(error),
            }
        }
        if member.writable
            && let Some(bytes) = member.out.front()
        {
            match member.stream.write(&bytes[member.sent..]) {
                Ok(sent) => member.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => member.writable = false,
                Err(error) => return Err(error),
            }
            if member.sent == bytes.len() {
                member.sent = 0;
                member.out.pop_front();
            }
        }
        Ok(())
    }

    /// Lets all connections read and write to the end of this wait.
    pub(crate) fn linger(&mut self, patience: &Patience) {
        while !patience.is_over() {
            self.turn(Duration::from_millis(10), |_, _| {});
        }
    }
}

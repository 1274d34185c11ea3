//! The physical limit: a server that only writes already encoded frames to its sockets.
//!
//! It has no queues, no history, no order across topics, and no care for slow clients: a client whose socket is full
//! loses frames. The remaining cost is the kernel's price of a write, which no server can avoid, so that a figure "1.07
//! of the floor" means the same on every machine. It is written like the load itself: one thread, one epoll set, plain
//! non-blocking writes. (Sends by io_uring in batches of 256 took 10 to 15 % less CPU for single frames, and no less if
//! several frames share a write; they need `unsafe`, which this workspace forbids.)
//!
//! `S a,b` subscribes; `topic`, a line feed and a payload publish.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Context as _;
use foldhash::fast::RandomState;

use crate::clock::mono_ns;
use crate::poll::{Poll, Ready};
use crate::protocol::Templates;
use crate::run::connector;
use ws_frames::{self as wire, FIN, Head};

const LISTENER: u64 = u64::MAX - 1;
const BUFFER_BYTES: usize = 512 * 1024;
/// The longest time that frames wait for others to share their write.
const PATIENCE_NS: u64 = 1_000_000;
/// The most connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// The most bytes of an unfinished frame.
const INPUT_BYTES_MAX: usize = 16 << 20;

/// The templates of the floor's protocol.
pub(crate) fn templates() -> Templates {
    Templates {
        subscribe: Some("S {topics}".to_owned()),
        publish: Some("{topic}\n{payload}".to_owned()),
        ..Templates::default()
    }
}

struct Client {
    socket: TcpStream,
    is_open: bool,
    input: Vec<u8>,
    /// The rest of a partly written frame: until it is out, further frames are lost.
    output: Vec<u8>,
    topics: Vec<usize>,
}

impl Client {
    /// Writes once, unless the rest of the last write is still waiting.
    fn write(&mut self, bytes: &[u8]) {
        if !self.output.is_empty() {
            let taken = self.socket.write(&self.output).unwrap_or_default();
            self.output.drain(..taken);
            if !self.output.is_empty() {
                return;
            }
        }
        let taken = self.socket.write(bytes).unwrap_or_default();
        if (1..bytes.len()).contains(&taken) {
            self.output.extend(&bytes[taken..]);
        }
    }
}

#[derive(Default)]
struct Topic {
    subscribers: Vec<u32>,
    /// Frames that have not been written yet.
    frames: Vec<u8>,
    count: u32,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    numbers: HashMap<Vec<u8>, usize, RandomState>,
    topics: Vec<Topic>,
    frames_per_write: u32,
    /// Whether frames wait for others.
    waiting: bool,
}

/// Serves until the process is ended. Calls `listening` with the address.
pub(crate) fn serve(
    listen: SocketAddr,
    frames_per_write: u32,
    listening: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(listen), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into()).with_context(|| format!("listening at {listen}"))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener: TcpListener = socket.into();
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER, false)?;
    listening(listener.local_addr()?);
    let mut floor = Floor {
        poll,
        listener,
        clients: Vec::new(),
        free: Vec::new(),
        numbers: HashMap::default(),
        topics: Vec::new(),
        frames_per_write,
        waiting: false,
    };
    let (mut ready, mut buffer) = (Vec::new(), vec![0; BUFFER_BYTES]);
    loop {
        let now_ns = mono_ns();
        let until_ns = if floor.waiting { now_ns + PATIENCE_NS } else { u64::MAX };
        floor.poll.wait(until_ns, now_ns, &mut ready)?;
        if ready.is_empty() && floor.waiting {
            floor.waiting = false;
            (0..floor.topics.len()).for_each(|topic| floor.fan_out(topic));
        }
        for Ready { key, .. } in &ready {
            match *key {
                LISTENER => floor.accept()?,
                client => floor.read(client as usize, &mut buffer),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("accepting a connection"),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let client = Client { socket, is_open: false, input: Vec::new(), output: Vec::new(), topics: Vec::new() };
            let number = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            self.poll.add(&client.socket, number as u64, false)?;
            self.clients[number] = Some(client);
        }
    }

    fn read(&mut self, number: usize, buffer: &mut [u8]) {
        let Some(mut client) = self.clients[number].take() else { return };
        match client.socket.read(buffer) {
            Ok(len @ 1..) if self.take(number, &mut client, &mut buffer[..len]) => {
                self.clients[number] = Some(client);
                return;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.clients[number] = Some(client);
                return;
            }
            _ => {}
        }
        for topic in client.topics {
            self.topics[topic].subscribers.retain(|subscriber| *subscriber != number as u32);
        }
        self.free.push(number);
    }

    /// Takes in bytes of a client. Returns whether it stays connected.
    fn take(&mut self, number: usize, client: &mut Client, bytes: &mut [u8]) -> bool {
        let mut joined = Vec::new();
        let bytes = if client.input.is_empty() {
            bytes
        } else {
            joined.append(&mut client.input);
            joined.extend_from_slice(bytes);
            &mut joined[..]
        };
        let mut at = 0;
        if !client.is_open {
            match connector::accept(bytes) {
                Ok(Some((len, answer))) => {
                    client.is_open = true;
                    at = len;
                    client.write(answer);
                }
                Ok(None) => {
                    client.input = bytes.to_vec();
                    return true;
                }
                Err(_) => return false,
            }
        }
        loop {
            let frame = match wire::head(&bytes[at..]) {
                Head::Whole(frame) => frame,
                Head::Part => break,
                Head::TooLong(_) => return false,
            };
            let payload = &mut bytes[at + frame.payload.start..at + frame.payload.end];
            if let Some(mask) = frame.mask {
                wire::unmask(payload, mask);
            }
            at += frame.payload.end;
            match frame.opcode() {
                wire::CLOSE => return false,
                wire::TEXT | wire::BINARY => self.message(number, client, payload),
                _ => {}
            }
        }
        client.input = bytes[at..].to_vec();
        client.input.len() <= INPUT_BYTES_MAX
    }

    fn message(&mut self, number: usize, client: &mut Client, payload: &[u8]) {
        if let Some(names) = payload.strip_prefix(b"S ") {
            for name in names.split(|byte| *byte == b',') {
                let topic = self.topic(name);
                self.topics[topic].subscribers.push(number as u32);
                client.topics.push(topic);
            }
            return;
        }
        let Some(line) = memchr::memchr(b'\n', payload) else { return };
        let topic = self.topic(&payload[..line]);
        let held = &mut self.topics[topic];
        wire::plain(&mut held.frames, FIN | wire::TEXT, &payload[line + 1..]);
        held.count += 1;
        if held.count >= self.frames_per_write {
            self.fan_out(topic);
        } else {
            self.waiting = true;
        }
    }

    fn topic(&mut self, name: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.topics.len();
        self.topics.push(Topic::default());
        self.numbers.insert(name.to_vec(), number);
        number
    }

    fn fan_out(&mut self, topic: usize) {
        let topic = &mut self.topics[topic];
        if topic.count == 0 {
            return;
        }
        for subscriber in &topic.subscribers {
            if let Some(Some(client)) = self.clients.get_mut(*subscriber as usize) {
                client.write(&topic.frames);
            }
        }
        topic.frames.clear();
        topic.count = 0;
    }
}

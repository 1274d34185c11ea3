//! Many subscribers on one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::tick::topic;
use super::{Message, PATIENCE_NS, masked, mono_ns, upgrade, wire};

/// Events taken from the kernel at once: few, so that a publisher on the same thread is not late by many reads.
const EVENTS_MAX: usize = 16;
/// Bytes read at once, from whichever subscriber.
const BUFFER_BYTES: usize = 256 * 1024;

struct Subscriber {
    stream: TcpStream,
    /// An unfinished frame.
    rest: Vec<u8>,
}

/// Subscribers, in the order in which they came.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    subscribers: Vec<Subscriber>,
    buffer: Vec<u8>,
}

impl Swarm {
    pub(crate) fn new() -> Self {
        Self {
            poll: Poll::new().expect("an epoll set"),
            events: Events::with_capacity(EVENTS_MAX),
            subscribers: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Connects `count` more, each to the topics that `topics` gives for its number, from now on; returns when each has
    /// the answer.
    pub(crate) fn subscribe(&mut self, address: SocketAddr, count: usize, topics: impl Fn(usize) -> Vec<usize>) {
        let first = self.subscribers.len();
        for number in first..first + count {
            let (mut stream, rest) = upgrade(address).unwrap_or_else(|error| panic!("subscriber {number}: {error}"));
            let names: Vec<String> = topics(number).into_iter().map(|number| format!("{:?}", topic(number))).collect();
            let mut request = Vec::new();
            let text = format!(r#"{{"op":"subscribe","topics":[{}],"from":"live"}}"#, names.join(","));
            masked(&mut request, text.as_bytes());
            stream.write_all(&request).expect("a new socket takes a request");
            stream.set_nonblocking(true).expect("a socket that does not block");
            let mut stream = TcpStream::from_std(stream);
            let registry = self.poll.registry();
            registry.register(&mut stream, Token(number), Interest::READABLE).expect("the epoll set takes it");
            self.subscribers.push(Subscriber { stream, rest });
        }
        let mut answered = 0;
        let until_ns = mono_ns() + PATIENCE_NS;
        while answered < count {
            self.read(Duration::from_millis(10), |_, message, _| match message {
                Message::Subscribed => answered += 1,
                Message::Error => panic!("a subscription was refused"),
                _ => {}
            });
            assert!(mono_ns() < until_ns, "{answered} of {count} subscriptions answered");
        }
    }

    /// Reads a few of those who have something, waiting for the first of them at most so long. What was read is told
    /// with the subscriber's number and the moment. Returns whether there was anything.
    pub(crate) fn read(&mut self, wait: Duration, mut each: impl FnMut(usize, Message, u64)) -> bool {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return false,
            Err(error) => panic!("waiting for sockets: {error}"),
        }
        for event in &self.events {
            let number = event.token().0;
            let subscriber = &mut self.subscribers[number];
            loop {
                let kept = subscriber.rest.len();
                if kept + BUFFER_BYTES / 2 > self.buffer.len() {
                    self.buffer.resize(kept + BUFFER_BYTES, 0);
                }
                let read = match subscriber.stream.read(&mut self.buffer[kept..]) {
                    Ok(0) => panic!("the broker hung up on subscriber {number}"),
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("subscriber {number}: {error}"),
                };
                let now_ns = mono_ns();
                self.buffer[..kept].copy_from_slice(&subscriber.rest);
                let end = kept + read;
                let used = frames(&self.buffer[..end], |message| each(number, message, now_ns));
                subscriber.rest.clear();
                subscriber.rest.extend(&self.buffer[used..end]);
                // A short read has emptied the socket; what comes later is told anew.
                if end < self.buffer.len() {
                    break;
                }
            }
        }
        !self.events.is_empty()
    }
}

/// Tells of every whole frame; returns where the unfinished one begins.
fn frames(bytes: &[u8], mut each: impl FnMut(Message)) -> usize {
    let mut at = 0;
    while let Some((opcode, payload)) = wire::frame(&bytes[at..]) {
        let payload = at + payload.start..at + payload.end;
        match opcode {
            wire::TEXT => each(Message::read(&bytes[payload.clone()])),
            8 => panic!("the broker closed a connection: {}", String::from_utf8_lossy(&bytes[payload])),
            _ => {}
        }
        at = payload.end;
    }
    at
}

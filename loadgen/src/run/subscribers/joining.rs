//! Sets up subscriptions: TCP, the handshake of a WebSocket, `subscribe`.

use std::sync::atomic::Ordering;

use super::{HANDSHAKE_NS, Subscribers};
use crate::protocol::{Entry, Protocol};
use crate::run::connection::State;
use crate::run::connector;
use crate::run::wire::Wire;
use crate::stream::Stream;

impl Subscribers {
    /// Begins as many connections as allowed, and gives up those that take too long.
    pub(in crate::run) fn connect_some(&mut self, now_ns: u64) {
        while let Some(index) = self.connecting.begin(now_ns) {
            self.connect(index, now_ns);
        }
        while let Some((index, begun_ns)) = self.connecting.overdue(now_ns) {
            let conn = &self.conns[index as usize];
            let same = conn.rest.as_ref().is_some_and(|rest| rest.begun_ns == begun_ns);
            if same && matches!(conn.state, State::Connecting | State::Subscribing) {
                let what = if conn.state == State::Connecting { "the handshake" } else { "the subscription" };
                self.end(index, &format!("did not answer {what} within {} s", HANDSHAKE_NS / 1_000_000_000));
            }
        }
    }

    fn connect(&mut self, index: u32, now_ns: u64) {
        let conn = &mut self.conns[index as usize];
        conn.rest().begun_ns = now_ns;
        conn.state = State::Connecting;
        let target = &self.part.target;
        let endpoint = target.of_subscriber(conn.number);
        let socket = match connector::connect(endpoint.address, target.source(conn.number)) {
            Ok(socket) => socket,
            Err(error) => return self.end(index, &error.to_string()),
        };
        let socket = match Wire::new(socket, endpoint.tls.as_ref()) {
            Ok(socket) => socket,
            Err(error) => return self.end(index, &error),
        };
        // It is reported as writable once it is connected.
        if let Err(error) = self.poll.add(&socket, index.into(), true) {
            return self.end(index, &error.to_string());
        }
        self.conns[index as usize].socket = Some(socket);
    }

    /// The names of a subscriber's entries, as the server writes them.
    fn names(&self, index: u32) -> Vec<String> {
        let names = self.part.plan.entries_of(self.conns[index as usize].number);
        names.iter().map(|name| self.part.protocol.spelled(name)).collect()
    }

    /// Requests the WebSocket, over the TCP connection.
    pub(super) fn ask(&mut self, index: u32) {
        let names = self.names(index);
        let (target, protocol) = (&self.part.target, &self.part.protocol);
        let entries: Vec<Entry<'_>> = names.iter().map(|name| Entry { name, has: None }).collect();
        let number = self.conns[index as usize].number;
        let endpoint = target.of_subscriber(number);
        let path = endpoint.path.as_deref().unwrap_or(protocol.default_path());
        let path = protocol.subscriber_path(path, &entries);
        let token = match target.token.of(number) {
            Ok(token) => token,
            Err(error) => return self.end(index, &error),
        };
        let request = connector::request(&endpoint.authority, &path, protocol.subprotocol(), token.as_deref());
        self.write(index, &request);
    }

    /// Subscribes, over the WebSocket.
    pub(super) fn subscribe(&mut self, index: u32, now_ns: u64) {
        let names = self.names(index);
        let part = &self.part;
        let resume = part.scenario.storm.as_ref().is_some_and(|storm| storm.resume);
        let begun = part.shared.times.get().is_some_and(|times| now_ns >= times.publish_ns);
        let conn = &mut self.conns[index as usize];
        conn.state = State::Subscribing;
        let topics = part.plan.topics_of(conn.number);
        let mut entries: Vec<Entry<'_>> = names.iter().map(|name| Entry { name, has: None }).collect();
        if resume && entries.len() == topics.len() {
            for (entry, topic) in entries.iter_mut().zip(&topics) {
                let epoch = self.receiver.verifier.epoch(*topic);
                let last = conn.stream(*topic).and_then(|stream| stream.last());
                entry.has = last.filter(|_| !epoch.is_empty()).map(|last| (epoch, last));
            }
        } else {
            conn.streams = Vec::new();
        }
        if !part.protocol.answers() && conn.streams.is_empty() {
            // The server does not say where streams begin: at the first update, unless publishing has begun.
            conn.streams = Vec::with_capacity(topics.len());
            for topic in topics {
                conn.streams.push(Stream::new(topic, (!begun).then_some(0)));
            }
        }
        let mut out = Vec::new();
        part.protocol.subscribe(&mut out, conn.number, &entries, &self.options);
        let answered = !matches!(part.protocol, Protocol::Generic(_));
        self.write(index, &out);
        let conn = &mut self.conns[index as usize];
        if !answered && conn.socket.is_some() {
            self.receiver.verifier.counts.subscribed(conn, now_ns);
            self.opened(index);
        }
    }

    /// Notes that a connection's subscriptions are in effect.
    pub(super) fn opened(&mut self, index: u32) {
        self.part.shared.subscribed.store(true, Ordering::Release);
        self.attempt_is_over();
        let conn = &mut self.conns[index as usize];
        conn.streams.shrink_to_fit();
        conn.settle();
        if conn.slow && self.slow_are_paused {
            self.pause(index);
        }
    }

    pub(super) fn attempt_is_over(&mut self) {
        if self.connecting.over() {
            self.part.shared.tried.fetch_add(1, Ordering::AcqRel);
        }
    }
}

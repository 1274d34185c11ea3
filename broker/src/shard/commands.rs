//! Commands from the rest of the broker: take a connection, send all connections a message, close them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::codes::CloseReason;
use broker_protocol::request::{Request, Subscribe, SubscribeEntry};

use super::Driver;
use super::handle::{Arrival, Command, SseRequest};
use super::input::TURNS_UNTIL_LIGHT;
use super::layers::Layers;
use super::slowest::Asked;
use super::socket::{ReadState, Socket};
use crate::clock::now;

/// The most commands taken in one round.
const COMMANDS_PER_ROUND: usize = 16;
/// The most connections that get a broadcast in one round.
const BROADCAST_PER_ROUND: usize = 64;

/// What renewing an identity costs, as bytes of requests that are read.
const RENEWAL_BYTES: usize = 2048;

/// What all connections get.
pub(super) enum Broadcast {
    Message(Arc<[u8]>),
    /// What their identities give by now.
    Renew,
    Close(CloseReason),
}

impl Driver {
    pub(super) fn take_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_ROUND {
            let Ok(command) = self.commands.try_recv() else { return false };
            match command {
                Command::Connect(arrival) => self.arrive(*arrival),
                Command::Slowest(count, answer) => self.asked.push_back(Asked::new(count, answer)),
                Command::Close(whom, answer) => self.questions.close(whom, answer),
                Command::Describe(session, answer) => self.questions.describe(session, answer),
                Command::Publishers(topic, count, answer) => {
                    // Fails if nobody waits any more.
                    let _ = answer.send(self.shard.publishers(now(), &topic, count));
                }
                // Fails if nobody waits any more.
                Command::Alive(answer) => _ = answer.send(()),
                Command::SendAll(payload) => {
                    self.farewell = Some(payload.clone());
                    self.broadcasts.push_back((Broadcast::Message(payload), 0));
                }
                Command::Stale(payload, arriving) => {
                    self.stale = arriving;
                    self.broadcasts.push_back((Broadcast::Message(payload), 0));
                }
                Command::RenewAll => self.broadcasts.push_back((Broadcast::Renew, 0)),
                Command::Verified(verified) => self.verified(verified),
                Command::Checked(checked) => self.checked(checked),
                Command::CloseAll(reason) => {
                    self.closes = Some(reason);
                    self.broadcasts.push_back((Broadcast::Close(reason), 0));
                }
                Command::Change(config) => self.settings.change(&config),
                Command::Stop => self.stopping = true,
            }
        }
        true
    }

    /// Gives the next portion of connections the oldest broadcast. Returns whether there is more to do.
    pub(super) fn broadcast(&mut self) -> bool {
        let Some((what, from)) = self.broadcasts.pop_front() else { return false };
        let ids: Vec<_> = self.shard.connections(from).take(BROADCAST_PER_ROUND).collect();
        let mut last = None;
        for id in &ids {
            // Renewing takes longer than the others: it reads claims, and up to a thousand patterns.
            if last.is_some() && matches!(what, Broadcast::Renew) && !self.shard.may_work() {
                break;
            }
            last = Some(*id);
            match &what {
                Broadcast::Message(payload) => self.shard.answer(now(), *id, payload),
                Broadcast::Renew => {
                    self.renew(*id);
                    self.shard.worked(RENEWAL_BYTES);
                }
                Broadcast::Close(reason) => self.shard.close(now(), *id, *reason, reason.text()),
            }
        }
        if let Some(last) = last {
            self.broadcasts.push_front((what, last + 1));
        }
        !self.broadcasts.is_empty()
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { stream, tls, early, admitted, granted, reserved, client, seat, sse: follows } = arrival;
        let layers = Layers::of(tls, follows.is_some());
        let (read_state, heavy, has_rest) = (ReadState::Idle, false, false);
        let (full, ended, gone) = (false, false, false);
        let mut socket = Socket {
            stream,
            held: None,
            read_state,
            heavy,
            turns_until_light: TURNS_UNTIL_LIGHT,
            has_rest,
            layers,
            full,
            ended,
            gone,
            admitted,
        };
        socket.hold(None, early);
        let id = self.connect(socket, client.who, seat);
        // The shard's own counter includes it by now.
        self.arriving.fetch_sub(1, Ordering::AcqRel);
        self.shard.grant(id, granted);
        if !reserved {
            self.shard.forbid_reserved(id);
        }
        let added = self.shard.sink(id).map(|socket| self.poll.add(&socket.stream, id.into()));
        if let Some(Err(error)) = added {
            tracing::warn!(%error, "a socket could not be added to the epoll set; its connection is dropped");
            self.shard.disconnect(id);
            return;
        }
        // Its request may have been read long before its answer was.
        self.renew_if_replaced(id, client.as_of);
        if let Some(payload) = self.stale.clone() {
            self.shard.answer(now(), id, &payload);
        }
        if self.shard.is_closing(id) {
            // Nothing is subscribed to any more.
        } else if let Some(SseRequest { topics, from, conflate_ms, on_slow, ready }) = follows {
            let entries = topics.into_iter().map(|topic| SubscribeEntry::Plain(topic.into())).collect();
            let subscribe =
                Subscribe { id: None, entries, from, conflate_ms, on_slow, ready, positions: false, resume: None };
            self.shard.request(now(), id, Request::Subscribe(subscribe));
        }
        // A connection that arrives during the shutdown gets what the others got.
        if let Some(payload) = self.farewell.clone() {
            self.shard.answer(now(), id, &payload);
        }
        if let Some(reason) = self.closes {
            self.shard.close(now(), id, reason, reason.text());
        }
        self.readable(id, false, false);
    }
}

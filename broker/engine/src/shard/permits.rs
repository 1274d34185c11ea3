//! What clients may do, for those that may not do everything. Looked up once per request: delivery does not come here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use broker_protocol::permissions::Permissions;
use broker_protocol::request::Refusal;
use foldhash::fast::RandomState;

use super::permit::{Permit, Readable};
use super::{ConnId, Shard};
use crate::sink::Sink;

/// Patterns that are compared with a name in one step of work.
pub(super) const PATTERNS_PER_STEP: usize = 8;

/// A permit, none for a connection that may do everything, and the message that follows once it is in effect.
type Waiting = (Option<Permit>, Option<Box<[u8]>>);

/// The permits, by connection. A connection without one may do everything.
#[derive(Debug, Default)]
pub(super) struct Permits {
    by_conn: HashMap<ConnId, Permit, RandomState>,
    /// Those that are gone, until the driver was told.
    departed: Vec<ConnId>,
    /// Connections whose token is being checked: they are not read meanwhile.
    checked: HashSet<ConnId, RandomState>,
    /// Other permits that a connection gets once what is in progress on it is done, and the message that follows.
    waiting: HashMap<ConnId, VecDeque<Waiting>, RandomState>,
}

impl Permits {
    pub(super) fn get(&self, id: ConnId) -> Option<&Permit> {
        // Most brokers have none at all.
        if self.by_conn.is_empty() { None } else { self.by_conn.get(&id) }
    }

    /// Gives a connection a permit; without one it may do everything.
    pub(super) fn set(&mut self, id: ConnId, permit: Option<Permit>) {
        match permit {
            Some(permit) => _ = self.by_conn.insert(id, permit),
            None => _ = self.by_conn.remove(&id),
        }
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        if !self.by_conn.is_empty() && self.by_conn.remove(&id).is_some() {
            self.departed.push(id);
        }
        if !self.waiting.is_empty() {
            self.waiting.remove(&id);
        }
        self.end_check(id);
    }

    /// Takes out a connection that is gone.
    pub(super) fn next_departed(&mut self) -> Option<ConnId> {
        self.departed.pop()
    }

    /// Notes that a connection's token is being checked.
    pub(super) fn begin_check(&mut self, id: ConnId) {
        self.checked.insert(id);
    }

    /// Notes that it is checked.
    pub(super) fn end_check(&mut self, id: ConnId) {
        if !self.checked.is_empty() {
            self.checked.remove(&id);
        }
    }

    /// Whether a connection's token is being checked.
    pub(super) fn is_checking(&self, id: ConnId) -> bool {
        !self.checked.is_empty() && self.checked.contains(&id)
    }

    /// Puts a permit aside until what is in progress on the connection is done.
    pub(super) fn wait(&mut self, id: ConnId, permit: Option<Permit>, answer: Option<Box<[u8]>>) {
        self.waiting.entry(id).or_default().push_back((permit, answer));
    }

    /// Whether the connection is to get another permit.
    pub(super) fn is_waiting(&self, id: ConnId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// Takes the permit out that the connection gets next.
    pub(super) fn next(&mut self, id: ConnId) -> Option<Waiting> {
        if self.waiting.is_empty() {
            return None;
        }
        let next = self.waiting.get_mut(&id)?.pop_front();
        if next.is_none() {
            self.waiting.remove(&id);
        }
        next
    }

    /// Whether the connection still has to authenticate.
    pub(super) fn must_authenticate(&self, id: ConnId) -> bool {
        matches!(self.get(id), Some(Permit::Unauthenticated))
    }

    /// The permissions of the connection; `None` if it may do everything, or nothing yet.
    pub(super) fn of(&self, id: ConnId) -> Option<&Arc<Permissions>> {
        match self.get(id)? {
            Permit::Permitted(permissions) => Some(permissions),
            Permit::Unauthenticated => None,
        }
    }
}

impl<S: Sink> Shard<S> {
    /// What a connection may subscribe to.
    pub(super) fn readable(&self, id: ConnId) -> Readable {
        match self.permits.of(id) {
            Some(permissions) => Readable::Permitted(permissions.clone()),
            None => self.readable_by_anyone(id),
        }
    }

    /// What a connection may subscribe to while nobody is asked who they are.
    pub(super) fn readable_by_anyone(&self, id: ConnId) -> Readable {
        let forbids_reserved = self.conns.get(id).is_some_and(|conn| conn.forbids_reserved);
        if forbids_reserved { Readable::Public } else { Readable::Everything }
    }

    /// Work to compare one name with all permissions of a connection, in steps.
    pub(super) fn permit_steps(&self, id: ConnId) -> usize {
        self.permits.of(id).map_or(0, |permissions| permissions.size().div_ceil(PATTERNS_PER_STEP))
    }

    /// Refuses an update to a topic, unless the connection may publish to it.
    pub(super) fn check_publish(&self, id: ConnId, topic: &str) -> Result<(), Refusal> {
        let Some(permissions) = self.permits.of(id) else { return Ok(()) };
        self.work.charge(permissions.size() / PATTERNS_PER_STEP);
        permissions.check_publish(topic)
    }
}

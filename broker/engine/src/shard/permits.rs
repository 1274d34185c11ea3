//! What clients may do, for those that may not do everything. Looked up once per request: delivery does not come here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;
use broker_protocol::request::Refusal;
use broker_protocol::topic::is_reserved;
use foldhash::fast::RandomState;

use super::denied::Denied;
use super::{ConnId, Shard};
use crate::sink::Sink;

/// Patterns that are compared with a name in one step of work.
pub(super) const PATTERNS_PER_STEP: usize = 8;

/// What one client may do.
#[derive(Debug, Clone)]
pub(super) enum Permit {
    /// Nothing until it has authenticated.
    Unauthenticated,
    /// This.
    Permitted(Arc<Permissions>),
}

/// Permissions, none for a connection that has to authenticate anew, and the message that follows once they are in
/// effect.
type Waiting = (Option<Arc<Permissions>>, Option<Box<[u8]>>);

/// The permits, by connection. A connection without one may do everything.
#[derive(Debug, Default)]
pub(super) struct Permits {
    by_conn: HashMap<ConnId, Permit, RandomState>,
    /// Those that are gone, until the driver was told.
    departed: Vec<ConnId>,
    /// Connections whose token is being checked: they are not read meanwhile.
    checked: HashSet<ConnId, RandomState>,
    /// Other permissions that a connection gets once what is in progress on it is done, and the message that follows.
    waiting: HashMap<ConnId, VecDeque<Waiting>, RandomState>,
}

impl Permits {
    pub(super) fn get(&self, id: ConnId) -> Option<&Permit> {
        // Most brokers have none at all.
        if self.by_conn.is_empty() { None } else { self.by_conn.get(&id) }
    }

    pub(super) fn set(&mut self, id: ConnId, permit: Permit) {
        self.by_conn.insert(id, permit);
    }

    /// Lets a connection do everything.
    pub(super) fn permit_everything(&mut self, id: ConnId) {
        self.by_conn.remove(&id);
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

    /// Puts permissions aside until what is in progress on the connection is done.
    pub(super) fn wait(&mut self, id: ConnId, permissions: Option<Arc<Permissions>>, answer: Option<Box<[u8]>>) {
        self.waiting.entry(id).or_default().push_back((permissions, answer));
    }

    /// Takes the permissions out that the connection gets next.
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
        if let Some(permissions) = self.permits.of(id) {
            return Readable::Permitted(permissions.clone());
        }
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

/// What a connection may subscribe to.
#[derive(Debug, Clone)]
pub(super) enum Readable {
    /// Everything but the broker's own topics.
    Public,
    /// Everything.
    Everything,
    /// What these permissions allow.
    Permitted(Arc<Permissions>),
}

impl Readable {
    /// Why the connection may not subscribe to a topic; `None` if it may.
    pub(super) fn refuses_topic(&self, name: &str) -> Option<String> {
        match self {
            Readable::Public if is_reserved(name) => Some(RESERVED.into()),
            Readable::Permitted(permissions) if !permissions.may_read(name) => Some(permissions.refusal()),
            _ => None,
        }
    }

    /// Why the connection may not subscribe to a pattern; `None` if it may.
    pub(super) fn refuses_pattern(&self, pattern: &Pattern) -> Option<String> {
        match self {
            Readable::Public if is_reserved(pattern.as_str()) => Some(RESERVED.into()),
            Readable::Permitted(permissions) if !permissions.may_subscribe(pattern) => Some(permissions.refusal()),
            _ => None,
        }
    }

    /// What the connection is denied of a pattern.
    pub(super) fn denied(&self, pattern: &Pattern) -> Denied {
        match self {
            Readable::Permitted(permissions) => Denied::of(permissions, pattern),
            _ => Denied::default(),
        }
    }
}

const RESERVED: &str = "topics that begin with $ are served only to clients on this machine that use no proxy";

//! The connections of which it is known who they are, and when something is due for them. A broker without tokens has
//! none.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use broker_engine::{AuthRequest, ConnId, Now};
use broker_identity::Identity;

use crate::quota::Seat;

/// The longest pause between two looks at the wall clock, which may be set.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// A connection whose client is known.
pub(super) struct Login {
    pub(super) session: u64,
    pub(super) identity: Arc<Identity>,
    /// Counts the connection among those of its user.
    seat: Option<Seat>,
    /// Whether the client was told that its token ends soon.
    pub(super) was_told: bool,
}

/// The connections, and what is due.
#[derive(Default)]
pub(super) struct Logins {
    by_conn: HashMap<ConnId, Login>,
    /// When something is due for a connection, in ms since the UNIX epoch.
    due: BTreeSet<(u64, ConnId, u64)>,
    /// Until when a connection has to authenticate, in ms of the monotonic clock.
    unknown: BTreeSet<(u64, ConnId, u64)>,
    /// The same by connection, with its session.
    expected: HashMap<ConnId, (u64, u64)>,
    /// Connections whose time was over while their token was being checked, with their sessions.
    late: HashMap<ConnId, u64>,
    /// The tokens that wait to be checked.
    unchecked: VecDeque<(ConnId, u64, AuthRequest)>,
    /// How many tokens are being checked.
    pub(super) checking: usize,
}

impl Logins {
    /// Notes who a connection is.
    pub(super) fn set(&mut self, id: ConnId, session: u64, identity: Arc<Identity>, seat: Option<Seat>) {
        // A client that was told, and shows the same token again, has no other yet: it is not told once more.
        let was_told = self.by_conn.get(&id).is_some_and(|before| {
            before.session == session && before.was_told && before.identity.expires_ms == identity.expires_ms
        });
        self.forget(id);
        self.no_longer_expect(id);
        if let Some(due_ms) = if was_told { identity.ends_ms() } else { identity.reauth_ms() } {
            self.due.insert((due_ms, id, session));
        }
        self.by_conn.insert(id, Login { session, identity, seat, was_told });
    }

    /// Forgets who a connection is.
    pub(super) fn forget(&mut self, id: ConnId) {
        if let Some(Login { session, identity, .. }) = self.by_conn.remove(&id) {
            for due_ms in [identity.reauth_ms(), identity.ends_ms()].into_iter().flatten() {
                self.due.remove(&(due_ms, id, session));
            }
        }
    }

    /// Takes the seat of a connection out, for the identity that follows.
    pub(super) fn take_seat(&mut self, id: ConnId, session: u64) -> Option<Seat> {
        self.by_conn.get_mut(&id).filter(|login| login.session == session)?.seat.take()
    }

    /// Who a connection is.
    pub(super) fn get(&self, id: ConnId, session: u64) -> Option<&Arc<Identity>> {
        self.by_conn.get(&id).filter(|login| login.session == session).map(|login| &login.identity)
    }

    /// Notes that a connection has to authenticate by a time, in ms of the monotonic clock.
    pub(super) fn expect(&mut self, id: ConnId, session: u64, by_ms: u64) {
        self.no_longer_expect(id);
        self.unknown.insert((by_ms, id, session));
        self.expected.insert(id, (by_ms, session));
    }

    /// Notes that a connection need not authenticate by a time any more.
    pub(super) fn no_longer_expect(&mut self, id: ConnId) {
        if let Some((by_ms, session)) = self.expected.remove(&id) {
            self.unknown.remove(&(by_ms, id, session));
        }
    }

    /// Notes that a connection's time was over while its token was being checked.
    pub(super) fn set_late(&mut self, id: ConnId, session: u64) {
        self.late.insert(id, session);
    }

    /// Whether a connection's time was over while its token was being checked. It is no longer noted then.
    pub(super) fn take_late(&mut self, id: ConnId, session: u64) -> bool {
        self.late.remove(&id) == Some(session)
    }

    /// Takes out a connection whose time to authenticate is over.
    pub(super) fn next_late(&mut self, now: Now) -> Option<(ConnId, u64)> {
        let (by_ms, id, session) = *self.unknown.first()?;
        if by_ms > now.mono_us / 1000 {
            return None;
        }
        self.no_longer_expect(id);
        Some((id, session))
    }

    /// Takes out a connection for which something is due.
    pub(super) fn next_due(&mut self, now: Now) -> Option<(ConnId, u64)> {
        let first @ (due_ms, id, session) = *self.due.first()?;
        if due_ms > now.wall_us / 1000 {
            return None;
        }
        self.due.remove(&first);
        Some((id, session))
    }

    /// Notes that the client was told that its token ends soon. Returns the identity, if it was not told before.
    pub(super) fn tell(&mut self, id: ConnId, session: u64) -> Option<Arc<Identity>> {
        let login = self.by_conn.get_mut(&id).filter(|login| login.session == session && !login.was_told)?;
        login.was_told = true;
        if let Some(due_ms) = login.identity.ends_ms() {
            self.due.insert((due_ms, id, session));
        }
        Some(login.identity.clone())
    }

    /// Puts a token aside until it is checked.
    pub(super) fn push(&mut self, id: ConnId, session: u64, auth: AuthRequest) {
        self.unchecked.push_back((id, session, auth));
    }

    /// Takes out the token that is checked next.
    pub(super) fn pop(&mut self) -> Option<(ConnId, u64, AuthRequest)> {
        self.unchecked.pop_front()
    }

    /// Forgets a connection that is gone, unless `session`, which has its number now, is the one that is known.
    pub(super) fn departed(&mut self, id: ConnId, session: Option<u64>) {
        if self.by_conn.get(&id).is_some_and(|login| Some(login.session) != session) {
            self.forget(id);
        }
        if self.expected.get(&id).is_some_and(|(_, expected)| Some(*expected) != session) {
            self.no_longer_expect(id);
        }
        if self.late.get(&id).is_some_and(|late| Some(*late) != session) {
            self.late.remove(&id);
        }
    }

    /// How long nothing is due.
    pub(super) fn pause(&self, now: Now) -> Duration {
        let until = |at_ms: u64, now_us: u64| Duration::from_millis(at_ms.saturating_sub(now_us / 1000));
        let due = self.due.first().map(|(due_ms, ..)| until(*due_ms, now.wall_us).min(LOOK_MAX));
        let late = self.unknown.first().map(|(by_ms, ..)| until(*by_ms, now.mono_us));
        due.into_iter().chain(late).min().unwrap_or(Duration::MAX)
    }
}

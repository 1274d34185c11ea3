//! Who the clients of a shard's connections are: their tokens are checked, some in each round; they end; and they are
//! renewed when keys, roles or revocations change.

use std::sync::Arc;

use broker_engine::{AuthRequest, ConnId, Granted};
use broker_identity::{Identity, Source};
use broker_protocol::codes::{CloseReason, ErrorCode};
use broker_protocol::message::{self, Auth};
use broker_protocol::request::Refusal;

use super::Driver;
use super::socket::Socket;
use crate::audit::Event;
use crate::authentication::Who;
use crate::clock::now;
use crate::quota::Seat;

/// The most tokens of a shard that are being checked at once. The others wait in the shard, so that shards take turns.
const CHECKING_MAX: usize = 64;

/// The most connections in one round that end, or are told that their token ends soon.
const ENDS_PER_ROUND: usize = 64;
/// Why a connection without a token is closed.
const LATE: &str = "no token came in time (auth_ms)";

/// A token that has to be checked.
pub struct Unchecked {
    /// The shard that has the connection.
    pub shard: usize,
    id: ConnId,
    session: u64,
    auth: AuthRequest,
}

/// A token that was checked with the keys that are there.
pub struct Verified {
    unchecked: Unchecked,
    as_of: u64,
    /// `None` if others may have to be fetched first.
    result: Option<Result<Arc<Identity>, Refusal>>,
}

/// A token that was checked for good.
pub struct Checked {
    id: ConnId,
    session: u64,
    request: Option<Box<[u8]>>,
    as_of: u64,
    result: Result<Arc<Identity>, Refusal>,
}

impl Unchecked {
    /// Returns the token.
    pub fn token(&self) -> &str {
        &self.auth.token
    }

    /// Notes the result with the keys that are there, and as of which authority it is.
    pub fn verified(self, as_of: u64, result: Option<Result<Arc<Identity>, Refusal>>) -> Verified {
        Verified { unchecked: self, as_of, result }
    }

    /// Notes the result, and as of which authority it is.
    pub fn checked(self, as_of: u64, result: Result<Arc<Identity>, Refusal>) -> Checked {
        Checked { id: self.id, session: self.session, request: self.auth.id, as_of, result }
    }
}

impl Driver {
    /// Takes on a connection, and tells the client who it is if that is known.
    pub(super) fn connect(&mut self, socket: Socket, who: Who, seat: Option<Seat>) -> ConnId {
        let clock = now();
        let auth = self.settings.authentication.auth();
        match who {
            Who::Anyone => self.shard.connect(clock, socket),
            Who::Unknown => {
                let id = self.shard.connect_as(clock, socket, Auth::Required, None);
                self.expect_auth(id);
                id
            }
            Who::Known(identity) => {
                // A certificate needs no token beside it.
                let auth = if identity.source == Source::Certificate { Auth::Optional } else { auth };
                let id = self.shard.connect_as(clock, socket, auth, Some(identity.permissions.clone()));
                if identity.source != Source::Anonymous {
                    self.shard.answer(clock, id, &authenticated(None, &identity));
                    self.note_login(id, Ok(&identity));
                }
                self.know(id, identity, seat);
                id
            }
        }
    }

    fn know(&mut self, id: ConnId, identity: Arc<Identity>, seat: Option<Seat>) {
        if let Some(session) = self.shard.session(id) {
            self.name(id, identity.sub.clone());
            self.logins.set(id, session, identity, seat);
        }
    }

    /// Shows an operator who a connection is.
    fn name(&mut self, id: ConnId, sub: Option<Arc<str>>) {
        if let Some(socket) = self.shard.sink(id) {
            socket.admitted.set_sub(sub);
        }
    }

    /// Keeps account of a login.
    fn note_login(&mut self, id: ConnId, result: Result<&Identity, &Refusal>) {
        let Some((session, socket)) = self.shard.session_with_sink(id) else { return };
        let (name, address) = (self.shard.engine().session_name(session), socket.remote().ip.to_canonical());
        let session = Some(&*name);
        let event = match result {
            Ok(identity) => Event::LoginTaken {
                sub: identity.sub.as_deref().unwrap_or_default(),
                session,
                address,
                expires_ts: identity.expires_ms.map(|ms| ms * 1000),
            },
            Err(refusal) => Event::LoginRefused { session, address, reason: &refusal.message },
        };
        self.audit.record(now(), &event);
    }

    fn expect_auth(&mut self, id: ConnId) {
        if let Some(session) = self.shard.session(id) {
            self.logins.expect(id, session, now().mono_us / 1000 + u64::from(self.settings.auth_ms));
        }
    }

    /// Notes a token that a client has sent. The connection is not read until it is checked.
    pub(super) fn begin_check(&mut self, id: ConnId, auth: AuthRequest) {
        let Some(session) = self.shard.session(id) else { return };
        // What is too long to be a token does not wait, and does not take up memory meanwhile.
        if auth.token.len() > self.settings.token_bytes_max as usize
            && let Some(result) = self.settings.authentication.check_now(&auth.token)
        {
            let unchecked = Unchecked { shard: self.index, id, session, auth };
            return self.checked(unchecked.checked(self.settings.authentication.as_of(), result));
        }
        self.logins.push(id, session, auth);
        self.check_next();
    }

    /// Has tokens checked, as many as may be at once.
    fn check_next(&mut self) {
        while self.logins.checking < CHECKING_MAX
            && let Some((id, session, auth)) = self.logins.pop()
        {
            if self.shard.session(id) == Some(session) {
                self.logins.checking += 1;
                // The thread lives as long as the shards.
                let _ = self.settings.checking.send(Unchecked { shard: self.index, id, session, auth });
            }
        }
    }

    /// Answers a token that was checked with the keys that are there, or has these fetched.
    pub(super) fn verified(&mut self, Verified { unchecked, as_of, result }: Verified) {
        self.logins.checking -= 1;
        self.check_next();
        match result {
            None => self.fetch_keys(unchecked),
            Some(result) => self.checked(unchecked.checked(as_of, result)),
        }
    }

    /// Has a token checked after keys are fetched, if that is due.
    fn fetch_keys(&mut self, unchecked: Unchecked) {
        if self.shard.session(unchecked.id) != Some(unchecked.session) {
            return;
        }
        if let Err(full) = self.settings.fetching.try_send(unchecked) {
            let refused = Refusal {
                code: ErrorCode::Unavailable,
                message: "too many clients wait for keys of tokens to be fetched; try again".into(),
            };
            let as_of = self.settings.authentication.as_of();
            self.checked(full.into_inner().checked(as_of, Err(refused)));
        }
    }

    /// Answers a token.
    pub(super) fn checked(&mut self, checked: Checked) {
        let Checked { id, session, request, as_of, result } = checked;
        if self.shard.session(id) != Some(session) || self.shard.is_closing(id) {
            return;
        }
        self.shard.end_check(id);
        let before = self.logins.get(id, session);
        let result = result.and_then(|identity| same_client(before, &identity).map(|()| identity));
        let is_late = self.logins.take_late(id, session);
        match result {
            Ok(identity) => {
                let (seat, granted) = match self.seat(id, session, &identity) {
                    Ok(seat) => seat,
                    Err(limit) => {
                        self.shard.close(now(), id, CloseReason::LimitExceeded, limit);
                        self.logins.forget(id);
                        return;
                    }
                };
                self.note_login(id, Ok(&identity));
                self.shard.grant(id, granted);
                let answer = authenticated(request.as_deref(), &identity);
                self.shard.authorize(now(), id, Some(identity.permissions.clone()), Some(answer.into()));
                self.know(id, identity, seat);
                self.renew_if_replaced(id, as_of);
            }
            Err(refusal) => {
                self.note_login(id, Err(&refusal));
                self.shard.refuse_auth(now(), id, request.as_deref(), refusal.code, &refusal.message);
                if is_late {
                    self.shard.close(now(), id, CloseReason::Unauthenticated, LATE);
                }
            }
        }
    }

    /// Returns the seat of a connection among those of its user, and what is granted to it.
    ///
    /// # Errors
    /// The user has as many connections as it may have.
    fn seat(&mut self, id: ConnId, session: u64, identity: &Identity) -> Result<(Option<Seat>, Granted), &'static str> {
        let quotas = &self.settings.identity_quotas;
        match self.logins.get(id, session).is_some_and(|before| before.sub == identity.sub) {
            true => Ok((self.logins.take_seat(id, session), quotas.granted(identity))),
            false => quotas.enter(identity),
        }
    }

    /// Forgets connections that are gone, ends those whose time is over, and tells clients whose tokens end soon.
    /// Returns whether there is more to do.
    pub(super) fn end_late(&mut self) -> bool {
        let mut left = ENDS_PER_ROUND;
        while let Some(id) = self.shard.next_departed() {
            self.logins.departed(id, self.shard.session(id));
        }
        let clock = now();
        while left > 0
            && let Some((id, session)) = self.logins.next_late(clock)
        {
            left -= 1;
            if self.shard.session(id) != Some(session) {
                continue;
            }
            if self.shard.is_checking(id) {
                // Its token came in time. If that is not taken, there is no time for another.
                self.logins.set_late(id, session);
            } else {
                self.shard.close(clock, id, CloseReason::Unauthenticated, LATE);
            }
        }
        while left > 0
            && let Some((id, session)) = self.logins.next_due(clock)
        {
            left -= 1;
            if self.shard.session(id) != Some(session) {
                self.logins.forget(id);
            } else if let Some(identity) = self.logins.tell(id, session) {
                let mut payload = Vec::new();
                message::reauth(&mut payload, identity.expires_ms.unwrap_or_default() * 1000);
                self.shard.answer(clock, id, &payload);
            } else {
                self.shard.close(clock, id, CloseReason::Unauthenticated, "token expired");
                self.logins.forget(id);
            }
        }
        left == 0
    }

    /// Gives a connection what its identity gives by now, if the authority that it is from was replaced meanwhile.
    pub(super) fn renew_if_replaced(&mut self, id: ConnId, as_of: u64) {
        if as_of != self.settings.authentication.as_of() {
            self.renew(id);
        }
    }

    /// Gives a connection what its identity gives by now.
    pub(super) fn renew(&mut self, id: ConnId) {
        let Some(session) = self.shard.session(id) else { return };
        let (clock, authority) = (now(), self.settings.authentication.authority());
        let is_stream = self.shard.sink(id).is_some_and(|socket| socket.follows_events());
        if !is_stream && self.logins.get(id, session).is_none() {
            self.shard.grant(id, self.settings.quotas.granted());
        }
        if !authority.is_configured() {
            // Nobody is asked any more who they are.
            if self.logins.get(id, session).is_some() {
                self.unname(id);
            }
            self.logins.no_longer_expect(id);
            return self.shard.permit_everything(clock, id);
        }
        let Some(before) = self.logins.get(id, session).cloned() else {
            if self.shard.must_authenticate(id) && authority.anonymous().is_none() {
                // It has its time already.
                return;
            }
            // Either nobody was asked who they are when it came, or there was no role `anonymous`.
            match authority.anonymous() {
                Some(identity) => self.replace(id, None, identity),
                None => self.forget(id),
            }
            return;
        };
        match authority.renew(&before, clock.wall_us / 1000) {
            Ok(identity) if *identity == *before => {
                if !is_stream {
                    self.shard.grant(id, self.settings.identity_quotas.granted(&before));
                }
            }
            Ok(identity) => self.replace(id, Some(&before), identity),
            Err(_) if before.source == Source::Anonymous => self.forget(id),
            Err(ended) => {
                self.shard.close(clock, id, CloseReason::Unauthenticated, &ended.to_string());
                self.logins.forget(id);
            }
        }
    }

    /// Replaces an identity by what it gives now, and tells the client if it may do something else.
    fn replace(&mut self, id: ConnId, before: Option<&Identity>, identity: Arc<Identity>) {
        let is_same = before.is_some_and(|before| before.permissions == identity.permissions);
        let answer = (!is_same).then(|| authenticated(None, &identity).into());
        self.shard.authorize(now(), id, Some(identity.permissions.clone()), answer);
        if self.shard.sink(id).is_some_and(|socket| !socket.follows_events()) {
            self.shard.grant(id, self.settings.identity_quotas.granted(&identity));
        }
        let seat = self.shard.session(id).and_then(|session| self.logins.take_seat(id, session));
        self.know(id, identity, seat);
    }

    /// Takes everything from a connection until it authenticates.
    fn forget(&mut self, id: ConnId) {
        self.shard.authorize(now(), id, None, None);
        self.unname(id);
        self.expect_auth(id);
    }

    /// Forgets who a connection is. It is granted what everybody is.
    fn unname(&mut self, id: ConnId) {
        self.name(id, None);
        self.logins.forget(id);
        if self.shard.sink(id).is_some_and(|socket| !socket.follows_events()) {
            self.shard.grant(id, self.settings.quotas.granted());
        }
    }
}

/// Refuses another client's token on a connection whose client has shown one.
fn same_client(before: Option<&Arc<Identity>>, identity: &Identity) -> Result<(), Refusal> {
    match before {
        Some(before)
            if matches!(before.source, Source::Jwt { .. } | Source::Static(_)) && before.sub != identity.sub =>
        {
            let message = "the token is of another client than the one before (sub)".into();
            Err(Refusal { code: ErrorCode::Forbidden, message })
        }
        _ => Ok(()),
    }
}

/// The message that says who a client is and what it may do.
fn authenticated(request: Option<&[u8]>, identity: &Identity) -> Vec<u8> {
    let mut payload = Vec::new();
    let expires_ts = identity.expires_ms.map(|ms| ms * 1000);
    let sub = identity.sub.as_deref().unwrap_or("anonymous");
    message::authenticated(&mut payload, request, sub, expires_ts, &identity.permissions);
    payload
}

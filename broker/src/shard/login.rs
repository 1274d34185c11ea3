//! Who the clients of a shard's connections are: their tokens are checked, some in each round; they end; and they are
//! renewed when keys, roles or revocations change.

use std::sync::Arc;

use broker_engine::{AuthRequest, ConnId, Granted};
use broker_identity::{BadToken, Identity, Source};
use broker_protocol::codes::{CloseReason, ErrorCode};
use broker_protocol::message::{self, Auth};
use broker_protocol::request::Refusal;

use super::Driver;
use super::socket::Socket;
use crate::audit::Event;
use crate::authentication::{Who, refusal};
use crate::clock::now;
use crate::quota::Seat;

/// The most tokens of a shard that are being checked at once. The others wait in the shard, so that shards take turns.
const CHECKING_MAX: usize = 64;

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
    result: Result<Arc<Identity>, BadToken>,
}

/// A token that was checked for good.
pub struct Checked {
    id: ConnId,
    session: u64,
    request: Option<Box<[u8]>>,
    result: Result<Arc<Identity>, Refusal>,
}

impl Unchecked {
    /// Returns the token.
    pub fn token(&self) -> &str {
        &self.auth.token
    }

    /// Notes the result with the keys that are there.
    pub fn verified(self, result: Result<Arc<Identity>, BadToken>) -> Verified {
        Verified { unchecked: self, result }
    }

    /// Notes the result.
    pub fn checked(self, result: Result<Arc<Identity>, Refusal>) -> Checked {
        Checked { id: self.id, session: self.session, request: self.auth.id, result }
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
            if let Some(socket) = self.shard.sink(id) {
                socket.admitted.set_sub(identity.sub.clone());
            }
            self.logins.set(id, session, identity, seat);
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
        if let Some(session) = self.shard.session(id) {
            self.logins.push(id, session, auth);
            self.check_next();
        }
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
    pub(super) fn verified(&mut self, Verified { unchecked, result }: Verified) {
        self.logins.checking -= 1;
        self.check_next();
        match result {
            Err(BadToken::UnknownKey | BadToken::KeysUnavailable) => self.fetch_keys(unchecked),
            result => self.checked(unchecked.checked(result.map_err(refusal))),
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
            self.checked(full.into_inner().checked(Err(refused)));
        }
    }

    /// Answers a token.
    pub(super) fn checked(&mut self, checked: Checked) {
        let Checked { id, session, request, result } = checked;
        if self.shard.session(id) != Some(session) {
            return;
        }
        let before = self.logins.get(id, session);
        let result = result.and_then(|identity| same_client(before, &identity).map(|()| identity));
        self.note_login(id, result.as_deref());
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
                self.shard.grant(id, granted);
                let answer = authenticated(request.as_deref(), &identity);
                self.shard.authorize(now(), id, Some(identity.permissions.clone()), Some(answer.into()));
                self.know(id, identity, seat);
            }
            Err(refusal) => {
                self.shard.refuse_auth(now(), id, request.as_deref(), refusal.code, &refusal.message);
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
    pub(super) fn end_late(&mut self) {
        while let Some(id) = self.shard.next_departed() {
            self.logins.departed(id, self.shard.session(id));
        }
        let clock = now();
        while let Some((id, session)) = self.logins.next_late(clock) {
            if self.shard.session(id) == Some(session) && self.logins.get(id, session).is_none() {
                let reason = CloseReason::Unauthenticated;
                self.shard.close(clock, id, reason, "no token came in time (auth_ms)");
            }
        }
        while let Some((id, session)) = self.logins.next_due(clock) {
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
            if self.logins.get(id, session).is_some() || self.shard.must_authenticate(id) {
                // Nobody is asked any more.
                self.logins.forget(id);
                self.shard.permit_everything(id);
            }
            return;
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
        self.logins.forget(id);
        self.expect_auth(id);
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

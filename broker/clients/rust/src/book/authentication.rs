//! The client's token on the present connection: sent first, renewed before it ends, and refused or accepted.

use super::{Book, Delivery};
use crate::ErrorCode;
use crate::authenticated::Authenticated;
use crate::connection_event::ConnectionEvent;
use crate::event::{EntryError, Event};
use crate::request::Request;
use crate::shared::Shared;
use crate::token::Secret;
use crate::transport::Broken;

/// The code with which the broker closes a connection whose token it does not take.
const UNAUTHENTICATED: u16 = 4001;

/// What is known of the token of this connection.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    /// The broker has said for whom it takes this connection.
    pub(super) accepted: bool,
    /// The first token of this connection has no answer.
    pub(super) waits: bool,
    /// The broker has asked for another token, or refused the last renewal: the token is to be asked for.
    wanted: bool,
    /// Renewals in a row that were refused.
    refused: u32,
    /// The broker cannot check the renewal now: how long it wants not to be asked again, in milliseconds.
    wait_ms: Option<u64>,
}

/// The wait before a renewal is tried again, where the broker says none, in milliseconds.
const RENEWAL_WAIT_MS: u64 = 1_000;

impl Authentication {
    /// That of a new connection; `sent` if it begins with a token.
    pub(super) fn begin(sent: bool) -> Authentication {
        Authentication { waits: sent, ..Authentication::default() }
    }
}

/// The broker's refusal of a token.
pub(super) struct Refused<'a> {
    pub(super) code: ErrorCode,
    pub(super) message: &'a str,
    pub(super) retry_ms: Option<u64>,
}

impl Book {
    /// Whether the broker has accepted the token of this connection.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authentication.accepted
    }

    /// Whether the first token of this connection has no answer.
    pub(super) fn is_authenticating(&self) -> bool {
        self.authentication.waits
    }

    /// Whether the token is to be asked for, to renew it. Returns it once.
    pub(crate) fn takes_another_token(&mut self) -> bool {
        std::mem::take(&mut self.authentication.wanted)
    }

    /// How long the broker wants not to be asked again, if it could not check the last renewal. Returns it once.
    pub(crate) fn takes_renewal_wait_ms(&mut self) -> Option<u64> {
        self.authentication.wait_ms.take()
    }

    /// Sends another token, ahead of everything that waits.
    pub(crate) fn renew(&mut self, token: Secret) {
        self.first.push_back(Request::Authenticate { token, renews: true });
    }

    /// Records whom the broker takes this connection for.
    pub(crate) fn authenticated(&mut self, who: Authenticated, shared: &Shared) {
        self.authentication.accepted = true;
        self.authentication.waits = false;
        self.authentication.refused = 0;
        if shared.set_authenticated(&who) {
            shared.report(ConnectionEvent::Authenticated(who));
        }
    }

    /// The broker says that the token ends soon.
    pub(super) fn wants_another_token(&mut self) {
        self.authentication.wanted = true;
    }

    /// Handles the refusal of a token. The first one of a connection ends it, as if the broker had closed it: whatever
    /// was asked for in the same flight is refused as well, and asked for again on the next. A renewal changes nothing:
    /// the token is asked for once more, and then the connection goes on until its own token ends.
    pub(super) fn token_refused(&mut self, renews: bool, refused: Refused<'_>, shared: &Shared) -> Result<(), Broken> {
        let Refused { code, message, retry_ms } = refused;
        let message = shared.without_token(message);
        let is_final = matches!(code, ErrorCode::BadToken | ErrorCode::Forbidden);
        if !renews {
            let (as_code, after_ms) = if is_final { (Some(UNAUTHENTICATED), None) } else { (None, retry_ms) };
            let reason = format!("the token was refused ({}): {message}", code.as_str());
            return Err(Broken { reason, close_code: Some(1000), as_code, after_ms });
        }
        if !is_final {
            (self.authentication.wanted, self.authentication.wait_ms) =
                (true, Some(retry_ms.unwrap_or(RENEWAL_WAIT_MS)));
            return Ok(());
        }
        self.authentication.refused += 1;
        match (code, self.authentication.refused) {
            (ErrorCode::BadToken, 1) => self.authentication.wanted = true,
            _ => {
                self.authentication.refused = 0;
                let message = format!("the new token was refused: {message}");
                shared.report(ConnectionEvent::Error { code: code.as_str().to_owned(), message });
            }
        }
        Ok(())
    }

    /// Something that was subscribed is not allowed any more: an entry, or a topic that a pattern has brought in, which
    /// stays an entry. Nothing of it follows.
    pub(super) fn revoked(&mut self, refused: EntryError, out: &mut Vec<Delivery>) {
        let getting = self.topics.by_name.get(refused.entry.as_str());
        let getting: Vec<_> =
            getting.into_iter().flat_map(|topic| &topic.routes).map(|route| route.subscription).collect();
        let having: Vec<_> =
            self.subscriptions.iter().filter(|(_, record)| record.has(&refused.entry)).map(|(id, _)| id).collect();
        out.extend(self.refuse(&refused));
        self.topics.by_name.remove(refused.entry.as_str());
        let others = getting.into_iter().filter(|id| !having.contains(id));
        let others = others.filter_map(|id| self.subscriptions.events(id));
        out.extend(others.map(|events| (events.clone(), Event::Refused(refused.clone()))));
    }
}

//! Clients that may be ahead of this broker. Where several brokers read one log, a client may come from one that has read
//! more of it: what the client has seen is then not wrong here, but not known yet.

use broker_protocol::request::{From, Subscribe, SubscribeEntry};
use broker_protocol::topic::is_reserved;

use super::Engine;
use crate::epoch;
use crate::fault::{self, Fault};
use crate::journal::Journal;

/// A place that is further ahead is none of this log: a broker that lags by half a million million commands finds them
/// no longer in the log. So of a thousand epochs of another generation, which look like places anywhere, two at most have
/// to wait for the log before they are answered.
const AHEAD_MAX: u64 = 1 << 40;

impl Engine {
    /// Whether a client may be ahead of this broker at all.
    pub(crate) fn has_others(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_shared)
    }

    /// Whether this place may be one of the log that this broker has not applied yet.
    pub(crate) fn may_come(&self, place: u64) -> bool {
        self.has_others() && is_ahead(place, self.feed.ordinal())
    }

    /// Whether a client that has a topic up to this epoch and `seq` may be ahead of this broker.
    pub(crate) fn may_reach(&self, name: &str, epoch: &str, seq: u64) -> bool {
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.is_shared()) else { return false };
        // The broker's own topics are in no log.
        if is_reserved(name) {
            return false;
        }
        let last = self.feed.ordinal();
        match epoch::counter(journal.nonce, epoch) {
            Some(place) if place > last => place.is_multiple_of(2) && is_ahead(place, last),
            // What began at a place that is applied is in the directory, or was.
            Some(_) => {
                let topic = self.topic(name).filter(|topic| topic.epoch() == epoch);
                topic.is_some_and(|topic| seq > topic.lock().seq()) && !fault::strikes(Fault::AheadIsReset)
            }
            None => false,
        }
    }

    /// Where the entries of a request begin that name no `seq`.
    pub(crate) fn beginning_of(&self, request: &Subscribe<'_>) -> From {
        request.resume.map_or(request.from, |position| From::After(self.ordinal_of(position)))
    }

    /// Whether such a beginning may still come.
    pub(crate) fn is_to_come(&self, from: From) -> bool {
        matches!(from, From::After(ordinal) if self.may_come(ordinal))
    }

    /// Whether a client that asks for this may be ahead of this broker.
    pub(crate) fn may_be_ahead(&self, request: &Subscribe<'_>) -> bool {
        let from = self.beginning_of(request);
        let is_to_come = self.is_to_come(from);
        request.entries.iter().any(|entry| match entry {
            SubscribeEntry::Plain(_) => is_to_come,
            SubscribeEntry::Resume { topic, epoch, seq } => self.may_reach(topic, epoch, *seq),
            SubscribeEntry::Bad { .. } => false,
        })
    }
}

fn is_ahead(place: u64, last: u64) -> bool {
    place > last && place - last <= AHEAD_MAX && !fault::strikes(Fault::AheadIsReset)
}

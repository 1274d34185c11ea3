//! What is granted to a client that is known: its roles' quotas, or else those of all, shared by its connections.

use std::sync::{Arc, RwLock};

use broker_engine::{Granted, Rates};
use broker_identity::Identity;

use super::users::{Seat, Users};
use crate::sync::{read, write};

/// The quotas of clients that are known.
#[derive(Debug)]
pub struct IdentityQuotas {
    users: Arc<Users>,
    bounds: RwLock<(u32, Rates)>,
}

impl IdentityQuotas {
    /// Grants each user so many connections (0 is no bound) and these rates, unless a role says otherwise.
    pub fn new(users: Arc<Users>, connections_max: u32, rates: Rates) -> IdentityQuotas {
        IdentityQuotas { users, bounds: RwLock::new((connections_max, rates)) }
    }

    /// Grants other bounds from now on.
    pub(crate) fn change(&self, connections_max: u32, rates: Rates) {
        *write(&self.bounds) = (connections_max, rates);
    }

    /// Counts a connection of a client. Returns what is granted to it, and its seat, unless the client has no name.
    ///
    /// # Errors
    /// The client has as many connections as it may have, as a text for it.
    pub(crate) fn enter(&self, identity: &Identity) -> Result<(Option<Seat>, Granted), &'static str> {
        let rates = self.rates(identity);
        let Some(user) = &identity.sub else { return Ok((None, Granted { rates, publishes: None })) };
        let max = identity.quotas.connections_max.map_or_else(|| read(&self.bounds).0, clamped);
        let (seat, publishes) = self.users.enter(user, max)?;
        Ok((Some(seat), Granted { rates, publishes: Some(publishes) }))
    }

    /// What is granted to a request over HTTP.
    pub(crate) fn granted(&self, identity: &Identity) -> Granted {
        let rates = self.rates(identity);
        let publishes = identity.sub.as_deref().filter(|_| rates.are_bounds());
        Granted { rates, publishes: publishes.map(|user| self.users.publishes(user)) }
    }

    /// The rates of a client.
    pub(crate) fn rates(&self, identity: &Identity) -> Rates {
        let (own, all) = (&identity.quotas, read(&self.bounds).1);
        Rates {
            requests: own.requests_per_s.map_or(all.requests, clamped),
            subscribes: own.subscribes_per_s.map_or(all.subscribes, clamped),
            publishes: own.publishes_per_s.map_or(all.publishes, clamped),
            publish_bytes: own.publish_bytes_per_s.unwrap_or(all.publish_bytes),
        }
    }
}

/// A bound that is larger than any that counts is that one.
fn clamped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

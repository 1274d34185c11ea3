//! The quotas of users: how many connections each has, and what all of them together publish.
//!
//! A user is whoever a token or a certificate names. A user with connections is always remembered; of those without, as
//! many as fit, so that nobody gets a new bucket by coming back, or by publishing with one request after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use broker_engine::{Quota, Refusals, SharedPublishes};

use super::table::Table;
use crate::sync::lock;

/// How many users without a connection are remembered.
const RESTING_MAX: usize = 16_384;

/// The users.
#[derive(Debug)]
pub struct Users {
    refusals: Arc<Refusals>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    present: HashMap<Arc<str>, Present>,
    resting: Table<Arc<str>, Arc<SharedPublishes>>,
}

#[derive(Debug)]
struct Present {
    connections: u32,
    publishes: Arc<SharedPublishes>,
}

/// Counts a connection of a user until it is dropped.
#[derive(Debug)]
pub struct Seat {
    user: Arc<str>,
    users: Arc<Users>,
}

impl Users {
    /// Nobody yet.
    pub fn new(refusals: Arc<Refusals>) -> Arc<Users> {
        let state = State { present: HashMap::new(), resting: Table::new(RESTING_MAX) };
        Arc::new(Users { refusals, state: Mutex::new(state) })
    }

    /// Counts a connection of a user, who may have `connections_max` (0 is no bound). Returns it with what the user has left
    /// to publish.
    ///
    /// # Errors
    /// The user has as many, as a text for the client.
    pub fn enter(
        self: &Arc<Self>,
        user: &str,
        connections_max: u32,
    ) -> Result<(Seat, Arc<SharedPublishes>), &'static str> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let count = state.present.get(user).map_or(0, |present| present.connections);
        let is_over = connections_max > 0 && count >= connections_max;
        if is_over && self.refusals.refuses(Quota::ConnectionsOfUser) {
            return Err(Quota::ConnectionsOfUser.exceeded());
        }
        if count == 0 {
            let publishes = state.resting.take(user).unwrap_or_default();
            state.present.insert(user.into(), Present { connections: 0, publishes });
        }
        let user = state.present.get_key_value(user).map_or_else(|| user.into(), |(user, _)| user.clone());
        let present = state.present.get_mut(&user);
        let publishes = present.map(|present| {
            present.connections += 1;
            present.publishes.clone()
        });
        drop(guard);
        Ok((Seat { user, users: self.clone() }, publishes.unwrap_or_default()))
    }

    /// Returns what a user has left to publish, for a request over HTTP.
    pub fn publishes(&self, user: &str) -> Arc<SharedPublishes> {
        let mut state = lock(&self.state);
        match state.present.get(user) {
            Some(present) => present.publishes.clone(),
            None => state.resting.entry(user.into()).clone(),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guard = lock(&self.users.state);
        let state = &mut *guard;
        let Some(present) = state.present.get_mut(&self.user) else { return };
        present.connections -= 1;
        if present.connections == 0
            && let Some(present) = state.present.remove(&self.user)
        {
            *state.resting.entry(self.user.clone()) = present.publishes;
        }
    }
}

#[cfg(test)]
mod tests {
    use broker_engine::{Now, Rates};

    use super::*;

    #[test]
    fn a_user_has_so_many_connections() {
        let refusals = Arc::new(Refusals::default());
        let users = Users::new(refusals.clone());
        let mut seats: Vec<_> = (0..3).map(|_| users.enter("ann", 3).unwrap()).collect();
        assert!(users.enter("ann", 3).is_err());
        assert!(users.enter("bob", 1).is_ok(), "another user");
        assert!(users.enter("ann", 4).is_ok(), "a larger bound");
        assert!(users.enter("ann", 0).is_ok(), "no bound");
        assert_eq!(refusals.count(Quota::ConnectionsOfUser, false), 1);
        seats.pop();
        seats.push(users.enter("ann", 3).unwrap());
        drop(seats);
        assert!(lock(&users.state).present.is_empty());
        // A dry run counts.
        let refusals = Arc::new(Refusals::new(true));
        let users = Users::new(refusals.clone());
        let seats: Vec<_> = (0..3).map(|_| users.enter("ann", 1).unwrap()).collect();
        assert_eq!((seats.len(), refusals.count(Quota::ConnectionsOfUser, true)), (3, 2));
    }

    #[test]
    fn a_user_has_one_bucket_however_the_user_comes() {
        let now = Now { mono_us: 7, wall_us: 0 };
        let rates = Rates { publishes: 1, ..Rates::default() };
        let users = Users::new(Arc::default());
        // By two connections at once, by one after they are gone, and by requests before, beside and after them.
        users.publishes("ann").take(now, &rates, 1, 9).unwrap();
        let one = users.enter("ann", 0).unwrap();
        let other = users.enter("ann", 0).unwrap();
        one.1.take(now, &rates, 1, 9).unwrap();
        users.publishes("ann").take(now, &rates, 1, 9).unwrap();
        drop(one);
        other.1.take(now, &rates, 1, 9).unwrap();
        assert!(other.1.take(now, &rates, 1, 9).is_err());
        drop(other);
        assert!(users.publishes("ann").take(now, &rates, 1, 9).is_err());
        let back = users.enter("ann", 0).unwrap();
        assert!(back.1.take(now, &rates, 1, 9).is_err());
        users.publishes("bob").take(now, &rates, 1, 9).unwrap();
    }

    #[test]
    fn users_without_a_connection_are_bounded() {
        let users = Users::new(Arc::default());
        let held = users.enter("held", 0).unwrap();
        for number in 0..3 * RESTING_MAX {
            drop(users.enter(&number.to_string(), 0).unwrap());
        }
        let state = lock(&users.state);
        assert_eq!(state.present.len(), 1);
        drop(state);
        assert!(Arc::ptr_eq(&users.publishes("held"), &held.1));
    }
}

//! Quotas: how much of something a client may do in a second.
//!
//! ```text
//! here        the catalogue of quotas, and what is granted
//! bucket      what is left of a rate
//! publishes   what is left of the two rates of publishing
//! refusals    how often quotas refused, and whether they only count
//! ```
//!
//! What a connection has left is in its shard (`shard/quota.rs`).

mod bucket;
mod publishes;
mod refusals;

use std::sync::Arc;

pub use self::bucket::{Bucket, Rate, Wait};
pub use self::publishes::{Publishes, SharedPublishes, Unfit};
pub use self::refusals::Refusals;

/// The quotas. Each bears the name of its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// New connections of an address.
    Connects,
    /// Connections of an address at the same time.
    ConnectionsOfAddress,
    /// Connections of a user at the same time.
    ConnectionsOfUser,
    /// Requests of a connection.
    Requests,
    /// Entries of a connection's subscriptions.
    Subscribes,
    /// Updates of a publisher.
    Publishes,
    /// Bytes of a publisher's updates.
    PublishBytes,
}

impl Quota {
    /// All of them.
    pub const ALL: [Quota; 7] = [
        Quota::Connects,
        Quota::ConnectionsOfAddress,
        Quota::ConnectionsOfUser,
        Quota::Requests,
        Quota::Subscribes,
        Quota::Publishes,
        Quota::PublishBytes,
    ];

    /// Its setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Quota::Connects => "connects_per_address_per_s",
            Quota::ConnectionsOfAddress => "connections_per_address_max",
            Quota::ConnectionsOfUser => "connections_per_user_max",
            Quota::Requests => "requests_per_s",
            Quota::Subscribes => "subscribes_per_s",
            Quota::Publishes => "publishes_per_s",
            Quota::PublishBytes => "publish_bytes_per_s",
        }
    }

    /// What is wrong, for the client.
    pub fn exceeded(self) -> &'static str {
        match self {
            Quota::Connects => "more new connections from this address than connects_per_address_per_s allows",
            Quota::ConnectionsOfAddress => {
                "as many connections from this address as connections_per_address_max allows"
            }
            Quota::ConnectionsOfUser => "as many connections of this user as connections_per_user_max allows",
            Quota::Requests => "more requests than requests_per_s allows",
            Quota::Subscribes => "more subscriptions than subscribes_per_s allows",
            Quota::Publishes => "more updates than publishes_per_s allows",
            Quota::PublishBytes => "more data than publish_bytes_per_s allows",
        }
    }
}

/// What a client may do in a second. 0 is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// `requests_per_s`
    pub requests: u32,
    /// `subscribes_per_s`
    pub subscribes: u32,
    /// `publishes_per_s`
    pub publishes: u32,
    /// `publish_bytes_per_s`
    pub publish_bytes: u64,
}

impl Rates {
    /// Whether there is any bound.
    pub fn are_bounds(&self) -> bool {
        *self != Rates::default()
    }
}

/// What is granted to a connection.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    /// What it may do in a second.
    pub rates: Rates,
    /// What its user has left of the rates of publishing, over all of the user's connections; `None` if the connection has
    /// them to itself.
    pub publishes: Option<Arc<SharedPublishes>>,
}

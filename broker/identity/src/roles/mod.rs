//! Roles: what the configuration allows to those who have them, and who that is.

mod gathered;
mod line;
mod table;

pub use gathered::{CLIENT_ROLES_MAX, PATTERNS_MAX};
pub(crate) use gathered::{Given, TooMuch, Who};
pub use line::Line;
pub use table::Roles;
pub(crate) use table::{NAME, is_name};

use crate::quotas::Quotas;

/// The role of a client without a token.
pub const ANONYMOUS: &str = "anonymous";
/// The most patterns of one role, all lists together.
pub const ROLE_PATTERNS_MAX: usize = 256;

/// One role, as the configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// Its name, in tokens and for static tokens.
    pub name: String,
    /// The topics that may be read.
    pub sub: Vec<Line>,
    /// The topics that may be published to.
    pub publish: Vec<Line>,
    /// The topics for which neither is allowed.
    pub deny: Vec<Line>,
    /// Whether topics that may be published to may be deleted as well.
    pub admin: bool,
    /// The names in client certificates that have this role: DNS names, or URIs.
    pub client_cert: Vec<String>,
    /// The least interval of a subscription, in ms; 0 is none.
    pub conflate_ms_min: Option<u32>,
    /// Quotas that differ from those of all clients.
    pub quotas: Quotas,
}

impl Role {
    /// The number of its patterns.
    pub(crate) fn patterns(&self) -> usize {
        self.sub.len() + self.publish.len() + self.deny.len()
    }
}

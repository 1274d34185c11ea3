//! What a client may do, put together from its roles and its token's own lists.

use std::sync::Arc;

use broker_protocol::Pattern;
use broker_protocol::permissions::Permissions;

use super::Role;
use crate::claims::Lists;
use crate::quotas::Quotas;

/// The most patterns of one client, of all its roles and its token together: each is compared with each topic once.
pub const PATTERNS_MAX: usize = 1024;

/// The most roles of one client.
pub const CLIENT_ROLES_MAX: usize = 64;

/// What placeholders stand for.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) sub: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
}

/// What a client has.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) roles: Vec<Arc<str>>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) admin: bool,
    pub(crate) quotas: Quotas,
    pub(crate) unknown_roles: usize,
}

/// A client has more roles than [`CLIENT_ROLES_MAX`], or more patterns than [`PATTERNS_MAX`].
#[derive(Debug)]
pub(crate) struct TooMuch;

/// The sum of roles and of a token's own lists.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) roles: Vec<Arc<str>>,
    lists: Lists,
    admin: bool,
    quotas: Quotas,
    conflate_ms_min: Option<u32>,
}

impl Gathered {
    /// Begins with the lists of a token.
    pub(super) fn new(lists: Lists) -> Gathered {
        Gathered { lists, ..Gathered::default() }
    }

    /// Adds a role. Returns whether it counts: a denying line that cannot be filled voids the role as a whole, because
    /// without that line it would allow more than it should.
    pub(super) fn add(&mut self, name: &Arc<str>, role: &Role, who: Who<'_>) -> Result<bool, TooMuch> {
        let Some(deny) = role.deny.iter().map(|line| line.fill(who)).collect::<Option<Vec<Pattern>>>() else {
            return Ok(false);
        };
        self.lists.deny.extend(deny);
        self.lists.sub.extend(role.sub.iter().filter_map(|line| line.fill(who)));
        self.lists.publish.extend(role.publish.iter().filter_map(|line| line.fill(who)));
        self.admin |= role.admin;
        self.quotas = self.quotas.or_more(role.quotas);
        self.conflate_ms_min = match (self.conflate_ms_min, role.conflate_ms_min) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.roles.push(name.clone());
        let patterns = self.lists.sub.len() + self.lists.publish.len() + self.lists.deny.len();
        if self.roles.len() > CLIENT_ROLES_MAX || patterns > PATTERNS_MAX { Err(TooMuch) } else { Ok(true) }
    }

    /// The permissions. They leave the lists empty.
    pub(super) fn permissions(&mut self) -> Permissions {
        let lists = std::mem::take(&mut self.lists);
        let permissions = Permissions::new(lists.sub, lists.publish, lists.deny);
        // 0 is no bound, here as for the other quotas.
        let subscriptions_max = self.quotas.subscriptions.filter(|max| *max > 0);
        permissions.with_conflate_ms_min(self.conflate_ms_min.unwrap_or(0)).with_subscriptions_max(subscriptions_max)
    }

    /// The whole, with the permissions that it shares with others if there are such.
    pub(super) fn given(mut self, shared: Option<Arc<Permissions>>, unknown_roles: usize) -> Given {
        let permissions = shared.unwrap_or_else(|| Arc::new(self.permissions()));
        Given { roles: self.roles, permissions, admin: self.admin, quotas: self.quotas, unknown_roles }
    }
}

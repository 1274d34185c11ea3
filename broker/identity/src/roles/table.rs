//! All roles, by name.

use std::collections::HashMap;
use std::sync::Arc;

use broker_protocol::permissions::Permissions;

use super::gathered::{Gathered, Given, TooMuch, Who};
use super::{Line, ROLE_PATTERNS_MAX, Role};
use crate::claims::Lists;

/// The most roles.
const ROLES_MAX: usize = 1024;
/// The most bytes of a role's name.
const NAME_BYTES_MAX: usize = 128;
/// What a role, or a static token, may be called.
pub(crate) const NAME: &str = "1 to 128 bytes without control characters";

/// The roles of a configuration.
#[derive(Debug, Default)]
pub struct Roles {
    known: HashMap<Arc<str>, Known>,
}

#[derive(Debug)]
struct Known {
    role: Role,
    /// What a client has that has only this role, where it is the same for all clients: they share it.
    shared: Option<Arc<Permissions>>,
}

impl Roles {
    /// Checks roles, and files them.
    ///
    /// # Errors
    /// A sentence for each thing that is wrong.
    pub(crate) fn new(roles: Vec<Role>) -> Result<Roles, Vec<String>> {
        let mut problems = Vec::new();
        if roles.len() > ROLES_MAX {
            problems.push(format!("there are {} roles, at most {ROLES_MAX} are possible", roles.len()));
        }
        let mut known = HashMap::new();
        for role in roles {
            let name: Arc<str> = role.name.as_str().into();
            if !is_name(&name) {
                problems.push(format!("a role is called {name:?}: expected {NAME}"));
            }
            if role.patterns() > ROLE_PATTERNS_MAX {
                problems.push(format!(
                    "the role {name:?} has {} patterns, at most {ROLE_PATTERNS_MAX} are possible",
                    role.patterns()
                ));
            }
            let mut alone = Gathered::default();
            let counts = alone.add(&name, &role, Who { sub: None, tenant: None });
            let shared = (role.is_fixed() && counts.is_ok()).then(|| Arc::new(alone.permissions()));
            if known.insert(name.clone(), Known { role, shared }).is_some() {
                problems.push(format!("two roles are called {name:?}"));
            }
        }
        if problems.is_empty() { Ok(Roles { known }) } else { Err(problems) }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether a role exists.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// The roles.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Role> {
        self.known.values().map(|known| &known.role)
    }

    /// Puts together what a client has from the roles of these names, and from its token's own lists.
    ///
    /// # Errors
    /// It is too much for one client.
    pub(crate) fn give<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        lists: Lists,
        who: Who<'_>,
    ) -> Result<Given, TooMuch> {
        let bare = lists.sub.is_empty() && lists.publish.is_empty() && lists.deny.is_empty();
        let (mut gathered, mut unknown_roles, mut shared) = (Gathered::new(lists), 0, None);
        for name in names {
            match self.known.get_key_value(name) {
                None => unknown_roles += 1,
                Some((name, _)) if gathered.roles.contains(name) => {}
                Some((name, known)) => {
                    if gathered.add(name, &known.role, who)? {
                        shared = known.shared.clone();
                    }
                }
            }
        }
        let alone = bare && gathered.roles.len() == 1;
        Ok(gathered.given(shared.filter(|_| alone), unknown_roles))
    }
}

impl Role {
    fn is_fixed(&self) -> bool {
        [&self.sub, &self.publish, &self.deny].into_iter().flatten().all(|line| matches!(line, Line::Fixed(_)))
    }
}

/// Whether a role or a static token may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

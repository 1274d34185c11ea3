//! What a change of a setting needs to count: a restart, or a reload of the area that the setting belongs to.

use std::fmt;

/// When a change of a setting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// At the next start.
    Restart,
    /// With the next reload, of this area.
    Reload(Area),
}

impl fmt::Display for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Applies::Restart => f.write_str("Needs a restart"),
            Applies::Reload(area) => write!(f, "Reloadable, area {}", area.name()),
        }
    }
}

/// Declares the areas together with their names, in the order in which a reload takes them on.
macro_rules! areas {
    ($($(#[$doc:meta])* $area:ident = $name:literal,)+) => {
        /// A part of the configuration that a reload reads again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Area { $($(#[$doc])* $area,)+ }

        impl Area {
            /// Every area, in the order in which a reload takes them on.
            pub const ALL: &[Area] = &[$(Area::$area,)+];

            /// Its name in answers and in the log.
            pub fn name(self) -> &'static str {
                match self { $(Area::$area => $name,)+ }
            }
        }
    };
}

areas! {
    /// Which log lines are written.
    Logs = "logs",
    /// Bounds, budgets and times.
    Limits = "limits",
    /// How much is kept of which topics, and the `[[topics]]` tables.
    Topics = "topics",
    /// Which pages and host names may connect.
    Access = "access",
    /// Certificates and their keys: which files they are in, and what is in these.
    Tls = "tls",
    /// The keys of tokens.
    Keys = "keys",
    /// The `[[roles]]` tables.
    Roles = "roles",
    /// What tokens have to be, the `[[tokens]]` tables, and the revocation file.
    Tokens = "tokens",
    /// How much clients may do.
    Quotas = "quotas",
    /// Who may use the admin listener.
    Admin = "admin",
    /// The file of the audit log, which is opened again.
    Audit = "audit",
}

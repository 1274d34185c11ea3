//! Configuration: turns the operator's input into a checked [`Config`], or stops the start before a port is bound.
//!
//! ```text
//! flags ─┐
//! environment ─┼─▶ raw::Raw (texts and where they came from) ─▶ resolve::resolve ─▶ settings::Config (types, checked)
//! TOML file ─┘                                                                └▶ show: `tickcast config`
//! ```
//!
//! Every setting is one entry of the table [`SETTINGS`]: its name is the TOML key, with dashes the flag, and in
//! capitals after `TICKCAST_` the environment variable. Precedence: flag, environment, file, default.
//!
//! A reload resolves the input again, and `merge` takes on what may change while the broker runs: `area` says for each
//! setting whether that needs a restart. `current` is the configuration in force.

mod area;
mod current;
mod engine_limits;
mod journal;
mod merge;
mod nats;
mod open_files;
mod optional;
mod outcome;
mod problem;
mod raw;
mod resolve;
mod roles;
mod settings;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod topic_rules;
mod value;

pub use area::{Applies, Area};
pub(crate) use current::Current;
pub use journal::{JournalMode, LocalJournal};
pub(crate) use merge::merge;
pub use nats::{JournalName, NatsJournal, NatsServers};
pub use open_files::{Capacity, fit_open_files, open_files, raise_open_files};
pub use outcome::{ReloadError, Reloaded};
pub use problem::{ConfigError, Problem};
pub use raw::{Raw, Source};
pub use resolve::{Loaded, Reread, load, resolve};
pub use settings::{Config, SETTINGS, Setting};
pub use show::show;
pub use tls::{ClientAuth, TlsVersion};
pub use topic_rules::TopicRule;
pub use value::{Allowed, AuditLog};

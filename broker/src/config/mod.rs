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

mod engine_limits;
mod open_files;
mod optional;
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

pub use open_files::{Capacity, fit_open_files, open_files, raise_open_files};
pub use problem::{ConfigError, Problem};
pub use raw::{Raw, Source};
pub use resolve::{Loaded, load, resolve};
pub use settings::{Config, SETTINGS, Setting};
pub use show::show;
pub use tls::{ClientAuth, TlsVersion};
pub use topic_rules::TopicRule;
pub use value::{Allowed, LogFilter, LogFormat};

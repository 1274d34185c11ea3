//! What comes of a reload.

use std::fmt;

use serde::Serialize;

use super::problem::ConfigError;

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The areas that were read.
    pub reloaded: Vec<&'static str>,
    /// The settings that the configuration changes, and that only a restart would change.
    pub needs_restart: Vec<&'static str>,
}

/// Why a reload changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadError {
    /// The broker would not start with the configuration.
    Config(ConfigError),
    /// The system has no thread for it now.
    Busy(String),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::Config(error) => error.fmt(f),
            ReloadError::Busy(error) => write!(f, "the thread that reloads cannot be started: {error}"),
        }
    }
}

impl std::error::Error for ReloadError {}

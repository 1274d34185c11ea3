//! The configuration in force.

use std::sync::{Arc, RwLock};

use super::settings::Config;
use crate::sync::{read, write};

/// The configuration in force. A reload replaces it; whoever needs several settings that belong together takes it once.
/// The delivery path never asks: the engine has limits of its own.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<Config>>);

impl Current {
    /// Begins with a configuration.
    pub(crate) fn new(config: Config) -> Self {
        Self(RwLock::new(Arc::new(config)))
    }

    /// Returns the configuration in force.
    pub(crate) fn get(&self) -> Arc<Config> {
        read(&self.0).clone()
    }

    /// Replaces it.
    pub(crate) fn set(&self, config: Arc<Config>) {
        *write(&self.0) = config;
    }
}

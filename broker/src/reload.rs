//! Reading the configuration again while the broker runs, on SIGHUP and on request.
//!
//! A reload has two steps. First every area prepares: it reads and checks what belongs to it, files that settings name
//! included, and changes nothing. If one of them cannot, or if the broker would not start with the configuration, the
//! reload is refused with all problems, and everything is as before. Then every area commits what it has prepared, which
//! cannot fail.
//!
//! What may change is decided by the table of settings ([`crate::config::SETTINGS`]), and what each area does about it by
//! [`areas`]. Open connections stay open.

mod areas;

use std::sync::Arc;

use tokio::sync::{Mutex, oneshot};

pub(crate) use self::areas::Parts;
use crate::config::{Area, Config, ConfigError, Current, Problem, ReloadError, Reloaded, Reread, merge};
use crate::logging;

/// A part of the broker that can take on a new configuration.
trait Reload: Send + Sync {
    /// Reads and checks what the configuration says about this area. Changes nothing.
    ///
    /// # Errors
    /// Why the broker would not start with it.
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>>;
}

/// Makes what was prepared count. It cannot fail. It runs on a thread of its own, so it may take its time, in portions
/// that do not delay others.
type Commit = Box<dyn FnOnce() + Send>;

/// Reads the configuration again.
pub(crate) struct Reloader {
    reread: Reread,
    areas: Vec<(Area, Box<dyn Reload>)>,
    in_force: Arc<Current>,
}

impl Reloader {
    /// Makes one that reads the operator's input with `reread`.
    pub(crate) fn new(reread: Reread, parts: Parts, in_force: Arc<Current>) -> Self {
        Self { reread, areas: areas::all(parts), in_force }
    }

    /// Does one reload. It reads files, and may take a while.
    fn reload(&self) -> Result<Reloaded, ConfigError> {
        let loaded = (self.reread)()?;
        let merged = merge(&self.in_force.get(), &loaded.config);
        let config = Arc::new(merged.config);
        let (mut commits, mut problems) = (Vec::new(), Vec::new());
        for (_, area) in &self.areas {
            match area.prepare(&config) {
                Ok(commit) => commits.push(commit),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        loaded.warnings.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
        self.in_force.set(config);
        commits.into_iter().for_each(|commit| commit());
        let reloaded = self.areas.iter().map(|(area, _)| area.name()).collect();
        Ok(Reloaded { reloaded, needs_restart: merged.needs_restart })
    }
}

/// The reloads of a broker, one after the other.
pub(crate) struct Reloads {
    one: Arc<Mutex<Reloader>>,
}

impl Reloads {
    pub(crate) fn new(reloader: Reloader) -> Self {
        Self { one: Arc::new(Mutex::new(reloader)) }
    }

    /// Reads the configuration again, and logs what came of it. Nobody else waits for the files: that is done on a thread
    /// of its own, which goes on to its end even if whoever asked for it has gone.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let reloader = self.one.clone().lock_owned().await;
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name("reload".into()).spawn(move || {
            let result = reloader.reload().map_err(ReloadError::Config);
            log(&result);
            drop(reloader);
            // Fails if nobody waits any more; the reload counts all the same.
            let _ = done.send(result);
        });
        let failed = match thread {
            Err(error) => error.to_string(),
            Ok(_) => match result.await {
                Ok(result) => return result,
                Err(_) => "it ended early".to_owned(),
            },
        };
        let result = Err(ReloadError::Busy(failed));
        log(&result);
        result
    }
}

fn log(result: &Result<Reloaded, ReloadError>) {
    match result {
        Ok(Reloaded { reloaded, needs_restart }) => {
            let (reloaded, needs_restart) = (reloaded.join(", "), needs_restart.join(", "));
            tracing::info!(reloaded, needs_restart, "the configuration was read again");
        }
        Err(error) => tracing::error!(target: logging::EACH, "nothing was reloaded, and all is as before: {error}"),
    }
}

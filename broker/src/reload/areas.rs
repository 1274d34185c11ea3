//! What each area of the configuration does in a reload.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_engine::Engine;

use super::{Commit, Reload};
use crate::access::Gate;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::config::{self, Area, Config, Problem};
use crate::http::Context;
use crate::http::sockets::HttpSockets;
use crate::shard::{Command, Handle, Settings};
use crate::{clock, logging};

/// Topics that take on new rules in a row.
const TOPICS: usize = 1024;

/// The parts of the broker that a reload changes.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) access: Arc<Gate>,
    pub(crate) admission: Arc<Admission>,
    /// The client listener's sockets that speak HTTP.
    pub(crate) clients: Arc<HttpSockets>,
    pub(crate) context: Arc<Context>,
    pub(crate) shards: Arc<Vec<Handle>>,
    pub(crate) audit: Arc<Audit>,
    /// Open files besides connections, and those that are kept for others.
    pub(crate) files: (u64, u64),
}

/// Every area, in the order in which they commit.
pub(super) fn all(parts: Parts) -> Vec<(Area, Box<dyn Reload>)> {
    let Parts { engine, access, admission, clients, context, shards, audit, files } = parts;
    let limits = Arc::new(Bounds { engine: engine.clone(), admission, clients, context, shards, files });
    let of = |area: &Area| -> Box<dyn Reload> {
        match area {
            Area::Logs => Box::new(Logs),
            Area::Limits => Box::new(Limits(limits.clone())),
            Area::Topics => Box::new(Topics(engine.clone())),
            Area::Access => Box::new(Access(access.clone())),
            Area::Admin => Box::new(Admin),
            Area::Audit => Box::new(Log(audit.clone())),
        }
    };
    Area::ALL.iter().map(|area| (*area, of(area))).collect()
}

struct Logs;

impl Reload for Logs {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let config = config.clone();
        Ok(Box::new(move || logging::change_filter(&config.log_level)))
    }
}

/// Who may connect.
struct Access(Arc<Gate>);

impl Reload for Access {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let (gate, rules) = (self.0.clone(), config.access_rules());
        Ok(Box::new(move || gate.change(rules)))
    }
}

/// The token of the admin listener, which is read from the configuration in force with every request.
struct Admin;

impl Reload for Admin {
    fn prepare(&self, _: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        Ok(Box::new(|| {}))
    }
}

/// The audit log's file. It is opened even if its path is the same: the file may have been moved away.
struct Log(Arc<Audit>);

impl Reload for Log {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let (audit, to) = (self.0.clone(), &config.audit_log);
        match Audit::open(to) {
            Ok(opened) => Ok(Box::new(move || audit.write_to(opened))),
            Err(error) => Err(vec![Problem::Sentence(format!("audit_log = {to:?} cannot be opened: {error}"))]),
        }
    }
}

struct Bounds {
    engine: Arc<Engine>,
    admission: Arc<Admission>,
    clients: Arc<HttpSockets>,
    context: Arc<Context>,
    shards: Arc<Vec<Handle>>,
    files: (u64, u64),
}

/// Bounds, budgets and times. Those of single sockets count for connections that are accepted from then on; they are read
/// from the configuration in force.
struct Limits(Arc<Bounds>);

impl Reload for Limits {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let (config, bounds) = (config.clone(), self.0.clone());
        Ok(Box::new(move || {
            config::raise_open_files(config.capacity());
            let (capacity, warning) = config::fit_open_files(config.capacity(), bounds.files.0, bounds.files.1);
            warning.into_iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
            bounds.admission.change_connections_max(capacity.connections);
            bounds.clients.change_max(capacity.http as usize);
            bounds.context.bodies.change_bytes_max(config.bodies_bytes_max);
            bounds.context.ndjson_bytes_max.store(config.ndjson_bytes_max, Ordering::Relaxed);
            bounds.context.body_silence_ms.store(config.handshake_ms.into(), Ordering::Relaxed);
            bounds.engine.change_limits(config.engine_limits());
            bounds.shards.iter().for_each(|shard| shard.tell(Command::Change(Settings::of(&config))));
        }))
    }
}

/// How much is kept of which topics. Their rules are among the engine's limits; here the running topics take them on.
struct Topics(Arc<Engine>);

impl Reload for Topics {
    fn prepare(&self, _: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let engine = self.0.clone();
        Ok(Box::new(move || {
            let mut after = None;
            loop {
                after = engine.adopt_rules(clock::now(), after.as_deref(), TOPICS);
                if after.is_none() {
                    return;
                }
                // Others have the directory meanwhile.
                std::thread::yield_now();
            }
        }))
    }
}

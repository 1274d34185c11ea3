//! What each area of the configuration does in a reload.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use broker_engine::Engine;
use broker_identity::Grants;

use super::{Commit, Reload};
use crate::access::Gate;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::config::{self, Area, Config, Problem};
use crate::http::Context;
use crate::http::sockets::HttpSockets;
use crate::quota::{AddressQuotas, IdentityQuotas};
use crate::shard::{Command, Handle};
use crate::sync::lock;
use crate::tls::Tls;
use crate::tokens::{Prepared, Tokens};
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
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) quotas: Arc<AddressQuotas>,
    pub(crate) identity_quotas: Arc<IdentityQuotas>,
    /// Open files besides connections, and those that are kept for others.
    pub(crate) files: (u64, u64),
    /// The warning about too few of them that is in the log already.
    pub(crate) files_warning: Option<String>,
}

/// Every area, in the order in which they commit.
pub(super) fn all(parts: Parts) -> Vec<(Area, Box<dyn Reload>)> {
    let Parts { engine, access, admission, clients, context, shards, audit, tls, tokens, files, files_warning, .. } =
        &parts;
    let quotas = Arc::new(Quotas {
        admission: admission.clone(),
        addresses: parts.quotas.clone(),
        identities: parts.identity_quotas.clone(),
        engine: engine.clone(),
        shards: shards.clone(),
    });
    let limits = Arc::new(Bounds {
        engine: engine.clone(),
        admission: admission.clone(),
        clients: clients.clone(),
        context: context.clone(),
        shards: shards.clone(),
        files: *files,
        files_warning: Mutex::new(files_warning.clone()),
    });
    let of = |area: &Area| -> Box<dyn Reload> {
        match area {
            Area::Logs => Box::new(Logs),
            Area::Limits => Box::new(Limits(limits.clone())),
            Area::Topics => Box::new(Topics(engine.clone())),
            Area::Access => Box::new(Access(access.clone())),
            Area::Tls => Box::new(Certificates(tls.clone())),
            // Keys and roles count together with the tokens.
            Area::Keys | Area::Roles => Box::new(WithTokens),
            Area::Tokens => Box::new(Authority(tokens.clone())),
            Area::Quotas => Box::new(Bounding(quotas.clone())),
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

/// The certificates: which files they are in, and what is in these.
struct Certificates(Option<Arc<Tls>>);

impl Reload for Certificates {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let Some(tls) = self.0.clone() else { return Ok(Box::new(|| {})) };
        let prepared = tls.prepare(config).map_err(|sentence| vec![Problem::Sentence(sentence)])?;
        Ok(Box::new(move || tls.take_on(prepared)))
    }
}

struct WithTokens;

impl Reload for WithTokens {
    fn prepare(&self, _: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        Ok(Box::new(|| {}))
    }
}

/// Keys, roles, tokens and revocations. Connections have what they give once it counts.
struct Authority(Arc<Tokens>);

impl Reload for Authority {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let sentences = |sentences: Vec<String>| sentences.into_iter().map(Problem::Sentence).collect::<Vec<_>>();
        let grants = Grants::new(config.roles.clone(), config.tokens.clone()).map_err(sentences)?;
        let prepared = Prepared::read(config.token_rules(), grants, config.token_sources());
        let prepared = prepared.map_err(|sentence| vec![Problem::Sentence(sentence)])?;
        let bad: Vec<String> = prepared.bad_lines().collect();
        if !bad.is_empty() {
            // A start would go on without them, but whoever asks for a reload is there to mend them.
            return Err(sentences(bad));
        }
        let tokens = self.0.clone();
        Ok(Box::new(move || tokens.replace(prepared)))
    }
}

struct Quotas {
    admission: Arc<Admission>,
    addresses: Arc<AddressQuotas>,
    identities: Arc<IdentityQuotas>,
    engine: Arc<Engine>,
    shards: Arc<Vec<Handle>>,
}

/// How much clients may do.
struct Bounding(Arc<Quotas>);

impl Reload for Bounding {
    fn prepare(&self, config: &Arc<Config>) -> Result<Commit, Vec<Problem>> {
        let (config, quotas) = (config.clone(), self.0.clone());
        Ok(Box::new(move || {
            quotas.admission.change_per_address_max(config.connections_per_address_max);
            quotas.addresses.change(config.connects_per_address_per_s, config.rates());
            quotas.identities.change(config.connections_per_user_max, config.rates());
            quotas.engine.refusals().change(config.quota_dry_run);
            quotas.shards.iter().for_each(|shard| shard.tell(Command::RenewAll));
        }))
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
    files_warning: Mutex<Option<String>>,
}

impl Bounds {
    /// Logs a warning about open files, unless the one before had the same numbers.
    fn warn_of_files(&self, warning: Option<String>) {
        let mut before = lock(&self.files_warning);
        if *before != warning {
            warning.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
            *before = warning;
        }
    }
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
            bounds.warn_of_files(warning);
            bounds.admission.change_connections_max(capacity.connections);
            bounds.clients.change_max(capacity.http as usize);
            bounds.context.bodies.change_bytes_max(config.bodies_bytes_max);
            bounds.context.ndjson_bytes_max.store(config.ndjson_bytes_max, Ordering::Relaxed);
            bounds.context.body_silence_ms.store(config.handshake_ms.into(), Ordering::Relaxed);
            bounds.engine.change_limits(config.engine_limits());
            tell_journal(&bounds.engine);
            bounds.shards.iter().for_each(|shard| shard.tell(Command::Change(config.clone())));
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

/// Tells the journal the settings on which it depends what comes of commands, if they have changed: they are in force from
/// their place in its log on. Those of a log that several brokers share are not one broker's to change in passing.
fn tell_journal(engine: &Engine) {
    if let Some(journal) = engine.journal().filter(|journal| !journal.is_shared())
        && let Err(refusal) = engine.submit_settings(journal)
    {
        tracing::error!("the journal does not take the new settings, so the old ones stay: {}", refusal.message);
    }
}

//! The Tickcast server: the shell around the engine.
//!
//! # The life of a connection
//!
//! 1. [`listen`](crate) accepts it and hyper reads its request; [`http`] decides whether the client may connect, and
//!    answers plain HTTP requests.
//! 2. [`http::handshake`] checks the request for `/v1/ws` and `fastwebsockets` upgrades it. The raw socket is taken
//!    out of hyper, so that no HTTP state remains, and goes to the [`shard`] with the fewest connections,
//!    where it stays.
//! 3. The shard's thread reads it through [`websocket::reader`], does its requests, and writes to it when its turn
//!    comes.
//!
//! The shell never decides who gets what: the engine does.

pub mod access;
pub mod address;
pub mod admission;
pub mod audit;
pub mod authentication;
#[cfg(feature = "tls")]
mod authorities;
mod checking;
pub mod cli;
pub mod clock;
pub mod config;
mod fetching;
pub mod health;
pub mod http;
mod journal;
mod listen;
pub mod logging;
mod memory;
mod metrics;
pub mod quota;
mod reload;
pub mod shard;
mod sock_diag;
mod stall;
mod stop;
mod sync;
mod sys;
mod systemd;
mod tidy;
mod tls;
pub mod tokens;
mod vital;
pub mod websocket;
pub mod work;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
#[cfg(feature = "nats")]
use broker_engine::log;
use broker_engine::{Engine, Limits};
use broker_identity::Grants;
#[cfg(feature = "nats")]
use broker_journal::nats::OfLog;
use socket2::Socket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::access::Gate;
use crate::address::Proxies;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::authentication::Authentication;
#[cfg(feature = "nats")]
use crate::config::NatsJournal;
use crate::config::{Config, Current, ReloadError, Reloaded, Reread};
use crate::http::sockets::HttpSockets;
use crate::journal::Journal;
use crate::listen::admin::{self, Admin};
use crate::listen::{Handshakes, Shared};
use crate::metrics::Metrics;
use crate::quota::{AddressQuotas, IdentityQuotas, Users};
use crate::reload::{Parts, Reloader, Reloads};
use crate::shard::Settings;
use crate::tls::Tls;
use crate::tokens::{Prepared, Tokens};

/// Files that are opened after clients are admitted: the admin listener's thread has some, a scrape reads some, and an
/// accepted client may wait for admission.
const FURTHER_FILES: u64 = 16;

/// A running broker.
pub struct Broker {
    shared: Arc<Shared>,
    listen: SocketAddr,
    tls_listen: Option<SocketAddr>,
    admin_listen: SocketAddr,
    /// One for each listener of clients.
    accepting: Vec<AbortHandle>,
    journal: Option<Arc<Journal>>,
    tasks: Vec<AbortHandle>,
    /// Answers until it is dropped, and says that the broker is going away.
    _admin: Admin,
}

impl Broker {
    /// Binds both listeners, starts the shards and serves. Must be called inside a single-threaded tokio runtime, which
    /// then serves HTTP. `reread` reads the configuration again, for a reload.
    ///
    /// # Errors
    /// A port is taken, or a thread cannot be started.
    pub async fn start(config: Config, reread: Reread) -> anyhow::Result<Broker> {
        let tokens = read_tokens(&config)?;
        let mut warnings = Vec::new();
        let tls = Tls::load(&config, &mut warnings).map_err(anyhow::Error::msg)?;
        warnings.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
        let bind = |address, setting: &str, flag| {
            listen::reserve(address).map_err(|error| {
                let hint = listen::bind_hint(&error, flag);
                anyhow::anyhow!("cannot listen on {address} ({setting}): {error}{hint}")
            })
        };
        let client = bind(config.listen, "listen", "listen")?;
        let admin = listen::listen(bind(config.admin_listen, "admin_listen", "admin-listen")?)?;
        let (listen, admin_listen) = (listen::address_of(&client)?, admin.local_addr()?);
        let mut listeners = vec![(client, None)];
        if let (Some(address), Some(tls)) = (config.tls_listen, &tls) {
            let handshakes = Arc::new(Handshakes::new(tls.clone(), config.tls_handshakes_max));
            listeners.push((bind(address, "tls_listen", "tls-listen")?, Some(handshakes)));
        }
        let tls_listen = listeners.get(1).map(|(listener, _)| listen::address_of(listener)).transpose()?;

        if config.journal == config::JournalMode::None {
            // Who comes early waits for a moment, instead of being refused.
            listeners.iter().try_for_each(|(socket, _)| listen::take_early(socket)).context("a listener failed")?;
        }

        let shards_count = config.shards_count();
        let (prepared, notify): (Vec<_>, Vec<_>) = (0..shards_count).map(|_| shard::Prepared::new()).unzip();
        let begin = clock::now();
        let limits = Limits { order_base: begin.wall_us, order_base_mono_us: begin.mono_us, ..config.engine_limits() };
        let opened = journal::open(&config, &limits).await?;
        let engine = match &opened {
            Some(opened) => {
                let (limits, options) = opened.of_engine(&config, limits, begin);
                Engine::with_journal(limits, rand::random(), notify, options)
            }
            None => Engine::new(limits, rand::random(), notify),
        };
        let cores = if config.pin { allowed_cores()? } else { Vec::new() };
        let authentication = Arc::new(Authentication::new(tokens.clone(), config.token_in_url));
        // Each shard bounds how many of its tokens are in it.
        let (to_check, unchecked) = crossbeam_channel::unbounded();
        let (to_fetch, without_key) = mpsc::channel(fetching::UNCHECKED_MAX);
        let users = Users::new(engine.refusals().clone());
        let quotas = AddressQuotas::new(config.connects_per_address_per_s, config.rates(), engine.refusals().clone());
        let quotas = Arc::new(quotas);
        let identity_quotas = Arc::new(IdentityQuotas::new(users, config.connections_per_user_max, config.rates()));
        let settings =
            Settings::new(&config, authentication.clone(), quotas.clone(), identity_quotas.clone(), to_check, to_fetch);
        let audit = Arc::new(Audit::new());
        audit.write_to(Audit::open(&config.audit_log).context("audit_log cannot be opened")?);
        let ending = Arc::new(AtomicBool::new(false));
        let mut handles = Vec::new();
        for (index, prepared) in prepared.into_iter().enumerate() {
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            match prepared.start(engine.clone(), index, core, settings.clone(), audit.clone(), ending.clone()) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    stop::threads(&handles, &ending).await;
                    return Err(error).with_context(|| format!("shard {index} of {shards_count} could not be started"));
                }
            }
        }

        // Nearly all files besides connections are open now.
        let kept = admin::SOCKETS_MAX as u64 + FURTHER_FILES;
        let files = (config::open_files(), kept);
        let (capacity, warning) = config::fit_open_files(config.capacity(), files.0, files.1);
        warning.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
        let admission =
            Admission::new(capacity.connections, config.connections_per_address_max, engine.refusals().clone());
        let clients = HttpSockets::new(capacity.http as usize);
        let admins = HttpSockets::new(admin::SOCKETS_MAX);
        let start_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let stats = listen::stats(&handles);
        let rules = config.access_rules();
        let (access, bodies) = (Arc::new(Gate::new(rules)), http::BodyBudget::new(config.bodies_bytes_max));
        let context = Arc::new(http::Context {
            engine: engine.clone(),
            now: clock::now,
            access: access.clone(),
            authentication: authentication.clone(),
            message_bytes: config.message_bytes,
            ndjson_bytes_max: config.ndjson_bytes_max.into(),
            body_silence_ms: u64::from(config.handshake_ms).into(),
            bodies: bodies.clone(),
            reads: Arc::default(),
            publishes: Arc::default(),
            publishers: Mutex::new(engine.publishers()),
            audit: audit.clone(),
            admin_port: Some(admin_listen.port()),
            sys_topics_public: config.sys_topics_public,
            quotas: quotas.clone(),
            identity_quotas: identity_quotas.clone(),
        });
        let journal = opened.map(|opened| opened.start(engine.clone()));
        let journal = match journal.transpose() {
            Ok(journal) => journal,
            Err(error) => {
                stop::threads(&handles, &ending).await;
                return Err(error).context("the thread of the journal could not be started");
            }
        };
        let proxies = Proxies::new(config.trusted_proxies.clone(), config.proxy_protocol);
        let (shards, config) = (Arc::new(handles), Arc::new(Current::new(config)));
        let parts = Parts {
            engine: engine.clone(),
            access: access.clone(),
            admission: admission.clone(),
            clients: clients.clone(),
            context: context.clone(),
            shards: shards.clone(),
            audit: audit.clone(),
            tls: tls.clone(),
            tokens: tokens.clone(),
            quotas,
            identity_quotas,
            files,
            files_warning: warning,
        };
        let shared = Arc::new(Shared {
            context,
            shards,
            reloads: Reloads::new(Reloader::new(reread, parts, config.clone())),
            metrics: Metrics {
                engine: engine.clone(),
                shards: stats.clone(),
                admission: admission.clone(),
                clients: clients.clone(),
                admins: admins.clone(),
                access,
                bodies,
                tokens: tokens.clone(),
                tls: tls.clone(),
                audit,
                journal: journal.clone(),
                start_seconds,
            },
            admission,
            proxies,
            draining: watch::Sender::new(false),
            clients,
            admins,
            journal: journal.clone(),
            listens: AtomicBool::new(false),
            ending,
            clients_at: listen,
            tls_port: tls_listen.map(|address| address.port()),
            config,
        });
        let checking = checking::start(unchecked, authentication, shared.shards.clone(), shared.ending.clone());
        let started = checking
            .context("the thread that checks tokens could not be started")
            .and_then(|()| admin::start(admin, shared.clone()).context("the admin listener could not be started"));
        let admin = match started {
            Ok(admin) => admin,
            Err(error) => {
                stop::threads(&shared.shards, &shared.ending).await;
                return Err(error);
            }
        };
        let ready = match until_ready(journal.as_deref(), listeners).await {
            Ok(ready) => ready,
            Err(error) => {
                stop::threads(&shared.shards, &shared.ending).await;
                return Err(error);
            }
        };
        shared.listens.store(true, Ordering::Release);
        let mut accepting = Vec::new();
        for (listener, handshakes) in ready {
            let accept = listen::accept_clients(listener, handshakes, shared.clone());
            accepting.push(vital::spawn("accepting clients", accept));
        }
        let mut tasks = vec![
            vital::spawn("$SYS.stats", sys::publish_stats(engine.clone(), stats, shared.clone())),
            vital::spawn("giving memory back", memory::give_back()),
            vital::spawn("tokens whose keys are fetched", fetching::check(without_key, shared.clone())),
            vital::spawn("renewing identities", fetching::renew(tokens.clone(), shared.clone())),
            vital::spawn("the keys of tokens", tokens.run()),
            vital::spawn("the housekeeping", tidy::run(engine)),
        ];
        #[cfg(feature = "nats")]
        if let Some(status) = journal.as_ref().and_then(|journal| journal.nats_status()) {
            let telling = journal::stale::tell(status.clone(), shared.shards.clone());
            tasks.push(vital::spawn("telling clients of the journal", telling));
        }
        if let Some(time) = systemd::watchdog_time() {
            tasks.push(vital::spawn("systemd's watchdog", systemd::watch(time, shared.shards.clone())));
        }
        let tls_reload_ms = shared.config.get().tls_reload_ms;
        if let Some(tls) = tls.filter(|_| tls_reload_ms > 0) {
            let interval = Duration::from_millis(tls_reload_ms.into());
            tasks.push(vital::spawn("looking at the TLS certificates", tls::watch(tls, interval)));
        }
        systemd::ready();
        let shown = tls_listen.map(tracing::field::display);
        tracing::info!(%listen, %admin_listen, tls_listen = shown, shards = shards_count, "serving");
        Ok(Broker { shared, listen, tls_listen, admin_listen, accepting, journal, tasks, _admin: admin })
    }

    /// Reads the configuration again. What cannot change without a restart is named, in the log too.
    ///
    /// # Errors
    /// The broker would not start with it, or the system is out of threads. Then nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.shared.reload_for(None).await
    }

    /// Waits until what this broker has of its journal is of no use any more, and says why. Then the process has to start
    /// again, and to read everything anew.
    pub async fn until_useless(&self) -> String {
        match &self.journal {
            Some(journal) => journal.until_useless().await,
            None => std::future::pending().await,
        }
    }

    /// The address on which clients connect.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The address on which clients connect with TLS, if that is on.
    pub fn tls_listen(&self) -> Option<SocketAddr> {
        self.tls_listen
    }

    /// The address on which metrics and health are served.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }
}

/// The settings that a log in NATS has, which count on all of its brokers; `None` if it has none yet. Before they are read,
/// `apply` is written into it.
///
/// # Errors
/// The settings of the connection are wrong, there is no such log, or the servers refuse.
#[cfg(feature = "nats")]
pub async fn journal_settings(
    nats: &NatsJournal,
    apply: Option<log::Settings>,
) -> anyhow::Result<Option<log::Settings>> {
    let scratch = journal::scratch::Scratch::make()?;
    let log = OfLog::connect(journal::nats::options(nats, scratch.path())).await?;
    if let Some(settings) = apply {
        log.apply(settings, clock::now()).await?;
    }
    Ok(log.settings().await?)
}

/// Waits until the journal is read, if there is one, and then listens: nobody is let in before everything is there.
async fn until_ready<T>(
    journal: Option<&Journal>,
    reserved: Vec<(Socket, T)>,
) -> anyhow::Result<Vec<(tokio::net::TcpListener, T)>> {
    if let Some(journal) = journal {
        journal.until_read().await?;
    }
    let listen = |(socket, rest)| {
        let listener = listen::listen(socket).context("clients cannot be listened for")?;
        let listener = tokio::net::TcpListener::from_std(listener).context("a listener cannot be waited for")?;
        Ok((listener, rest))
    };
    reserved.into_iter().map(listen).collect()
}

/// Reads the files with keys and revocations, and puts them together with the roles and tokens of the configuration.
fn read_tokens(config: &Config) -> anyhow::Result<Arc<Tokens>> {
    let grants = Grants::new(config.roles.clone(), config.tokens.clone());
    let grants = grants.map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
    let prepared = Prepared::read(config.token_rules(), grants, config.token_sources()).map_err(anyhow::Error::msg)?;
    let skipped = prepared.bad_lines().map(|line| format!("{line}; it is skipped"));
    let warnings = prepared.warnings.iter().cloned().chain(skipped);
    warnings.for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
    let every = Duration::from_millis(config.tls_reload_ms.into());
    Ok(Tokens::new(prepared, clock::now, Some(every).filter(|every| !every.is_zero())))
}

/// Returns the cores that this process may run on.
fn allowed_cores() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

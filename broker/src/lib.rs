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
mod address;
pub mod admission;
pub mod cli;
pub mod clock;
pub mod config;
pub mod health;
pub mod http;
mod listen;
pub mod logging;
mod memory;
mod metrics;
pub mod shard;
mod sock_diag;
mod stall;
mod stop;
mod sync;
mod sys;
mod tidy;
mod tls;
mod vital;
pub mod websocket;
pub mod work;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use broker_engine::{Engine, Limits};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::access::{AccessRules, Gate};
use crate::admission::Admission;
use crate::config::Config;
use crate::http::sockets::HttpSockets;
use crate::listen::admin::{self, Admin};
use crate::listen::{Handshakes, Shared};
use crate::metrics::Metrics;
use crate::shard::{Prepared, Settings};
use crate::tls::Tls;
use crate::websocket::Rules;

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
    tasks: Vec<AbortHandle>,
    /// Answers until it is dropped, and says that the broker is going away.
    _admin: Admin,
}

impl Broker {
    /// Binds both listeners, starts the shards and serves. Must be called inside a single-threaded tokio runtime, which
    /// then serves HTTP.
    ///
    /// # Errors
    /// A port is taken, or a thread cannot be started.
    pub async fn start(config: Config) -> anyhow::Result<Broker> {
        let mut warnings = Vec::new();
        let tls = Tls::load(&config, &mut warnings).map_err(anyhow::Error::msg)?;
        warnings.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
        let bind = |address, setting: &str, flag| {
            listen::bind(address).map_err(|error| {
                let hint = listen::bind_hint(&error, flag);
                anyhow::anyhow!("cannot listen on {address} ({setting}): {error}{hint}")
            })
        };
        let client = bind(config.listen, "listen", "listen")?;
        let admin = bind(config.admin_listen, "admin_listen", "admin-listen")?;
        let (listen, admin_listen) = (client.local_addr()?, admin.local_addr()?);
        let mut listeners = vec![(client, None)];
        if let (Some(address), Some(tls)) = (config.tls_listen, &tls) {
            let handshakes = Arc::new(Handshakes::new(tls.clone(), config.tls_handshakes_max));
            listeners.push((bind(address, "tls_listen", "tls-listen")?, Some(handshakes)));
        }
        let tls_listen = listeners.get(1).map(|(listener, _)| listener.local_addr()).transpose()?;
        let waited = |(listener, handshakes)| {
            let listener = tokio::net::TcpListener::from_std(listener).context("a listener cannot be waited for")?;
            Ok((listener, handshakes))
        };
        let listeners = listeners.into_iter().map(waited).collect::<anyhow::Result<Vec<_>>>()?;

        let shards = config.shards_count();
        let (prepared, notify): (Vec<_>, Vec<_>) = (0..shards).map(|_| Prepared::new()).unzip();
        let begin = clock::now();
        let limits = Limits { order_base: begin.wall_us, order_base_mono_us: begin.mono_us, ..config.engine_limits() };
        let engine = Engine::new(limits, rand::random(), notify);
        let cores = if config.pin { allowed_cores()? } else { Vec::new() };
        let settings = Settings {
            rules: Rules { message_bytes: config.message_bytes as usize, fragments_max: config.fragments_max },
        };
        let ending = Arc::new(AtomicBool::new(false));
        let mut handles = Vec::new();
        for (index, prepared) in prepared.into_iter().enumerate() {
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            match prepared.start(engine.clone(), index, core, settings, ending.clone()) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    stop::threads(&handles, &ending).await;
                    return Err(error).with_context(|| format!("shard {index} of {shards} could not be started"));
                }
            }
        }

        // Nearly all files besides connections are open now.
        let kept = admin::SOCKETS_MAX as u64 + FURTHER_FILES;
        let (capacity, warning) = config::fit_open_files(config.capacity(), config::open_files(), kept);
        warning.into_iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
        let admission = Admission::new(capacity.connections, config.connections_per_address_max);
        let clients = HttpSockets::new(capacity.http as usize);
        let admins = HttpSockets::new(admin::SOCKETS_MAX);
        let start_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let stats = listen::stats(&handles);
        let rules = AccessRules { origins: config.allow_origin.clone(), hosts: config.allow_host.clone() };
        let (access, bodies) = (Arc::new(Gate::new(rules)), http::BodyBudget::new(config.bodies_bytes_max));
        let shared = Arc::new(Shared {
            context: http::Context {
                engine: engine.clone(),
                now: clock::now,
                access: access.clone(),
                message_bytes: config.message_bytes,
                ndjson_bytes_max: config.ndjson_bytes_max,
                body_silence: Duration::from_millis(config.handshake_ms.into()),
                bodies: bodies.clone(),
                reads: Arc::default(),
                publishes: Arc::default(),
                sys_topics_public: config.sys_topics_public,
                subscriptions: engine.limits().subscriptions,
            },
            shards: handles,
            metrics: Metrics {
                engine: engine.clone(),
                shards: stats.clone(),
                admission: admission.clone(),
                clients: clients.clone(),
                admins: admins.clone(),
                access,
                bodies,
                tls: tls.clone(),
                start_seconds,
            },
            admission,
            draining: watch::Sender::new(false),
            clients,
            admins,
            ending,
            clients_at: listen,
            config,
        });
        let admin = match admin::start(admin, shared.clone()) {
            Ok(admin) => admin,
            Err(error) => {
                stop::threads(&shared.shards, &shared.ending).await;
                return Err(error).context("the admin listener could not be started");
            }
        };
        let accept = |(listener, handshakes)| {
            vital::spawn("accepting clients", listen::accept_clients(listener, handshakes, shared.clone()))
        };
        let accepting = listeners.into_iter().map(accept).collect();
        let mut tasks = vec![
            vital::spawn("$SYS.stats", sys::publish_stats(engine.clone(), stats, shared.clone())),
            vital::spawn("giving memory back", memory::give_back()),
        ];
        if tidy::is_needed(&engine) {
            tasks.push(vital::spawn("the housekeeping", tidy::run(engine)));
        }
        if let Some(tls) = tls.filter(|_| shared.config.tls_reload_ms > 0) {
            let interval = Duration::from_millis(shared.config.tls_reload_ms.into());
            tasks.push(vital::spawn("looking at the TLS certificates", tls::watch(tls, interval)));
        }
        let shown = tls_listen.map(tracing::field::display);
        tracing::info!(%listen, %admin_listen, tls_listen = shown, shards, "serving");
        Ok(Broker { shared, listen, tls_listen, admin_listen, accepting, tasks, _admin: admin })
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

/// Returns the cores that this process may run on.
fn allowed_cores() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

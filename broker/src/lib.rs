//! The Tickcast server: the shell around the engine.
//!
//! # The life of a connection
//!
//! 1. [`listen`](crate) accepts it and hyper reads its request; [`http`] decides who may come and answers what is plain
//!    HTTP.
//! 2. [`websocket::handshake`] checks the request for `/v1/ws` and `fastwebsockets` upgrades it. The raw socket is taken
//!    out of hyper, so that no HTTP state stays, and goes to the [`shard`] with the fewest connections, for life.
//! 3. The shard's thread reads it through [`websocket::reader`], does its requests, and writes to it when its turn comes.
//!
//! What it never does: decide who gets what. That is the engine's.

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
pub mod metrics;
pub mod shard;
mod sys;
pub mod websocket;
pub mod work;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use broker_engine::{Engine, Limits};
use broker_protocol::codes::CloseReason;
use broker_protocol::message;
use tokio::task::JoinHandle;

use crate::access::AccessRules;
use crate::admission::Admission;
use crate::config::Config;
use crate::listen::Shared;
use crate::metrics::Metrics;
use crate::shard::{Command, Prepared, Settings};
use crate::websocket::Rules;

/// Topics that the housekeeping looks at in a row, and its pause then: 50,000 topics a second, some 1 % of a core.
const TIDY_TOPICS: usize = 256;
const TIDY_PAUSE: Duration = Duration::from_millis(5);
/// How often it begins anew.
const TIDY_INTERVAL: Duration = Duration::from_millis(500);
/// After the close frames, how long connections have to hang up.
const CLOSE_TIME: Duration = Duration::from_millis(1500);

/// A running broker.
pub struct Broker {
    shared: Arc<Shared>,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Broker {
    /// Binds both listeners, starts the shards and serves. Must be called inside a tokio runtime, which serves HTTP.
    ///
    /// # Errors
    /// A port that is taken, or a thread that cannot be started.
    pub async fn start(config: Config) -> anyhow::Result<Broker> {
        let client =
            listen::bind(config.listen).with_context(|| format!("cannot listen on {} (listen)", config.listen))?;
        let admin = listen::bind(config.admin_listen)
            .with_context(|| format!("cannot listen on {} (admin_listen)", config.admin_listen))?;
        let (listen, admin_listen) = (client.local_addr()?, admin.local_addr()?);

        let shards = config.shards_count();
        let (prepared, notify): (Vec<_>, Vec<_>) = (0..shards).map(|_| Prepared::new()).unzip();
        let begin = clock::now();
        let limits = Limits { order_base: begin.wall_us, order_base_mono_us: begin.mono_us, ..config.engine_limits() };
        let engine = Engine::new(limits, rand::random(), notify);
        let cores = if config.pin { allowed_cores()? } else { Vec::new() };
        let settings = Settings {
            rules: Rules { message_bytes: config.message_bytes as usize, fragments_max: config.fragments_max },
        };
        let mut handles = Vec::new();
        for (index, prepared) in prepared.into_iter().enumerate() {
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            handles
                .push(prepared.start(engine.clone(), index, core, settings).context("a shard could not be started")?);
        }

        let admission = Admission::new(config.connections_max, config.connections_per_address_max);
        let start_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let stats = listen::stats(&handles);
        let shared = Arc::new(Shared {
            context: http::Context {
                engine: engine.clone(),
                now: clock::now,
                access: AccessRules { origins: config.allow_origin.clone(), hosts: config.allow_host.clone() },
                message_bytes: config.message_bytes,
                ndjson_bytes_max: config.ndjson_bytes_max,
                body_silence: Duration::from_millis(config.handshake_ms.into()),
                bodies: http::BodyBudget::new(config.bodies_bytes_max),
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
                start_seconds,
            },
            admission,
            draining: AtomicBool::new(false),
            sockets: listen::sockets(&config),
            clients_at: listen,
            config,
        });
        let tasks = vec![
            tokio::spawn(listen::accept(client, shared.clone(), listen::serve_client)),
            tokio::spawn(listen::accept(admin, shared.clone(), listen::serve_admin)),
            tokio::spawn(sys::publish_stats(engine.clone(), stats, shared.clone())),
            tokio::spawn(tidy(engine)),
        ];
        tracing::info!(%listen, %admin_listen, shards, "serving");
        Ok(Broker { shared, listen, admin_listen, tasks })
    }

    /// Where clients connect.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where metrics and health are.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    /// Stops: no new connections, `goaway`, time to read it and what is pending, close frames, the end. Takes `drain_ms`
    /// and two seconds at most.
    pub async fn stop(mut self) {
        self.shared.draining.store(true, Ordering::Release);
        // The client listener goes first; the admin listener tells that we drain.
        let client = self.tasks.remove(0);
        client.abort();
        let _ = client.await;
        let drain_ms = self.shared.config.drain_ms;
        tracing::info!(connections = self.shared.admission.count(), drain_ms, "going away");
        let mut payload = Vec::new();
        message::goaway(&mut payload, "shutdown", drain_ms.into());
        let payload: Arc<[u8]> = payload.into();
        for shard in &self.shared.shards {
            shard.send(Command::Tell(payload.clone())).await;
        }
        self.wait_until_empty(Duration::from_millis(drain_ms.into())).await;
        for shard in &self.shared.shards {
            shard.send(Command::CloseAll(CloseReason::GoingAway)).await;
        }
        self.wait_until_empty(CLOSE_TIME).await;
        for shard in &self.shared.shards {
            shard.send(Command::Stop).await;
        }
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // Ends as cancelled, which is what was asked for.
            let _ = task.await;
        }
        if let Ok(mut shared) = Arc::try_unwrap(self.shared) {
            shared.shards.iter_mut().for_each(shard::Handle::join);
        }
    }

    async fn wait_until_empty(&self, at_most: Duration) {
        let end = tokio::time::Instant::now() + at_most;
        while self.shared.admission.count() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The cores that this process may run on.
fn allowed_cores() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Drops what is too old and ends what was idle too long, a few topics at a time.
async fn tidy(engine: Arc<Engine>) {
    let limits = engine.limits();
    let ages = limits.retain.ms > 0 || limits.topics.iter().any(|rule| rule.retain.ms > 0);
    if !ages && limits.topic_idle_ms == 0 {
        return;
    }
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        let mut after: Option<Arc<str>> = None;
        loop {
            after = engine.tidy(clock::now(), after.as_deref(), TIDY_TOPICS);
            if after.is_none() {
                break;
            }
            tokio::time::sleep(TIDY_PAUSE).await;
        }
    }
}

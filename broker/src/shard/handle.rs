//! A shard from outside: preparing it, starting it, and giving it connections and commands.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use broker_engine::{Engine, Granted, Origin, PublisherRow, Shard, ShardStats, Topic};
use broker_protocol::codes::CloseReason;
use broker_protocol::request::{From, OnSlow};
use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::{Notify, mpsc, oneshot};

use super::login::{Checked, Unchecked, Verified};
use super::operator::{ConnectionDetail, Whom};
use super::poll::Poll;
use super::slowest::ConnectionRow;
use super::{Driver, Inbox, ROOM_PAUSE};
use crate::admission::Admitted;
use crate::audit::Audit;
use crate::authentication::{Authentication, Identified};
use crate::config::Config;
use crate::quota::{AddressQuotas, IdentityQuotas, Seat};
use crate::websocket::Rules;
use crate::{tls, vital};

/// The most commands that are queued for a shard. When there are as many, a sender waits.
const COMMANDS_MAX: usize = 4096;

/// The bytes of an `auth` message besides its token.
const AUTH_BYTES: usize = 256;

/// A checked request for a stream of Server-Sent Events.
#[derive(Debug)]
pub struct SseRequest {
    /// Topics and patterns.
    pub topics: Vec<String>,
    /// Where they begin.
    pub from: From,
    /// A step of the ladder of intervals, or 0 for every update.
    pub conflate_ms: u32,
    /// What to do when the client does not keep up.
    pub on_slow: OnSlow,
    /// Whether to send `ready` when everything has begun.
    pub ready: bool,
}

/// A connection whose handshake is done.
pub struct Arrival {
    /// The socket, in non-blocking mode.
    pub stream: TcpStream,
    /// Its TLS, if it has any.
    pub(crate) tls: Option<Box<tls::Wire>>,
    /// What the client sent immediately after its handshake.
    pub early: Vec<u8>,
    /// Counts the connection against the bounds on connections.
    pub admitted: Admitted,
    /// What it may do in a second.
    pub granted: Granted,
    /// Whether it may follow topics that begin with `$`.
    pub reserved: bool,
    /// Who it is.
    pub client: Identified,
    /// Counts it among the connections of its user.
    pub seat: Option<Seat>,
    /// What it subscribes to, if it gets Server-Sent Events; `None` for WebSocket.
    pub sse: Option<SseRequest>,
}

/// A command from the rest of the broker.
pub enum Command {
    /// Take this connection.
    Connect(Box<Arrival>),
    /// Report this many connections, those with the most pending bytes.
    Slowest(usize, oneshot::Sender<Vec<ConnectionRow>>),
    /// Close these connections, and report how many they were.
    Close(Arc<Whom>, oneshot::Sender<u64>),
    /// Describe the connection with this session's number, if it is here.
    Describe(u64, oneshot::Sender<Option<ConnectionDetail>>),
    /// Report who publishes to this topic, at most as many as said.
    Publishers(Arc<Topic>, usize, oneshot::Sender<Vec<PublisherRow<u64, Origin>>>),
    /// Answer, as a sign of life.
    Alive(oneshot::Sender<()>),
    /// Send every connection this message.
    SendAll(Arc<[u8]>),
    /// Send every connection the first message, that this broker is cut off from its journal or that this is over; and the
    /// second one to those that arrive from now on, right after their greeting.
    Stale(Arc<[u8]>, Option<Arc<[u8]>>),
    /// Give every connection what its identity gives by now: keys, roles, tokens or revocations have changed.
    RenewAll,
    /// A token was checked with the keys that are there.
    Verified(Verified),
    /// A token was checked with keys that had to be fetched first.
    Checked(Checked),
    /// Go on with these settings.
    Change(Arc<Config>),
    /// Close every connection.
    CloseAll(CloseReason),
    /// End the thread.
    Stop,
}

/// The settings that all shards share.
#[derive(Clone)]
pub struct Settings {
    /// Bounds on what clients send.
    pub rules: Rules,
    /// Decides who clients are.
    pub authentication: Arc<Authentication>,
    /// What is granted to clients that are not known.
    pub quotas: Arc<AddressQuotas>,
    /// The quotas of clients that are known.
    pub identity_quotas: Arc<IdentityQuotas>,
    /// `auth_ms`: how long a connection may take to authenticate.
    pub auth_ms: u32,
    /// `token_bytes_max`
    pub token_bytes_max: u32,
    /// Where tokens go to be checked.
    pub checking: Sender<Unchecked>,
    /// Where tokens go whose keys have to be fetched first.
    pub fetching: mpsc::Sender<Unchecked>,
}

impl Settings {
    /// What a configuration says, and the parts that all shards use together.
    pub fn new(
        config: &Config,
        authentication: Arc<Authentication>,
        quotas: Arc<AddressQuotas>,
        identity_quotas: Arc<IdentityQuotas>,
        checking: Sender<Unchecked>,
        fetching: mpsc::Sender<Unchecked>,
    ) -> Self {
        let rules = Rules { message_bytes: 0, fragments_max: 0 };
        let (auth_ms, token_bytes_max) = (0, 0);
        let mut new =
            Self { rules, authentication, quotas, identity_quotas, auth_ms, token_bytes_max, checking, fetching };
        new.change(config);
        new
    }

    /// Takes on what a configuration says.
    pub(super) fn change(&mut self, config: &Config) {
        self.rules = Rules { message_bytes: config.message_bytes as usize, fragments_max: config.fragments_max };
        (self.auth_ms, self.token_bytes_max) = (config.auth_ms, config.token_bytes_max);
    }

    /// The largest message of a client that has not authenticated, in bytes.
    pub(super) fn auth_message_bytes(&self) -> usize {
        self.token_bytes_max as usize + AUTH_BYTES
    }
}

/// A running shard, as seen from outside.
pub struct Handle {
    commands: Sender<Command>,
    notify: Arc<Notify>,
    /// Its counters.
    pub stats: Arc<ShardStats>,
    /// Connections that were given to it and are not in its own counter yet.
    arriving: Arc<AtomicU64>,
    /// Set when it does nothing any more.
    ended: Arc<AtomicBool>,
}

impl Handle {
    /// Returns the number of connections that it has or was given.
    pub fn load(&self) -> u64 {
        self.arriving.load(Ordering::Acquire) + self.stats.connections.get()
    }

    /// Gives it a connection.
    pub async fn connect(&self, arrival: Arrival) {
        let arriving = Arriving::new(&self.arriving);
        self.send(Command::Connect(Box::new(arrival))).await;
        arriving.given();
    }

    /// Sends a command. Waits while the queue is full.
    pub async fn send(&self, mut command: Command) {
        while let Err(back) = self.try_send(command) {
            command = back;
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }

    /// Sends a command from a thread that may be blocked while the queue is full.
    pub(crate) fn tell(&self, command: Command) {
        // If the thread has ended, its connections have too, and the command concerns nothing.
        let _ = self.commands.send(command);
        self.notify.notify_one();
    }

    /// Sends a command if the queue is not full.
    ///
    /// # Errors
    /// The command, if the queue is full.
    pub fn try_send(&self, command: Command) -> Result<(), Command> {
        let result = match self.commands.try_send(command) {
            // If the thread has ended, its connections have too, and the command concerns nothing.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(back)) => Err(back),
        };
        self.notify.notify_one();
        result
    }

    /// Returns whether it does nothing any more. Its thread may still be freeing memory, which takes seconds with a
    /// million followed names.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Counts a connection that is given to a shard. If that is given up, because its client hangs up, it counts no longer.
struct Arriving<'a>(Option<&'a AtomicU64>);

impl<'a> Arriving<'a> {
    fn new(count: &'a AtomicU64) -> Arriving<'a> {
        count.fetch_add(1, Ordering::AcqRel);
        Arriving(Some(count))
    }

    /// From now on the shard counts it.
    fn given(mut self) {
        self.0 = None;
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A shard that is not running yet. The engine needs the shard's notifier before the thread can have the engine.
pub struct Prepared {
    notify: Arc<Notify>,
}

impl Prepared {
    /// Prepares a shard. Returns it, and the notifier for the engine.
    pub fn new() -> (Self, Box<dyn Fn() + Send + Sync>) {
        let notify = Arc::new(Notify::new());
        let wake = notify.clone();
        (Self { notify }, Box::new(move || wake.notify_one()))
    }

    /// Starts the thread, on the given core if any. If the thread ends before `ending` is set, the process ends.
    ///
    /// # Errors
    /// The system has no further file or thread for it.
    pub fn start(
        self,
        engine: Arc<Engine>,
        index: usize,
        core: Option<usize>,
        settings: Settings,
        audit: Arc<Audit>,
        ending: Arc<AtomicBool>,
    ) -> io::Result<Handle> {
        let (commands, incoming) = crossbeam_channel::bounded(COMMANDS_MAX);
        let stats = Arc::new(ShardStats::default());
        let arriving = Arc::new(AtomicU64::new(0));
        let notify = self.notify.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let state = (stats.clone(), arriving.clone(), ended.clone());
        let make = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let inside = runtime.enter();
            let set = Poll::set()?;
            drop(inside);
            Ok((runtime, set))
        };
        // If the thread panicked, the state of its connections would be lost, and it would still be given new ones. So
        // the process ends.
        vital::thread(format!("shard-{index}"), ending, make, move |(runtime, set)| {
            if let Some(core) = core {
                pin_to_core(core);
            }
            let (stats, arriving, ended) = state;
            runtime.block_on(async move {
                let (shard, poll) = (Shard::new(engine, index, stats), Poll::new(set));
                let inbox = Inbox { commands: incoming, notify: self.notify, arriving };
                let mut driver = Driver::new(shard, index, poll, inbox, settings, audit);
                driver.run().await;
                ended.store(true, Ordering::Release);
            });
        })?;
        Ok(Handle { commands, notify, stats, arriving, ended })
    }
}

/// Keeps the calling thread on one core.
fn pin_to_core(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(core, %error, "a shard could not be pinned to its core");
    }
}

//! A shard from outside: it is prepared, started, and given connections and commands.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use broker_engine::{Engine, Shard, ShardStats};
use broker_protocol::codes::CloseReason;
use broker_protocol::request::{From, OnSlow};
use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::{Notify, oneshot};

use super::poll::Poll;
use super::slowest::ConnectionRow;
use super::{Driver, ROOM_PAUSE};
use crate::admission::Admitted;
use crate::vital;
use crate::websocket::Rules;

/// Commands that wait for a shard at most. A sender of more waits.
const COMMANDS_MAX: usize = 4096;

/// What a stream of events is to have in it, all checked.
#[derive(Debug)]
pub struct SseRequest {
    /// Topics and patterns.
    pub topics: Vec<String>,
    /// How they begin.
    pub from: From,
    /// A step of the ladder of intervals, or 0 for every update.
    pub conflate_ms: u32,
    /// What to do when the client does not keep up.
    pub on_slow: OnSlow,
    /// Whether to say when everything has begun.
    pub ready: bool,
}

/// A connection whose handshake is done.
pub struct Arrival {
    /// The socket, not blocking.
    pub stream: TcpStream,
    /// What the client sent right behind its handshake.
    pub early: Vec<u8>,
    /// Its place, or why there is none for it: then it is told so and closed.
    pub admitted: Admitted,
    /// Whether it may follow topics that begin with `$`.
    pub reserved: bool,
    /// What it follows, where it gets Server-Sent Events; `None` for WebSocket.
    pub sse: Option<SseRequest>,
}

/// What the rest of the broker wants of a shard.
pub enum Command {
    /// Take this connection.
    Connect(Box<Arrival>),
    /// Tell of the connections for which most waits.
    Slowest(usize, oneshot::Sender<Vec<ConnectionRow>>),
    /// Queue this payload for everybody.
    Tell(Arc<[u8]>),
    /// Close every connection.
    CloseAll(CloseReason),
    /// End the thread.
    Stop,
}

/// What is fixed for all shards.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bounds on what clients send.
    pub rules: Rules,
}

/// A running shard, from outside.
pub struct Handle {
    commands: Sender<Command>,
    notify: Arc<Notify>,
    /// What it counts.
    pub stats: Arc<ShardStats>,
    /// Connections that were given to it and are not counted among its own yet.
    arriving: Arc<AtomicU64>,
    /// It does nothing any more.
    ended: Arc<AtomicBool>,
}

impl Handle {
    /// Connections that it has, or was given.
    pub fn load(&self) -> u64 {
        self.arriving.load(Ordering::Acquire) + self.stats.connections.get()
    }

    /// Gives it a connection.
    pub async fn connect(&self, arrival: Arrival) {
        self.arriving.fetch_add(1, Ordering::AcqRel);
        self.send(Command::Connect(Box::new(arrival))).await;
    }

    /// Hands a command over, waiting where too many are there already.
    pub async fn send(&self, mut command: Command) {
        while let Err(back) = self.try_send(command) {
            command = back;
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }

    /// Hands a command over, where there are not too many already.
    ///
    /// # Errors
    /// Gives it back.
    pub fn try_send(&self, command: Command) -> Result<(), Command> {
        let result = match self.commands.try_send(command) {
            // The thread has ended: so has everything that the command was about.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(back)) => Err(back),
        };
        self.notify.notify_one();
        result
    }

    /// Whether it does nothing any more. Its thread may still free what it held, which takes seconds where it followed a
    /// million topics.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// A shard that is not running yet: the engine needs its notifier before the thread can have the engine.
pub struct Prepared {
    notify: Arc<Notify>,
}

impl Prepared {
    /// Makes one.
    pub fn new() -> (Self, Box<dyn Fn() + Send + Sync>) {
        let notify = Arc::new(Notify::new());
        let wake = notify.clone();
        (Self { notify }, Box::new(move || wake.notify_one()))
    }

    /// Starts the thread, on the given core if any. It ends the process where it ends before `ending` says that it may.
    ///
    /// # Errors
    /// There is no file or no thread left for it.
    pub fn start(
        self,
        engine: Arc<Engine>,
        index: usize,
        core: Option<usize>,
        settings: Settings,
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
        // Where it panics, its connections' state is lost, and new ones would still be given to it: the process ends.
        vital::thread(format!("shard-{index}"), ending, make, move |(runtime, set)| {
            if let Some(core) = core {
                pin_to_core(core);
            }
            let (stats, arriving, ended) = state;
            runtime.block_on(async move {
                let (shard, poll) = (Shard::new(engine, index, stats), Poll::new(set));
                let mut driver = Driver::new(shard, index, poll, incoming, self.notify, arriving, settings);
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
        tracing::warn!(core, %error, "a shard could not be pinned");
    }
}

//! A shard's thread: it drives the engine's half of the shard over real sockets.
//!
//! ```text
//! round:  commands ─ take in ─ turn ─ sockets that are ready: read, parse, do, as work allows ─ tick ─ yield
//! idle:   say so, look once more, sleep until the feed, a socket, a command or the clock wakes it
//! ```
//!
//! Every step is bounded; a shard stopped at a bound stays runnable.
//!
//! Commands come through a channel of `crossbeam-channel`: many threads send, and the shard looks into it once a round without
//! waiting. Each shard has a current-thread runtime of tokio for what it sleeps on (`AsyncFd`, `Notify`, a timer); nothing is
//! spawned there, so no scheduler comes between a wake-up and the round.

mod input;
mod poll;
mod slowest;
mod socket;
mod sse;

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use broker_engine::{ConnId, Engine, Shard, ShardStats};
use broker_protocol::codes::CloseReason;
use broker_protocol::request::{From, OnSlow, Request, Subscribe, SubscribeEntry};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::{Notify, oneshot};

use self::input::DeferredReads;
use self::poll::{Poll, Ready};
use self::slowest::Asked;
pub use self::slowest::ConnectionRow;
use self::socket::{ReadState, Socket};
use self::sse::Writer;
use crate::admission::Admitted;
use crate::clock::now;
use crate::memory::Looks;
use crate::vital;
use crate::websocket::Rules;

/// Commands that wait for a shard at most; whoever sends more waits.
const COMMANDS_MAX: usize = 4096;
/// Commands taken in one round at most.
const COMMANDS_PER_ROUND: usize = 16;
/// A round that did nothing of note is counted where it took this long nevertheless, in µs.
const ROUND_TOLD_US: u64 = 1000;
/// Connections that are told or closed together in one round.
const TOLD_PER_ROUND: usize = 64;
/// How long a shard with nothing to do but wait for other shards to read the feed sleeps, and whoever has a command for one
/// that has too many.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

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
                pin(core);
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
fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(core, %error, "a shard could not be pinned");
    }
}

struct Driver {
    shard: Shard<Socket>,
    index: usize,
    poll: Poll,
    commands: Receiver<Command>,
    notify: Arc<Notify>,
    arriving: Arc<AtomicU64>,
    settings: Settings,
    ready: Vec<Ready>,
    reads: DeferredReads,
    buffer: Box<[u8]>,
    /// What all connections are still to hear, and from which number on.
    to_all: VecDeque<(ToAll, ConnId)>,
    /// Those who want to know which connections are slow.
    asked: VecDeque<Asked>,
    /// What those hear who come while the broker goes.
    farewell: Option<Arc<[u8]>>,
    closes: Option<CloseReason>,
    /// Up to when the thread's time is counted as busy.
    busy_until_us: u64,
    memory: Looks,
    stopping: bool,
}

/// What all connections are to hear.
enum ToAll {
    Tell(Arc<[u8]>),
    Close(CloseReason),
}

impl Driver {
    fn new(
        shard: Shard<Socket>,
        index: usize,
        poll: Poll,
        commands: Receiver<Command>,
        notify: Arc<Notify>,
        arriving: Arc<AtomicU64>,
        settings: Settings,
    ) -> Self {
        let buffer = vec![0; input::BUFFER_BYTES].into_boxed_slice();
        let (ready, reads) = (Vec::new(), DeferredReads::default());
        let busy_until_us = now().mono_us;
        Self {
            shard,
            index,
            poll,
            commands,
            notify,
            arriving,
            settings,
            ready,
            reads,
            buffer,
            to_all: VecDeque::new(),
            asked: VecDeque::new(),
            farewell: None,
            closes: None,
            busy_until_us,
            memory: Looks::default(),
            stopping: false,
        }
    }

    async fn run(&mut self) {
        while !self.stopping {
            if self.round() {
                // The runtime looks at its own timers and files now and then.
                tokio::task::yield_now().await;
            } else if !self.stopping {
                self.sleep().await;
            }
        }
    }

    /// Does a bounded amount of everything: delivers what is ready, then reads. Returns whether more is to be done at once.
    fn round(&mut self) -> bool {
        let begin = now();
        self.count_busy(begin.mono_us);
        let mut more = self.take_commands();
        more |= self.say_to_all();
        more |= self.tell_slowest();
        more |= self.shard.take_in(begin);
        more |= self.shard.turn(&mut now);
        // What a sleep was woken by is still to be looked at.
        if self.ready.is_empty()
            && let Err(error) = self.poll.now(&mut self.ready)
        {
            tracing::error!(%error, shard = self.index, "looking for ready sockets failed");
        }
        more |= self.serve_ready();
        self.shard.begin_requests();
        more |= self.resume_deferred();
        more |= self.shard.tick(now());
        self.memory.at(begin.mono_us);
        let took_us = now().mono_us - begin.mono_us;
        if more || took_us > ROUND_TOLD_US {
            self.shard.stats().round_us.record(took_us);
        }
        more
    }

    /// The thread was busy since it was last said so. Counted at every round and not only when it falls asleep: where a
    /// shard has too much to do, it does not.
    fn count_busy(&mut self, now_us: u64) {
        self.shard.stats().busy_us.add(now_us - self.busy_until_us);
        self.busy_until_us = now_us;
    }

    async fn sleep(&mut self) {
        let engine = self.shard.engine().clone();
        let wake = engine.feed().wake(self.index);
        wake.about_to_sleep();
        // Once more: an entry appended before that was not announced.
        if self.shard.has_entries() || !self.commands.is_empty() {
            wake.woke();
            return;
        }
        let asleep_us = now().mono_us;
        self.count_busy(asleep_us);
        let mut pause = Duration::from_micros(self.shard.next_tick_us().saturating_sub(asleep_us));
        if self.reads.wait_for_room() {
            pause = pause.min(ROOM_PAUSE);
        }
        tokio::select! {
            biased;
            () = self.notify.notified() => {}
            result = self.poll.wait(&mut self.ready) => {
                if let Err(error) = result {
                    tracing::error!(%error, shard = self.index, "waiting for sockets failed");
                }
            }
            () = tokio::time::sleep(pause) => self.ready.clear(),
        }
        self.busy_until_us = now().mono_us;
        wake.woke();
    }

    fn serve_ready(&mut self) -> bool {
        let mut ready = std::mem::take(&mut self.ready);
        let some = !ready.is_empty();
        for Ready { key, readable, writable, ended, gone } in ready.drain(..) {
            let id = key as u32;
            if writable && self.shard.sink(id).is_none_or(Socket::flush) {
                self.shard.writable(id);
                self.unblock(id);
            }
            if readable {
                self.readable(id, ended, gone);
            }
        }
        self.ready = ready;
        some
    }

    fn take_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_ROUND {
            let Ok(command) = self.commands.try_recv() else { return false };
            match command {
                Command::Connect(arrival) => self.arrive(*arrival),
                Command::Slowest(count, answer) => self.asked.push_back(Asked::new(count, answer)),
                Command::Tell(payload) => {
                    self.farewell = Some(payload.clone());
                    self.to_all.push_back((ToAll::Tell(payload), 0));
                }
                Command::CloseAll(reason) => {
                    self.closes = Some(reason);
                    self.to_all.push_back((ToAll::Close(reason), 0));
                }
                Command::Stop => self.stopping = true,
            }
        }
        true
    }

    /// Says what all connections are to hear, some of them in each round. Returns whether there are more.
    fn say_to_all(&mut self) -> bool {
        let Some((what, from)) = self.to_all.pop_front() else { return false };
        let ids: Vec<_> = self.shard.connections(from).take(TOLD_PER_ROUND).collect();
        for id in &ids {
            match &what {
                ToAll::Tell(payload) => self.shard.answer(now(), *id, payload),
                ToAll::Close(reason) => self.shard.close(now(), *id, *reason, reason.text()),
            }
        }
        if let Some(last) = ids.last() {
            self.to_all.push_front((what, last + 1));
        }
        !self.to_all.is_empty()
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { stream, early, admitted, reserved, sse: follows } = arrival;
        let sse = follows.is_some().then(Box::<Writer>::default);
        let (read_state, full, ended) = (ReadState::Idle, false, false);
        let mut socket =
            Socket { stream, held: None, read_state, heavy: false, has_rest: false, sse, full, ended, admitted };
        socket.hold(None, early);
        let id = self.shard.connect(now(), socket);
        // It is counted among the shard's own by now.
        self.arriving.fetch_sub(1, Ordering::AcqRel);
        if !reserved {
            self.shard.forbid_reserved(id);
        }
        let added = self.shard.sink(id).map(|socket| self.poll.add(&socket.stream, id.into()));
        if let Some(Err(error)) = added {
            tracing::warn!(%error, "a connection could not be watched");
            self.shard.disconnect(id);
            return;
        }
        if let Some(SseRequest { topics, from, conflate_ms, on_slow, ready }) = follows {
            let entries = topics.into_iter().map(|topic| SubscribeEntry::Plain(topic.into())).collect();
            let subscribe =
                Subscribe { id: None, entries, from, conflate_ms, on_slow, ready, positions: false, resume: None };
            self.shard.request(now(), id, Request::Subscribe(subscribe));
        }
        // Who comes while the broker goes hears what the others have heard.
        if let Some(payload) = self.farewell.clone() {
            self.shard.answer(now(), id, &payload);
        }
        if let Some(reason) = self.closes {
            self.shard.close(now(), id, reason, reason.text());
        }
        self.readable(id, false, false);
    }
}

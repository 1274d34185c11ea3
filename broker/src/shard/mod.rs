//! A shard's thread: it drives the engine's half of the shard over real sockets.
//!
//! ```text
//! handle     the shard from outside: prepare, start, give it connections and commands
//! here       the loop
//! commands   what the rest of the broker asks of it
//! input      what clients send
//! layers     what is between its messages and its socket
//! login      who clients are: tokens are checked, end, and are renewed
//! logins     the connections of which that is known, and when something is due
//! poll       which sockets are ready
//! reads      whose turn it is to be read
//! socket     a connection's socket
//! sse        writes Server-Sent Events
//! slowest    the connections with the most pending bytes
//! forbidden  publishes that were refused, for the audit log
//! operator   one connection described, some connections closed
//! ```
//!
//! ```text
//! round:  commands ─ take in ─ turn ─ sockets that are ready: read, parse, execute, as work allows ─ tick ─ yield
//! idle:   announce it, look once more, sleep until the feed, a socket, a command or the clock wakes it
//! ```
//!
//! Every step is bounded; a shard stopped at a bound stays runnable.
//!
//! Commands come through a channel of `crossbeam-channel`: many threads send, and the shard checks it once a round
//! without waiting. Each shard has a current-thread runtime of tokio for what it sleeps on (`AsyncFd`, `Notify`, a
//! timer). No task is spawned there, so no scheduler comes between a wake-up and the round.

mod commands;
mod forbidden;
mod handle;
mod input;
mod layers;
mod login;
mod logins;
mod operator;
mod poll;
mod reads;
mod slowest;
mod socket;
mod sse;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use broker_engine::{ConnId, Shard};
use broker_protocol::codes::CloseReason;
use crossbeam_channel::Receiver;
use tokio::sync::Notify;

use self::commands::Broadcast;
pub use self::handle::{Arrival, Command, Handle, Prepared, Settings, SseRequest};
pub use self::login::{Checked, Unchecked, Verified};
use self::logins::Logins;
use self::operator::Questions;
pub use self::operator::{ConnectionDetail, PublisherDetail, Whom};
use self::poll::{Poll, Ready};
use self::reads::DeferredReads;
use self::slowest::Asked;
pub use self::slowest::ConnectionRow;
use self::socket::{Buffers, Socket};
use crate::audit::Audit;
use crate::clock::now;
use crate::memory::Looks;
use crate::tls::Flushed;

/// A round that leaves nothing to do is recorded only if it took longer than this, in µs.
const ROUND_RECORDED_US: u64 = 1000;
/// The pause of a shard that can only wait for other shards to read the feed, and of a sender whose command found the
/// channel full.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// What reaches a shard's thread from others.
struct Inbox {
    commands: Receiver<Command>,
    notify: Arc<Notify>,
    arriving: Arc<AtomicU64>,
}

/// A shard's thread.
struct Driver {
    shard: Shard<Socket>,
    index: usize,
    poll: Poll,
    commands: Receiver<Command>,
    notify: Arc<Notify>,
    arriving: Arc<AtomicU64>,
    settings: Settings,
    audit: Arc<Audit>,
    ready: Vec<Ready>,
    reads: DeferredReads,
    buffers: Buffers,
    /// What all connections get, and the first connection that has not got it yet.
    broadcasts: VecDeque<(Broadcast, ConnId)>,
    logins: Logins,
    /// The requests for the slowest connections.
    asked: VecDeque<Asked>,
    questions: Questions,
    /// The message for connections that arrive while the broker is cut off from its journal.
    stale: Option<Arc<[u8]>>,
    /// The message for connections that arrive during the shutdown.
    farewell: Option<Arc<[u8]>>,
    /// The reason with which connections that arrive after `CloseAll` are closed.
    closes: Option<CloseReason>,
    /// The time up to which the thread has been counted as busy, or was asleep.
    busy_until_us: u64,
    memory: Looks,
    stopping: bool,
}

impl Driver {
    fn new(
        shard: Shard<Socket>,
        index: usize,
        poll: Poll,
        inbox: Inbox,
        settings: Settings,
        audit: Arc<Audit>,
    ) -> Self {
        let Inbox { commands, notify, arriving } = inbox;
        let raw = vec![0; input::BUFFER_BYTES].into_boxed_slice();
        let buffers = Buffers { raw, decrypted: Vec::new() };
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
            audit,
            ready,
            reads,
            buffers,
            broadcasts: VecDeque::new(),
            logins: Logins::default(),
            asked: VecDeque::new(),
            questions: Questions::default(),
            stale: None,
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
                // Lets the runtime look at its own timers and files.
                tokio::task::yield_now().await;
            } else if !self.stopping {
                self.sleep().await;
            }
        }
    }

    /// Does a bounded amount of everything: delivers what is ready, then reads. Returns whether more is to be done now.
    fn round(&mut self) -> bool {
        let begin = now();
        self.count_busy(begin.mono_us);
        let mut more = self.take_commands();
        more |= self.broadcast();
        more |= self.report_slowest();
        more |= self.end_late();
        more |= self.answer_operator();
        more |= self.shard.take_in(begin);
        more |= self.shard.take_answers(begin);
        self.read_released();
        more |= self.shard.turn(&mut now);
        // If sockets ended the last sleep, they are in `ready` already.
        if self.ready.is_empty()
            && let Err(error) = self.poll.now(&mut self.ready)
        {
            tracing::error!(%error, shard = self.index, "polling for ready sockets failed");
        }
        more |= self.serve_ready();
        self.shard.begin_requests();
        more |= self.resume_deferred();
        self.report_forbidden();
        more |= self.shard.tick(now());
        let took_us = now().mono_us - begin.mono_us;
        self.memory.at(begin.mono_us);
        if more || took_us > ROUND_RECORDED_US {
            self.shard.stats().round_us.record(took_us);
        }
        more
    }

    /// Counts the time since the last call, or since the thread woke up, as busy. Called in every round and not only
    /// before the thread sleeps, because a shard with too much to do does not sleep.
    fn count_busy(&mut self, now_us: u64) {
        self.shard.stats().busy_us.add(now_us - self.busy_until_us);
        self.busy_until_us = now_us;
    }

    async fn sleep(&mut self) {
        let engine = self.shard.engine().clone();
        let wake = engine.feed().wake(self.index);
        wake.about_to_sleep();
        // Looks once more: an entry appended before this was not announced.
        if self.shard.has_entries() || self.shard.has_answers() || !self.commands.is_empty() {
            wake.woke();
            return;
        }
        let asleep_us = now().mono_us;
        self.count_busy(asleep_us);
        let mut pause = Duration::from_micros(self.shard.next_tick_us().saturating_sub(asleep_us));
        pause = pause.min(self.logins.pause(now()));
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
            if writable {
                match self.shard.sink(id).map_or(Flushed::All, Socket::flush) {
                    Flushed::All => {
                        self.shard.writable(id);
                        self.unblock(id);
                    }
                    Flushed::Some => self.shard.took(id),
                    Flushed::Nothing => {}
                }
            }
            if readable {
                self.readable(id, ended, gone);
            }
        }
        self.ready = ready;
        some
    }
}

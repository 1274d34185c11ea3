//! Checkpoints: when one is due, writing it while commands are applied, storing it, and cutting off what is superfluous.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::Stream;
use broker_engine::log::{Seen, cut_before};
use broker_engine::{Applied, Engine};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::checkpoints::{self, Object, fits, name_of};
use super::election::Election;
use super::error::NatsError;
use super::log::Log;
use super::reader::Read;
use super::stream::{extent, info};
use crate::checkpoint::{self, Head, Tail};
use crate::error::chain;
use crate::status::{add, get, set};
use crate::walk::{Step, Walk};

/// After one that failed, the next is begun when the log has grown by this part of what it may between two.
const RETRY_PART: u64 = 8;

/// How often it is tried to cut the log off behind a checkpoint: servers that are busy, or that elect a leader, do not
/// answer.
const CUT_TRIES: u32 = 20;
/// The pause in between.
const CUT_PAUSE: Duration = Duration::from_secs(1);

/// The checkpoint that is being written, if one is, and when the next one is due.
pub(super) struct Checkpointing {
    /// Bytes of the log since the newest one.
    bytes: u64,
    due_bytes: u64,
    /// This broker has said that it begins, and that is not seen yet.
    asked: bool,
    election: Election,
    running: Option<Running>,
}

enum Running {
    /// `end`: the record with which it is complete.
    Walking {
        walk: Walk,
        begin: Seen,
        end: Seen,
        saved_us: u64,
    },
    Storing {
        object: Object,
        saved_us: u64,
        task: JoinHandle<Result<(), NatsError>>,
    },
}

/// What whoever drives the log has to do.
pub(super) enum ToDo {
    Nothing,
    /// Say in the log that this broker begins.
    Ask,
    /// Say in the log that a checkpoint is complete.
    Say(Object),
}

impl Checkpointing {
    /// `bytes` of the log were read behind the newest checkpoint.
    pub(super) fn new(log: &Log, bytes: u64) -> Self {
        let due_bytes = due_bytes(log);
        Self { bytes, due_bytes, asked: false, election: Election::default(), running: None }
    }

    /// A record of the log was applied.
    pub(super) fn applied(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// A broker says in the log that it begins. Everything up to `begin` is applied.
    pub(super) fn begins(&mut self, log: &Log, engine: &Arc<Engine>, applied: &Applied, begin: Seen, node: &str) {
        let own = node == log.options.node;
        self.asked &= !own;
        if self.election.begins(node, begin.ts_us) && own && self.running.is_none() {
            self.begin(log, engine, applied, begin);
        }
    }

    /// A broker has begun another session.
    pub(super) fn opens(&mut self, node: &str) {
        self.election.opens(node);
    }

    /// A broker says in the log that it has completed one.
    pub(super) fn completed(&mut self, log: &Log) {
        self.election.completed();
        (self.bytes, self.due_bytes) = (0, due_bytes(log));
    }

    /// Begins one without asking: the log is full, so nothing can be said in it.
    pub(super) fn begin_unasked(&mut self, log: &Log, engine: &Arc<Engine>, applied: &Applied, read: Option<&Read>) {
        if let (None, Some(read)) = (&self.running, read) {
            self.begin(log, engine, applied, read.seen());
        }
    }

    fn begin(&mut self, log: &Log, engine: &Arc<Engine>, applied: &Applied, begin: Seen) {
        let saved_us = (log.clock)().wall_us;
        let head = Head {
            generation: log.generation,
            position: begin.position,
            commands: applied.commands(),
            sessions: applied.sessions().list(),
            settings: engine.journal().and_then(|journal| journal.settings()),
            record_check: begin.check,
            saved_us,
        };
        match Walk::start(engine, log.options.scratch.clone(), log.clock, head) {
            Ok(walk) => self.running = Some(Running::Walking { walk, begin, end: begin, saved_us }),
            Err(error) => self.failed(log, &error.to_string()),
        }
    }

    /// Carries on with what is under way. Everything up to `read` is applied.
    pub(super) async fn step(&mut self, log: &Log, engine: &Engine, applied: &Applied, read: Option<&Read>) -> ToDo {
        match self.running.take() {
            None => {}
            Some(Running::Walking { walk, begin, mut end, saved_us }) => {
                match walk.step() {
                    Step::Going => {}
                    Step::Walked => {
                        walk.complete(Tail { meanwhile: engine.end_saving(), complete_at: applied.commands() });
                        // What it has is complete with the record that was read last.
                        end = read.map_or(begin, Read::seen);
                    }
                    Step::Done(Err(error)) => {
                        self.failed(log, &chain(&error));
                        return ToDo::Nothing;
                    }
                    Step::Done(Ok(bytes)) => {
                        let name = name_of(begin.position, &log.options.node);
                        self.store(log, Object { name, bytes, begin, end }, saved_us);
                        return ToDo::Nothing;
                    }
                }
                self.running = Some(Running::Walking { walk, begin, end, saved_us });
            }
            Some(Running::Storing { object, saved_us, task }) if task.is_finished() => {
                let stored = match task.await {
                    Ok(stored) => stored.map_err(|error| chain(&error)),
                    Err(error) => Err(error.to_string()),
                };
                drop(std::fs::remove_file(checkpoint::path(&log.options.scratch, object.begin.position)));
                return match stored {
                    Ok(()) => {
                        add(&log.status.checkpoints, 1);
                        log.status.set_checkpoint_failed(false);
                        set(&log.status.checkpoint_us, saved_us);
                        set(&log.status.checkpoint_bytes, object.bytes);
                        ToDo::Say(object)
                    }
                    Err(why) => {
                        self.failed(log, &why);
                        ToDo::Nothing
                    }
                };
            }
            Some(storing) => self.running = Some(storing),
        }
        let is_due = self.running.is_none() && !self.asked && self.bytes >= self.due_bytes;
        // By the log's time, which decides when it is said: this broker's clock may be off.
        if is_due && self.election.is_free(read.map_or(0, Read::ts_us)) {
            self.asked = true;
            return ToDo::Ask;
        }
        ToDo::Nothing
    }

    /// What was asked is not in the log: the session in which it was said is over.
    pub(super) fn forget_asking(&mut self) {
        self.asked = false;
    }

    /// Gives up the one that is under way.
    pub(super) fn give_up(&mut self) {
        match self.running.take() {
            Some(Running::Walking { walk, .. }) => walk.give_up(),
            Some(Running::Storing { task, .. }) => task.abort(),
            None => {}
        }
    }

    fn store(&mut self, log: &Log, object: Object, saved_us: u64) {
        let stored = object.clone();
        let (bucket, stream) = (log.bucket.clone(), log.stream.clone());
        let path = checkpoint::path(&log.options.scratch, object.begin.position);
        let is_full = log.status.failed().is_some();
        let task = tokio::spawn(async move {
            checkpoints::store(&bucket, &stored, &path).await?;
            let only = is_full.then_some(stored.begin.position);
            // It is stored, so what is left is done again and not all of it.
            let mut cut = cut_off(&bucket, &stream, only).await;
            for _ in 1..CUT_TRIES {
                let Err(error) = &cut else { break };
                tracing::debug!(%error, "the log could not be cut off behind a checkpoint, and is tried again");
                sleep(CUT_PAUSE).await;
                cut = cut_off(&bucket, &stream, only).await;
            }
            cut
        });
        self.running = Some(Running::Storing { object, saved_us, task });
    }

    fn failed(&mut self, log: &Log, why: &str) {
        self.election.completed();
        self.bytes = 0;
        self.due_bytes = due_bytes(log) / RETRY_PART;
        add(&log.status.failures, 1);
        log.status.set_checkpoint_failed(true);
        tracing::error!("a checkpoint could not be written, and the log grows until one is: {why}");
    }
}

/// How much the log may grow between two checkpoints.
fn due_bytes(log: &Log) -> u64 {
    let last_bytes = get(&log.status.checkpoint_bytes);
    log.options.checkpoint_bytes.max(last_bytes.saturating_mul(2)).min(get(&log.status.log_bytes_max) / 6)
}

/// Cuts the log off before what the two newest checkpoints need, and deletes those that are older. A full log that has only
/// the one at `only` is cut off there: it gets no further record, so there will be no other checkpoint.
async fn cut_off(bucket: &ObjectStore, stream: &Stream, only: Option<u64>) -> Result<(), NatsError> {
    let all = checkpoints::list(bucket).await?;
    let extent = extent(&info(stream).await?);
    // One that the log does not continue, because it went back, is no reason to cut anything off.
    let mut begins = Vec::new();
    for object in &all {
        if fits(stream, object, extent).await? {
            begins.push(object.begin.position);
        }
    }
    if let Some(position) = cut_before(&begins).or(only) {
        let purged = stream.purge().sequence(position).await;
        purged.map_err(|error| NatsError::api("cutting the log off", error))?;
        for object in all.iter().filter(|object| object.begin.position < position) {
            checkpoints::delete(bucket, &object.name).await?;
        }
    }
    Ok(())
}

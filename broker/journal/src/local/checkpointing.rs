//! When checkpoints are written, and what is deleted when one is complete.

use std::sync::Arc;

use broker_engine::log::cut_before;
use broker_engine::{Applied, Engine};

use super::Options;
use super::copy::head;
use super::error::JournalError;
use super::recover::list;
use crate::Clock;
use crate::checkpoint::{self, Tail};
use crate::error::chain;
use crate::status::{Status, add, get, set};
use crate::store::{Store, StoreError};
use crate::walk::{Step, Walk, WalkError};

/// After a checkpoint that failed, the next one is begun when the log has grown by this part of what it may between two.
const RETRY_PART: u64 = 8;
/// How long after it failed the next one is begun where the log has no room to grow, in µs.
const RETRY_US: u64 = 5_000_000;

/// The checkpoint that is being written, if one is, and when the next one is due.
pub(super) struct Checkpointing {
    engine: Arc<Engine>,
    options: Options,
    clock: Clock,
    status: Arc<Status>,
    /// Bytes of the log that were written when the last one began or failed.
    written_bytes: u64,
    /// How much may be written until the next one begins.
    due_bytes: u64,
    /// When the next one may begin because the log is full, on the monotonic clock in µs.
    retry_at_us: u64,
    running: Option<Running>,
    /// The positions of the complete ones, newest first.
    complete: Vec<u64>,
}

struct Running {
    position: u64,
    saved_us: u64,
    walk: Walk,
}

impl Checkpointing {
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn new(
        engine: Arc<Engine>,
        store: &Store,
        options: Options,
        clock: Clock,
        status: Arc<Status>,
    ) -> Result<Self, JournalError> {
        let complete = list(&options.dir)?.into_iter().map(|(position, _)| position).collect();
        let due_bytes = due_bytes(&options, get(&status.checkpoint_bytes)).saturating_sub(store.log_bytes());
        let (written_bytes, retry_at_us, running) = (0, 0, None);
        Ok(Self { engine, options, clock, status, written_bytes, due_bytes, retry_at_us, running, complete })
    }

    /// Begins a checkpoint if it is time for one, or carries on with the one that is under way.
    ///
    /// # Errors
    /// The log could not be synced or divided. A checkpoint that cannot be written is no error: it is said, counted, and
    /// tried again later.
    pub(super) fn step(&mut self, store: &mut Store, applied: &Applied) -> Result<(), StoreError> {
        let Some(running) = &self.running else {
            if self.status.failed().is_some() || !self.is_due(store) {
                return Ok(());
            }
            return self.begin(store, applied);
        };
        match running.walk.step() {
            Step::Going => Ok(()),
            Step::Walked => {
                // What the checkpoint has must not be newer than the log, whatever happens to the machine.
                store.sync()?;
                running.walk.complete(Tail { meanwhile: self.engine.end_saving(), complete_at: applied.commands() });
                Ok(())
            }
            Step::Done(result) => self.end(store, result),
        }
    }

    /// Whether it is time for one: the log has grown by so much, or it is nearly full. Then it may not be able to grow, and
    /// a second one has to follow the first, because only what the older of two does not need is deleted.
    fn is_due(&self, store: &Store) -> bool {
        let has_grown = get(&self.status.written_bytes) - self.written_bytes >= self.due_bytes;
        let is_nearly_full = store.log_bytes() > self.options.bytes_max / 4 * 3;
        let has_more = self.complete.first().is_none_or(|newest| *newest + 1 < store.next_position());
        has_grown || (is_nearly_full && has_more && self.retry_at_us <= (self.clock)().mono_us)
    }

    /// Gives up the one that is under way.
    pub(super) fn give_up(&mut self) {
        if let Some(running) = self.running.take() {
            running.walk.give_up();
        }
    }

    fn begin(&mut self, store: &mut Store, applied: &Applied) -> Result<(), StoreError> {
        store.begin_segment()?;
        let head = head(&self.engine, applied, store, store.generation(), (self.clock)().wall_us)?;
        let (position, saved_us) = (head.position, head.saved_us);
        self.written_bytes = get(&self.status.written_bytes);
        match Walk::start(&self.engine, self.options.dir.clone(), self.clock, head) {
            Ok(walk) => self.running = Some(Running { position, saved_us, walk }),
            Err(error) => self.failed(&error.to_string()),
        }
        Ok(())
    }

    fn end(&mut self, store: &mut Store, result: Result<u64, WalkError>) -> Result<(), StoreError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        match result {
            Err(error) => self.failed(&chain(&error)),
            Ok(bytes) => {
                self.complete.insert(0, running.position);
                self.due_bytes = due_bytes(&self.options, bytes);
                let status = &self.status;
                add(&status.checkpoints, 1);
                status.set_checkpoint_failed(false);
                set(&status.checkpoint_us, running.saved_us);
                set(&status.checkpoint_bytes, bytes);
                // The older of two stays, and what follows it, in case that the newer one cannot be read.
                for position in self.complete.split_off(self.complete.len().min(2)) {
                    let path = checkpoint::path(&self.options.dir, position);
                    if let Err(error) = std::fs::remove_file(&path) {
                        tracing::warn!(path = %path.display(), %error, "an old checkpoint could not be removed");
                    }
                }
                if let Some(position) = cut_before(&self.complete) {
                    // The record at that position stays: by that the log is known again.
                    store.cut(position)?;
                }
            }
        }
        Ok(())
    }

    fn failed(&mut self, why: &str) {
        let status = &self.status;
        self.running = None;
        self.retry_at_us = (self.clock)().mono_us + RETRY_US;
        self.written_bytes = get(&status.written_bytes);
        self.due_bytes = due_bytes(&self.options, get(&status.checkpoint_bytes)) / RETRY_PART;
        add(&status.failures, 1);
        status.set_checkpoint_failed(true);
        tracing::error!("a checkpoint could not be written, and the log grows until one is: {why}");
    }
}

/// Nobody reads the directory while a checkpoint is still being written there.
impl Drop for Checkpointing {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// How much the log may grow between two checkpoints. It has three times as much when the next one begins, since a segment is
/// deleted as a whole, and grows while that is written.
fn due_bytes(options: &Options, last_bytes: u64) -> u64 {
    options.checkpoint_bytes.max(last_bytes.saturating_mul(2)).min(options.bytes_max / 6)
}

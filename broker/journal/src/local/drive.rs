//! Driving a local log: what is gathered is written, applied and answered, in that order; what is written is synced.
//!
//! One thread calls [`Drive::round`] and sleeps in between, for at most as long as it says; it is woken when something is
//! gathered. It is the only one that applies commands, so they are applied in one order.

use std::sync::Arc;
use std::time::Duration;

use broker_engine::journal::{Answers, Gathered, Journal, Waiting};
use broker_engine::{Applied, Engine, Logged, Verdict};
use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

use super::checkpointing::Checkpointing;
use super::error::JournalError;
use super::{NODE, Options};
use crate::Clock;
use crate::error::chain;
use crate::status::{Status, add, set};
use crate::store::{Store, StoreError};

/// Records that are written at once.
const RECORDS_AT_ONCE: usize = 64;
/// Bytes of records that are written at once; the last one may exceed it.
const BYTES_AT_ONCE: usize = 1 << 20;
/// How long shards that do not keep up are waited for between two looks.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// How long after a failure the log is tried again, in µs.
const RETRY_US: u64 = 1_000_000;
/// The longest pause, so that status and checkpoints are looked at.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What to do after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Another round, at once.
    None,
    /// Sleep until woken, at most this long.
    AtMost(Duration),
}

/// The journal of a running broker.
pub struct Drive {
    engine: Arc<Engine>,
    store: Store,
    applied: Applied,
    options: Options,
    clock: Clock,
    status: Arc<Status>,
    answers: Answers,
    /// The time of the last record. It never goes back.
    last_ts_us: u64,
    /// Since when something is written and not synced, on the monotonic clock in µs.
    dirty_since_us: Option<u64>,
    /// When to try again after a failure, on the monotonic clock in µs.
    retry_at_us: Option<u64>,
    checkpointing: Checkpointing,
}

impl Drive {
    /// Goes on with a log that was read: opens a session, after which publishes are taken in.
    pub(super) fn start(
        engine: Arc<Engine>,
        store: Store,
        applied: Applied,
        options: Options,
        clock: Clock,
        status: Arc<Status>,
    ) -> Result<Self, JournalError> {
        let checkpointing = Checkpointing::new(engine.clone(), &store, options.clone(), clock, status.clone())?;
        let mut drive = Self {
            engine,
            store,
            applied,
            options,
            clock,
            status,
            answers: Answers::default(),
            last_ts_us: 0,
            dirty_since_us: None,
            retry_at_us: None,
            checkpointing,
        };
        drive.open_session()?;
        // The settings, without which clients would be told of none.
        drive.round()?;
        drive.status.set_read();
        Ok(drive)
    }

    /// Does what there is to do, a bounded amount.
    ///
    /// # Errors
    /// A record that this broker wrote cannot be applied: a bug, after which nothing may go on. A disk that fails is no
    /// error: publishes are then refused, and it is tried again.
    pub fn round(&mut self) -> Result<Pause, JournalError> {
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return Ok(Pause::AtMost(PAUSE_MAX)) };
        if self.retry_at_us.is_some_and(|at_us| at_us <= (self.clock)().mono_us) {
            self.try_again();
        }
        // Before anything is written: a log that is full needs it.
        if let Err(error) = self.checkpointing.step(&mut self.store, &self.applied) {
            self.fail(journal, Vec::new(), &error);
        }
        let gathered = self.gather(journal);
        let is_idle = gathered.is_empty();
        if !is_idle {
            self.write(journal, gathered)?;
        }
        self.sync_if_due();
        set(&self.status.log_bytes, self.store.log_bytes());
        if !is_idle {
            return Ok(Pause::None);
        }
        let now_us = (self.clock)().mono_us;
        let sync_us = self.dirty_since_us.map(|since_us| since_us + self.options.sync_ms * 1000);
        let due_us = [sync_us, self.retry_at_us].into_iter().flatten().min();
        let pause = due_us.map_or(PAUSE_MAX, |due_us| Duration::from_micros(due_us.saturating_sub(now_us)));
        Ok(Pause::AtMost(pause.min(PAUSE_MAX)))
    }

    /// Ends: what is gathered is written, applied and answered, all is synced, and the store is closed.
    ///
    /// # Errors
    /// The store could not be closed; what was answered is in the log.
    pub fn stop(mut self) -> Result<(), JournalError> {
        while self.round()? == Pause::None {}
        if let Some(journal) = self.engine.clone().journal() {
            self.refuse(journal, Vec::new(), "the broker is stopping");
        }
        self.checkpointing.give_up();
        Ok(self.store.close()?)
    }

    fn gather(&self, journal: &Journal) -> Vec<Gathered> {
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        while gathered.len() < RECORDS_AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some(record) = journal.gathering().take()
        {
            bytes += record.bytes.len();
            gathered.push(record);
        }
        gathered
    }

    /// Writes records, applies them, and answers.
    fn write(&mut self, journal: &Journal, gathered: Vec<Gathered>) -> Result<(), JournalError> {
        let first = self.store.next_position();
        let ts_us = (self.clock)().wall_us.max(self.last_ts_us);
        let appended = self.check_room(&gathered).and_then(|()| self.append(&gathered, ts_us));
        if let Err(error) = appended {
            let waiting = gathered.into_iter().flat_map(|gathered| gathered.waiting).collect();
            self.fail(journal, waiting, &error);
            return Ok(());
        }
        self.last_ts_us = ts_us;
        for (position, Gathered { bytes, waiting, .. }) in (first..).zip(gathered) {
            while !self.engine.feed().has_room() {
                // It is the shards' turn. Nothing else waits for this thread meanwhile but publishers.
                std::thread::park_timeout(ROOM_PAUSE);
            }
            self.apply(journal, Logged { node: NODE, position, ts_us, bytes: &bytes }, waiting)?;
        }
        self.answers.flush(journal, self.engine.feed());
        set(&self.status.position, self.store.next_position() - 1);
        set(&self.status.commands, self.applied.commands());
        Ok(())
    }

    /// Whether the log may take these. A record that opens a session is not asked: it is short, there is one in a second at
    /// most, and without it neither a checkpoint nor a start could make room again.
    fn check_room(&self, gathered: &[Gathered]) -> Result<(), StoreError> {
        let bytes: u64 = gathered.iter().map(|gathered| gathered.bytes.len() as u64).sum();
        if self.store.log_bytes() + bytes > self.options.bytes_max {
            return Err(StoreError::LogFull { bytes_max: self.options.bytes_max });
        }
        Ok(())
    }

    fn append(&mut self, gathered: &[Gathered], ts_us: u64) -> Result<(), StoreError> {
        let bytes: u64 = gathered.iter().map(|gathered| gathered.bytes.len() as u64).sum();
        let first = self.store.next_position();
        let records = (first..).zip(gathered).map(|(position, gathered)| (position, ts_us, &gathered.bytes[..]));
        self.store.append(records)?;
        add(&self.status.records, gathered.len() as u64);
        add(&self.status.written_bytes, bytes);
        if self.options.sync_ms == 0 {
            return self.sync();
        }
        self.dirty_since_us = self.dirty_since_us.or(Some((self.clock)().mono_us));
        Ok(())
    }

    fn apply(&mut self, journal: &Journal, logged: Logged<'_>, waiting: Vec<Waiting>) -> Result<(), JournalError> {
        let position = logged.position;
        let (answers, mut waiting) = (&mut self.answers, waiting.into_iter());
        let verdict = self.applied.apply(&self.engine, (self.clock)().mono_us, logged, |_, result| {
            match (waiting.next(), result) {
                (Some(waiting), Some(result)) => answers.push(journal, waiting, result),
                (Some(waiting), None) => answers.settle(journal, &waiting),
                (None, _) => {}
            }
        });
        match verdict {
            Ok(Verdict::Counted(_)) => Ok(()),
            Ok(Verdict::Dropped(dropped)) => Err(JournalError::Dropped { position, dropped }),
            Err(error) => Err(JournalError::Record { position, error }),
        }
    }

    /// Syncs what was written `sync_ms` ago or more.
    fn sync_if_due(&mut self) {
        let Some(since_us) = self.dirty_since_us else { return };
        if (self.clock)().mono_us < since_us + self.options.sync_ms * 1000 {
            return;
        }
        if let Err(error) = self.sync()
            && let Some(journal) = self.engine.clone().journal()
        {
            self.fail(journal, Vec::new(), &error);
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let begin_us = (self.clock)().mono_us;
        self.store.sync()?;
        self.dirty_since_us = None;
        add(&self.status.syncs, 1);
        add(&self.status.sync_us, (self.clock)().mono_us.saturating_sub(begin_us));
        Ok(())
    }

    /// Writing failed: what waits is answered, and nothing is taken in until it succeeds again.
    fn fail(&mut self, journal: &Journal, waiting: Vec<Waiting>, error: &StoreError) {
        let why = chain(error);
        add(&self.status.failures, 1);
        if self.status.failed().is_none() {
            let hint = if error.is_full() { ". It goes on by itself when there is room" } else { "" };
            tracing::error!("the journal cannot be written, and publishes are refused: {why}{hint}");
        }
        self.status.set_failed(Some(&why));
        self.dirty_since_us = None;
        self.retry_at_us = Some((self.clock)().mono_us + RETRY_US);
        self.refuse(journal, waiting, &why);
    }

    fn refuse(&mut self, journal: &Journal, mut waiting: Vec<Waiting>, why: &str) {
        waiting.extend(journal.gathering().refuse(why));
        add(&self.status.unavailable, waiting.len() as u64);
        let message = format!("the journal cannot be written: {why}");
        for waiting in waiting {
            self.answers.push(
                journal,
                waiting,
                Err(Refusal { code: ErrorCode::Unavailable, message: message.clone() }),
            );
        }
        self.answers.flush(journal, self.engine.feed());
    }

    fn try_again(&mut self) {
        match self.store.reopen().map_err(JournalError::from).and_then(|()| self.open_session()) {
            Ok(()) => {
                tracing::info!("the journal is written again");
                self.status.set_failed(None);
                self.retry_at_us = None;
            }
            Err(error) => {
                let error = chain(&error);
                add(&self.status.failures, 1);
                tracing::debug!(%error, "the journal still cannot be written");
                self.retry_at_us = Some((self.clock)().mono_us + RETRY_US);
            }
        }
    }

    /// Opens a session, and takes in publishes once the record that opens it is applied.
    fn open_session(&mut self) -> Result<(), JournalError> {
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return Ok(()) };
        let session = self.applied.sessions().newest(NODE).map_or(1, |newest| newest + 1);
        let opening = journal.gathering().open(NODE, session)?;
        let (position, ts_us) = (self.store.next_position(), (self.clock)().wall_us.max(self.last_ts_us));
        self.append(std::slice::from_ref(&opening), ts_us)?;
        // It was written, so there is room for what follows; and what was written in vain before is gone.
        self.sync()?;
        self.apply(journal, Logged { node: NODE, position, ts_us, bytes: &opening.bytes }, opening.waiting)?;
        self.last_ts_us = ts_us;
        set(&self.status.position, position);
        journal.gathering().begin(session);
        if let Err(refusal) = engine.submit_settings(journal) {
            tracing::error!("the journal does not take the settings: {}", refusal.message);
        }
        Ok(())
    }
}

//! How far a broker has applied the log, and applying what follows.
//!
//! A record that counts has its commands applied in order, each at a place that follows from the number of commands
//! before it in the log: 2, 4, 6 and so on, whatever comes of them.

use std::borrow::Cow;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::{Publication, Refusal};

use crate::engine::{At, Command, Engine};
use crate::epoch::carry_epoch;
use crate::log::{Compared, Digest, Digests, Dropped, Entry, Inbound, Logged, Outcome, Record, RecordError, Sessions};
use crate::outcome::Outcome as Applying;

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counted, and has so many commands.
    Counted(usize),
    /// It did not, on any broker.
    Dropped(Dropped),
}

/// How far a broker has applied the log.
pub struct Applied {
    sessions: Sessions,
    digests: Digests,
    commands: u64,
    /// The number of commands that were applied when the checkpoint was complete from which the broker is restored.
    complete_at: u64,
    differing: u64,
    /// The nonce of the generation under which the next record was written, if it is another one than the engine's.
    written_under: Option<u64>,
}

impl Default for Applied {
    fn default() -> Self {
        Self {
            sessions: Sessions::default(),
            digests: Digests::new(0),
            commands: 0,
            complete_at: 0,
            differing: 0,
            written_under: None,
        }
    }
}

impl Applied {
    /// Continues a checkpoint, whose topics were restored: with the sessions after the record behind which the log is
    /// read again, the number of commands up to that record, and the number that was applied when the checkpoint was
    /// complete.
    pub fn from_checkpoint(engine: &Engine, sessions: Sessions, commands: u64, complete_at: u64) -> Self {
        if commands > 0 {
            engine.pass(commands * 2);
        }
        if complete_at <= commands {
            engine.end_restoring();
        }
        Self { sessions, digests: Digests::new(commands), commands, complete_at, ..Self::default() }
    }

    /// The records from here on were written under the generation of this nonce, up to the next `generation` among them.
    ///
    /// To be called before the first record, if the engine is of a later generation than that record: the ends of topics
    /// that name an epoch name one of that generation. Without it a broker that reads them again comes to something else
    /// than one whose checkpoint already has them.
    pub fn written_under(&mut self, nonce: u64) {
        self.written_under = Some(nonce);
    }

    /// The sessions, for a checkpoint.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The number of commands that were applied, from the beginning of the log.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Whether a broker that was restored has applied all that its checkpoint may have in part. Before that nobody may
    /// see its topics.
    pub fn is_complete(&self) -> bool {
        self.commands >= self.complete_at
    }

    /// The digest of the newest whole block of commands, for this broker's beat.
    pub fn digest(&self) -> Option<Digest> {
        self.digests.newest()
    }

    /// How many beats had a digest that differs from this broker's own: the two have applied the same commands, and have
    /// come to something else.
    pub fn differing(&self) -> u64 {
        self.differing
    }

    /// Applies the next record of the log at `mono_us` of this broker's monotonic clock. Tells `done` what came of each
    /// command; `None` is for entries by which brokers tell each other about themselves.
    ///
    /// # Errors
    /// The record is damaged, or another version of the program wrote it. Nothing was applied, and the broker has to
    /// stop: others may have applied it.
    pub fn apply(
        &mut self,
        engine: &Engine,
        mono_us: u64,
        logged: Logged<'_>,
        mut done: impl FnMut(&Entry<'_>, Option<Result<Applying, Refusal>>),
    ) -> Result<Verdict, RecordError> {
        let record = Record::decode(logged.bytes)?;
        if let Err(dropped) = self.sessions.counts(logged.node, logged.position, &record) {
            return Ok(Verdict::Dropped(dropped));
        }
        for entry in &record.commands {
            let epoch = self.carried(engine, entry);
            let carried = match (entry, epoch.as_deref()) {
                (Entry::End { topic, only: Some((_, seq)) }, Some(epoch)) => {
                    Some(Entry::End { topic, only: Some((epoch, *seq)) })
                }
                _ => None,
            };
            let place = self.next_place();
            let result = command(carried.as_ref().unwrap_or(entry), |command| {
                engine.apply(At::place(place, logged.ts_us, mono_us), command)
            });
            engine.pass(place);
            if let Entry::Settings(settings) = entry {
                engine.adopt_settings(settings);
            }
            if let Entry::Generation { nonce, .. } = entry {
                self.written_under = Some(*nonce);
            }
            self.count(engine, entry, result.as_ref());
            done(entry, result);
        }
        Ok(Verdict::Counted(record.commands.len()))
    }

    /// Applies the next message of the log, if a program published it to the log itself.
    ///
    /// # Errors
    /// Those of a publish, also for what is not valid at all: all brokers refuse it alike.
    pub fn apply_inbound(&mut self, engine: &Engine, mono_us: u64, inbound: &Inbound<'_>) -> Result<Applying, Refusal> {
        let place = self.next_place();
        let at = At::place(place, inbound.ts_us, mono_us);
        let result = inbound.update().and_then(|update| engine.apply_inbound(at, inbound.data.len(), &update));
        engine.pass(place);
        self.count_change(engine, inbound.topic, &result);
        result
    }

    fn next_place(&self) -> u64 {
        (self.commands + 1) * 2
    }

    /// The epoch that an entry names, as the engine's generation has it; `None` if it names none of another generation.
    fn carried(&self, engine: &Engine, entry: &Entry<'_>) -> Option<Box<str>> {
        let own = engine.journal()?.nonce;
        let nonce = self.written_under.filter(|nonce| *nonce != own)?;
        let Entry::End { only: Some((epoch, _)), .. } = entry else { return None };
        carry_epoch(nonce, own, epoch)
    }

    /// Counts a command, and takes what came of it into the digest.
    fn count(&mut self, engine: &Engine, entry: &Entry<'_>, result: Option<&Result<Applying, Refusal>>) {
        if let (Entry::Publish { topic, .. } | Entry::End { topic, .. }, Some(result)) = (entry, result) {
            return self.count_change(engine, topic, result);
        }
        if self.counts_in_digest(engine) {
            if let Entry::Beat { digest: Some(digest), .. } = entry
                && self.digests.compare(*digest) == Compared::Differs
            {
                self.differing += 1;
            }
            self.digests.push("", "", 0, Outcome::Control);
        }
    }

    /// The same for a command that changes a topic.
    fn count_change(&mut self, engine: &Engine, topic: &str, result: &Result<Applying, Refusal>) {
        if !self.counts_in_digest(engine) {
            return;
        }
        match result {
            Ok(Applying::Published(done)) => {
                let outcome = if done.duplicate { Outcome::Duplicate } else { Outcome::Published };
                self.digests.push(done.topic.name(), done.topic.epoch(), done.seq, outcome);
            }
            Ok(Applying::Ended(done)) => {
                self.digests.push(done.topic.name(), done.topic.epoch(), done.seq, Outcome::Ended);
            }
            Ok(Applying::WentOn | Applying::Skipped) => _ = self.digests.push(topic, "", 0, Outcome::NotEnded),
            Err(refusal) => _ = self.digests.push(topic, "", 0, refused(refusal.code)),
        }
    }

    /// Counts a command. Returns whether what came of it belongs into the digest.
    fn counts_in_digest(&mut self, engine: &Engine) -> bool {
        let was_complete = self.is_complete();
        self.commands += 1;
        // What was skipped came to something that this broker does not know.
        if !was_complete && self.is_complete() {
            engine.end_restoring();
            self.digests = Digests::new(self.commands);
        }
        was_complete
    }
}

/// Passes an entry's command on, if it has one.
fn command<R>(entry: &Entry<'_>, apply: impl FnOnce(Command<'_>) -> R) -> Option<R> {
    match *entry {
        Entry::Publish { topic, kind, source, source_ts, data } => {
            let source = source.map(|(source, source_seq)| (Cow::Borrowed(source), source_seq));
            let update = Publication { topic: Cow::Borrowed(topic), kind, data, source, source_ts };
            Some(apply(Command::Publish(&update)))
        }
        Entry::End { topic, only } => Some(apply(Command::End { topic, only })),
        _ => None,
    }
}

fn refused(code: ErrorCode) -> Outcome {
    match code {
        ErrorCode::KindMismatch => Outcome::KindMismatch,
        ErrorCode::NoState => Outcome::NoState,
        ErrorCode::TooLarge => Outcome::TooLarge,
        ErrorCode::Limit => Outcome::Limit,
        ErrorCode::NotFound => Outcome::NotEnded,
        _ => Outcome::Invalid,
    }
}

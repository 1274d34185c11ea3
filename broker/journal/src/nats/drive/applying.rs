//! Applying what the log brings, and answering what this broker has sent.

use std::sync::atomic::Ordering;

use broker_engine::Verdict;
use broker_engine::journal::Journal;
use broker_engine::log::{Dropped, Entry};

use super::{Drive, End, Session};
use crate::nats::error::NatsError;
use crate::nats::reader::{Heard, Logged};
use crate::status::{add, set};

impl Drive {
    pub(super) fn take(&mut self, heard: Heard) -> Result<(), NatsError> {
        match heard {
            Heard::Logged(message) => self.apply(message),
            Heard::Alive => Ok(()),
            Heard::Lost(why) => {
                tracing::debug!(why, "the log's consumer is made anew");
                self.reader.close();
                self.read_again_us = 0;
                Ok(())
            }
        }
    }

    pub(super) fn apply(&mut self, message: Logged) -> Result<(), NatsError> {
        let engine = self.engine.clone();
        let (Some(journal), now) = (engine.journal(), (self.log.clock)()) else { return Ok(()) };
        let ts_us = message.ts_us;
        self.heard_us = (now.mono_us, now.wall_us);
        self.read = Some(message.read());
        set(&self.log.status.position, message.position);
        self.log.nats.log_end.fetch_max(message.position + message.pending, Ordering::Relaxed);
        add(&self.log.status.log_bytes, message.bytes.len() as u64);
        if let Some(topic) = self.log.options.topic_of(&message.subject) {
            self.programs.apply(&engine, &mut self.applied, &self.log.nats, now.mono_us, topic, &message);
            set(&self.log.status.commands, self.applied.commands());
            self.checkpointing.applied(message.bytes.len() as u64);
            return Ok(());
        }
        let Some(node) = self.log.options.node_of(&message.subject) else {
            if self.log.generation_of(&message)?.1 {
                self.end = Some(End::Again("another generation of the log has begun".into()));
            }
            return Ok(());
        };
        let is_own = node == self.log.options.node;
        let own = match self.session {
            Session::Opening(session) | Session::Open(session) => Some(session),
            Session::Closed { .. } => None,
        };
        // The bytes of a record have its session and its number, so equal ones are the same record.
        let mine = if is_own { self.writer.seen(&message.bytes) } else { None };
        let is_mine = mine.is_some();
        let mut waiting = mine.into_iter().flatten();
        let (answers, differing) = (&mut self.answers, self.applied.differing());
        let mut control = None;
        let logged = broker_engine::Logged { node, position: message.position, ts_us, bytes: &message.bytes };
        let verdict = self.applied.apply(&engine, now.mono_us, logged, |entry, result| {
            control = Control::of(entry).or(control.take());
            match (waiting.next(), result) {
                (Some(waiting), Some(result)) => answers.push(journal, waiting, result),
                (Some(waiting), None) => answers.settle(journal, &waiting),
                (None, _) => {}
            }
        });
        set(&self.log.status.commands, self.applied.commands());
        self.checkpointing.applied(message.bytes.len() as u64);
        match verdict {
            Err(error) => {
                return Err(NatsError::Record { position: message.position, node: node.into(), error });
            }
            Ok(Verdict::Dropped(dropped)) => {
                self.log.note_dropped(dropped);
                if is_mine {
                    return Err(self.superseded());
                }
                if is_own && dropped == Dropped::Ahead {
                    self.is_missing = true;
                }
                return Ok(());
            }
            Ok(Verdict::Counted(_)) => {}
        }
        if is_own && let Some(session) = own {
            let newest = self.applied.sessions().newest(node);
            let by_another = newest == Some(session) && !is_mine;
            if by_another || newest.is_some_and(|newest| newest > session) {
                return Err(self.superseded());
            }
            if self.session == Session::Opening(session) && newest == Some(session) {
                self.opened(journal, session);
            } else if is_mine && self.log.status.failed().is_some() {
                // The record that opens a session is short, and may fit into a log that is full.
                tracing::info!("the log takes records again");
                self.log.status.set_failed(None);
            }
        }
        match control {
            Some(Control::Beat) if !is_own => {
                let differs = self.applied.differing() > differing;
                self.compared(node.to_owned(), ts_us, differs);
            }
            Some(Control::CheckpointBegins) => {
                self.checkpointing.begins(&self.log, &engine, &self.applied, message.read().seen(), node);
            }
            Some(Control::Opens) => self.checkpointing.opens(node),
            Some(Control::Checkpoint) => {
                self.checkpointing.completed(&self.log);
                self.is_cut = true;
            }
            Some(Control::Settings) => self.compare_settings(),
            _ => {}
        }
        Ok(())
    }

    /// The session is open: publishes are taken in.
    pub(super) fn opened(&mut self, journal: &Journal, session: u64) {
        self.session = Session::Open(session);
        self.beat_us = 0;
        self.checkpointing.forget_asking();
        journal.gathering().begin(session);
        if journal.settings().is_none()
            && let Err(refusal) = self.engine.submit_settings(journal)
        {
            tracing::error!("the log does not take the settings: {}", refusal.message);
        }
    }

    pub(super) fn superseded(&self) -> NatsError {
        NatsError::Superseded { node: self.log.options.node.clone() }
    }

    pub(super) fn compared(&mut self, node: String, ts_us: u64, differs: bool) {
        self.peers.compared(&node, ts_us, differs);
        if differs {
            add(&self.log.nats.differing, 1);
            tracing::error!(
                node,
                "another broker has come to something else with the same log: one of them has a fault"
            );
        }
        self.log.nats.set_in_doubt(self.peers.is_in_doubt());
    }
}

/// What a control entry says, as far as it matters here.
#[derive(Debug, Clone, Copy)]
enum Control {
    Opens,
    Beat,
    CheckpointBegins,
    Checkpoint,
    Settings,
}

impl Control {
    fn of(entry: &Entry<'_>) -> Option<Self> {
        match entry {
            Entry::Open { .. } => Some(Control::Opens),
            Entry::Beat { digest: Some(_), .. } => Some(Control::Beat),
            Entry::CheckpointBegins { .. } => Some(Control::CheckpointBegins),
            Entry::Checkpoint { .. } => Some(Control::Checkpoint),
            Entry::Settings(_) => Some(Control::Settings),
            _ => None,
        }
    }
}

//! Commands: what publishers and operators ask for, and what the broker itself decides.
//!
//! A command is checked first, by what this broker knows at that moment, and then applied: only that changes anything.
//!
//! Commands have places where several brokers read them from one log. Then nothing decides but the command, its place,
//! the topics and the rules for them (`image_bytes`, the kinds of topics, the sources that a topic remembers): brokers
//! with the same rules that apply the same commands come to the same topics, epochs, sequences and refusals. What
//! bounds one broker alone (`topics_max`, the sums over all topics) was asked before the command got its place, and is
//! only counted here. Histories are each broker's own.

use std::sync::atomic::Ordering;

use broker_protocol::request::{Publication, Refusal};

use super::{Engine, Publisher, check_writable};
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::journal::unknown;
use crate::outcome::{Outcome, Published};

/// A change of topics.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// Publishes an update. A topic that does not exist begins with it.
    Publish(&'a Publication<'a>),
    /// Ends a topic.
    End {
        /// The topic's name.
        topic: &'a str,
        /// The epoch and the newest `seq` that it must still have; otherwise it goes on. `None`: it ends in any case.
        only: Option<(&'a str, u64)>,
    },
}

impl Command<'_> {
    /// The name of the topic that it changes.
    pub fn topic(&self) -> &str {
        match self {
            Command::Publish(update) => &update.topic,
            Command::End { topic, .. } => topic,
        }
    }
}

/// Where a command stands in the order of all commands, and when it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The even place at which a topic begins or ends; its update has the one behind it. `None`: the feed assigns the
    /// next ones.
    pub(super) place: Option<u64>,
    pub(super) ts_us: u64,
    pub(super) mono_us: u64,
}

impl At {
    /// Without a place of its own: the feed assigns the next one.
    pub fn next(now: Now) -> Self {
        Self { place: None, ts_us: now.wall_us, mono_us: now.mono_us }
    }

    /// At an even place above 0, which rises from command to command. `ts_us` is the time that all brokers note for it,
    /// in µs since the UNIX epoch; `mono_us` is this broker's own monotonic clock.
    pub fn place(place: u64, ts_us: u64, mono_us: u64) -> Self {
        debug_assert!(place.is_multiple_of(2), "{place} is the place of an update");
        Self { place: Some(place), ts_us, mono_us }
    }

    /// Whether this broker's own bounds were not asked yet, and may refuse the command.
    pub(super) fn is_bounded(&self) -> bool {
        self.place.is_none()
    }
}

impl Engine {
    /// Publishes an update: checks and applies it.
    ///
    /// # Errors
    /// `bad_topic`, `forbidden`, `kind_mismatch`, `no_state`, `too_large` and `limit`, each with an explanation. A
    /// refused update changes nothing.
    pub fn publish(&self, now: Now, update: &Publication<'_>, by: Publisher) -> Result<Published, Refusal> {
        check_writable(&update.topic, by)?;
        let applied = self.apply_publish(At::next(now), update)?;
        let Outcome::Published(published) = applied else { return Err(unknown()) };
        if by == Publisher::Client {
            self.last_publish_us.store(now.wall_us, Ordering::Relaxed);
        }
        Ok(published)
    }

    /// Applies a command that was checked.
    ///
    /// # Errors
    /// `kind_mismatch`, `no_state` and `too_large`, `not_found` for the end of a topic that does not exist, and `limit`
    /// for a command without a place. A refused command changes nothing.
    pub fn apply(&self, mut at: At, command: Command<'_>) -> Result<Outcome, Refusal> {
        if fault::strikes(Fault::ClockInApply) {
            at.ts_us = at.mono_us;
        }
        let result = match at.place {
            Some(place) if self.has_ended_by(command.topic(), place) => Ok(Outcome::Skipped),
            _ => match command {
                Command::Publish(update) => self.apply_publish(at, update),
                Command::End { topic, only } => self.apply_end(at, topic, only),
            },
        };
        if let Some(place) = at.place {
            self.pass(place);
            if let Ok(Outcome::Published(_)) = &result {
                self.last_publish_us.store(at.ts_us, Ordering::Relaxed);
            }
        }
        result
    }

    /// Passes a place: the last ordinal is then that of its update. Whatever comes of commands, and whoever follows
    /// their topics, it is the same on all brokers.
    pub fn pass(&self, place: u64) {
        self.feed.reach(place + 1);
    }
}

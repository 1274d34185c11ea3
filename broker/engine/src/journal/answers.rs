//! The way back: what came of commands, to whoever waits for it.

use std::sync::Arc;

use broker_protocol::request::Refusal;

use super::{Journal, Waiting};
use crate::feed::Feed;
use crate::outcome::Outcome;

/// Who waits for what comes of a command.
#[derive(Clone)]
pub enum ReplyTo {
    /// A connection of a shard.
    Connection {
        /// The shard.
        shard: usize,
        /// The connection's number there.
        conn: u32,
        /// Its session's number: the connection's own number may be another one's by then.
        session: u64,
        /// The command's index within its request.
        index: u32,
    },
    /// A shard, for those of its connections that wait for a barrier.
    Barrier {
        /// The shard.
        shard: usize,
    },
    /// Somebody else, who knows the command by this number.
    Waiter(Arc<dyn Waiter>, u64),
    /// Nobody.
    Nobody,
}

/// Somebody who waits for what comes of commands.
pub trait Waiter: Send + Sync {
    /// Called once for each command, in the order in which they were submitted, by the thread that applies the log: it
    /// must not wait.
    fn answered(&self, number: u64, result: Result<Outcome, Refusal>);
}

/// What is back from the log, for a shard.
pub enum Completion {
    /// What came of a connection's command.
    Command {
        /// The connection's number.
        conn: u32,
        /// Its session's number.
        session: u64,
        /// The command's index within its request.
        index: u32,
        /// What came of it.
        result: Result<Outcome, Refusal>,
    },
    /// The shard's barrier.
    Barrier {
        /// Whether it is back: all that was in the log before it is applied. Otherwise the log does not take it.
        is_back: bool,
    },
}

/// Answers on their way to the shards, gathered so that each shard is woken once for many.
#[derive(Default)]
pub struct Answers {
    by_shard: Vec<Vec<Completion>>,
}

impl Answers {
    /// Answers a command.
    pub fn push(&mut self, journal: &Journal, waiting: Waiting, result: Result<Outcome, Refusal>) {
        journal.gathering().settle(&waiting);
        match waiting.reply_to {
            ReplyTo::Connection { shard, conn, session, index } => {
                self.of(shard).push(Completion::Command { conn, session, index, result });
            }
            ReplyTo::Barrier { shard } => self.of(shard).push(Completion::Barrier { is_back: result.is_ok() }),
            ReplyTo::Waiter(waiter, number) => waiter.answered(number, result),
            ReplyTo::Nobody => {}
        }
    }

    /// Takes in that an entry stands in the log which changes nothing. Nobody is told but whoever waits for a barrier.
    pub fn settle(&mut self, journal: &Journal, waiting: &Waiting) {
        journal.gathering().settle(waiting);
        if let ReplyTo::Barrier { shard } = waiting.reply_to {
            self.of(shard).push(Completion::Barrier { is_back: true });
        }
    }

    fn of(&mut self, shard: usize) -> &mut Vec<Completion> {
        if self.by_shard.len() <= shard {
            self.by_shard.resize_with(shard + 1, Vec::new);
        }
        &mut self.by_shard[shard]
    }

    /// Delivers what was gathered, and wakes the shards that sleep.
    pub fn flush(&mut self, journal: &Journal, feed: &Feed) {
        for (shard, answers) in self.by_shard.iter_mut().enumerate().filter(|(_, answers)| !answers.is_empty()) {
            journal.deliver(shard, answers);
            feed.wake(shard).wake();
        }
    }
}

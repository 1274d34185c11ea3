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

/// What came of a connection's command.
pub struct Completion {
    pub(crate) conn: u32,
    pub(crate) session: u64,
    pub(crate) index: u32,
    pub(crate) result: Result<Outcome, Refusal>,
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
                if self.by_shard.len() <= shard {
                    self.by_shard.resize_with(shard + 1, Vec::new);
                }
                self.by_shard[shard].push(Completion { conn, session, index, result });
            }
            ReplyTo::Waiter(waiter, number) => waiter.answered(number, result),
            ReplyTo::Nobody => {}
        }
    }

    /// Takes in that an entry stands in the log which tells brokers about each other: nobody is told what came of it.
    pub fn settle(&mut self, journal: &Journal, waiting: &Waiting) {
        journal.gathering().settle(waiting);
    }

    /// Delivers what was gathered, and wakes the shards that sleep.
    pub fn flush(&mut self, journal: &Journal, feed: &Feed) {
        for (shard, answers) in self.by_shard.iter_mut().enumerate().filter(|(_, answers)| !answers.is_empty()) {
            journal.deliver(shard, answers);
            feed.wake(shard).wake();
        }
    }
}

//! The fan-out engine of Tickcast: who gets what, in which order, and what happens to subscribers that cannot keep up.
//!
//! To a client a topic is a log and a subscriber is a cursor. Inside, the broker is one log, the *feed*; each shard
//! reads it in order and copies what its subscribers want into one ring; a subscriber in step is a short list of runs
//! in that ring. A subscriber that falls out of step catches up from the topic, which keeps the image and the history.
//!
//! # The life of an update
//!
//! 1. [`Engine::publish`] assigns its `seq` under the topic's lock, encodes it once as the finished WebSocket frame
//!    that every subscriber will get, keeps it in the topic's history, and appends it to the [`feed`].
//! 2. Each [`Shard`] that is interested in the topic takes the entry in ([`Shard::take_in`]): the frame goes into the
//!    shard's ring, its range onto the runs of the topic's subscribers, each of which joins the queue of turns once.
//! 3. In its turn ([`Shard::turn`]) a connection gets everything that waits for it in one write.
//! 4. A connection for which too much waits loses its runs and keeps one small entry per topic: it catches up from
//!    there.
//!
//! # What it never does
//!
//! I/O, clocks, async: sockets are a [`Sink`], time is [`Now`], and the caller that drives a shard decides when it
//! runs.
//!
//! Modules build on each other in one direction, except for one circle: a topic counts itself in the sums of the
//! `budget`, and the sums know the largest topics, so that those give something up.
//!
//! Lock order: directory, then feed tail; topic, then feed tail. A topic's lock is never taken under the directory's.

mod applied;
mod budget;
mod clock;
mod directory;
mod engine;
mod epoch;
#[cfg(not(feature = "planted-faults"))]
mod fault;
#[cfg(feature = "planted-faults")]
pub mod fault;
pub mod feed;
mod history;
mod ids;
mod image;
mod in_force;
pub mod journal;
mod limits;
pub mod log;
mod names;
mod outcome;
mod pattern_counts;
mod publishers;
mod quota;
mod read;
mod shard;
mod shard_set;
mod sink;
mod sources;
mod sync;
mod topic;
mod trie;

pub use applied::{Applied, Verdict};
pub use budget::{Budget, Total};
pub use clock::Now;
pub use engine::{At, Command, Engine, Meanwhile, Places, Publisher, SavedTopic, SavedUpdate};
pub use epoch::carry_epoch;
pub use image::Tree;
pub use in_force::InForce;
pub use limits::{Limits, Retain, TopicRule};
pub use log::Logged;
pub use outcome::{Outcome, Published};
pub use publishers::{PublisherRow, Publishers};
pub use quota::{Bucket, Granted, Publishes, Quota, Rate, Rates, Refusals, SharedPublishes, Unfit, Wait};
pub use read::{Ask, HistoryPage, Image, Met, TopicRow, Walk};
pub use shard::detail::{Beginning, SubscriptionDetail};
pub use shard::forbidden::Forbidden;
pub use shard::snapshot::{Slowest, Snapshot};
pub use shard::stats::{BUCKETS, Cell, CloseCounts, ErrorCounts, Histogram, ShardStats};
pub use shard::{AuthRequest, ConnId, Shard};
pub use sink::{Encoding, Origin, Sink, Wrote};
pub use topic::Topic;

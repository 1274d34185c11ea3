//! The async Rust client of Tickcast.

mod backoff;
mod client;
mod codes;
mod connection_event;
mod continuity;
mod data;
mod error;
mod event;
mod hello;
mod options;
mod publish;
mod subscription;

pub use backoff::Backoff;
pub use client::{Client, Listed};
pub use codes::{ErrorCode, Kind};
pub use connection_event::{ConnectionEvent, ConnectionEvents};
pub use continuity::Violation;
pub use data::Data;
pub use error::{ClosedReason, ConnectError, PublishError, RequestError, SubscribeError, UnacknowledgedError};
pub use event::{EntryError, Event, GapReason, Start, TopicStart};
pub use hello::{Hello, Limits};
pub use options::Options;
pub use publish::{BatchAnswer, Publish, Published};
pub use subscription::{From, OnSlow, SubscribeBuilder, Subscription};

//! The async Rust client of Tickcast: subscribe, publish, reconnect, resume, prove continuity.
//!
//! [`Client::connect`] gives a handle; a task of its own holds the connection. It knows the protocol and nothing of the
//! broker's internals, and it never drops an update that came: a program that reads slowly makes the broker wait, and
//! the broker says what was lost.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use broker_client::{Client, Event, Publish};
//!
//! let client = Client::connect("ws://127.0.0.1:9000/v1/ws").await?;
//! let mut quotes = client.subscribe(["stocks.*.quote"]).send().await?;
//! client.publish(Publish::state("stocks.AAPL.quote", r#"{"bid":"189.10","ask":"189.12"}"#)).await?;
//! while let Some(event) = quotes.next().await {
//!     match event {
//!         Event::Image { topic, data, .. } | Event::Update { topic, data, .. } => println!("{topic} {data}"),
//!         Event::Gap { topic, from, to, .. } => println!("{topic}: {from} to {to} are lost"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a request and of an update
//!
//! ```text
//! publish, subscribe, … ──▶ outbox (bounded, in the order of the calls) ──▶ book: takes, numbers, remembers
//!                                                                            └─▶ frames, one write ──▶ socket
//! socket ──▶ reader: whole messages ──▶ wire::incoming ──▶ book: answers go to who asked,
//!                                                           updates through continuity to each subscription's queue
//! connection lost ──▶ driver: backoff, connect ──▶ book: restore what was subscribed, send again what may be sent again
//! ```
//!
//! | module | what |
//! |---|---|
//! | `client`, `subscription`, `publish`, `event`, `error`, `options` | what a program sees |
//! | `outbox`, `request` | what it asked for, waiting |
//! | `book` | requests without an answer, subscriptions, topics; no I/O |
//! | `continuity` | the proof for one topic that nothing was missed silently; pure |
//! | `driver`, `run`, `reconnect`, `backoff` | connection after connection |
//! | `transport` | one WebSocket connection |
//! | `wire` | messages as JSON |
//!
//! # What holds
//!
//! - **Continuity is checked**, per topic and epoch. What breaks the promise is an [`Event::Violation`].
//! - **After a reconnect every subscription goes on from its last update.** Topics resume from their own. Patterns, and
//!   topics in thousands, go on from the connection's last position, which the broker tells about once a second: that is one
//!   short request, and what it repeats is dropped here. What is no longer retained is an [`Event::Gap`]; a topic that was
//!   first published while the connection was away comes with everything that is retained of it; one that ended meanwhile
//!   is an [`Event::Closed`].
//! - **Where no position stands for a pattern** (none came yet, or the broker does not know them) its topics resume one by
//!   one, as far as the broker's limit on subscriptions leaves room; of the others an [`Event::Gap`] with
//!   [`GapReason::Disconnected`] names what is lost. A topic that is new comes whole, except where such a pattern had not
//!   yet brought in all its topics, or has more than can be resumed: then those that it finds begin as the subscription's
//!   [`From`] says.
//! - **When the picture is whole** is told by [`Event::Ready`], to a subscription that asks for it
//!   ([`SubscribeBuilder::ready`]).
//! - **What was acknowledged was published once and in order.** What was written and not acknowledged when a connection
//!   was lost is sent again if it has a [`source`](Publish::source), and is otherwise reported as
//!   [`Unanswered`](PublishError::Unanswered): it was published at most once.
//! - **A patch needs a state to change.** Where the topic has none, as after a restart of the broker, it is refused with
//!   [`NoState`](PublishError::NoState) (in a batch with [`ErrorCode::NoState`]): publish the whole state, then go on. A
//!   producer of states or patches does that whenever the client tells of a connection that replaces a lost one
//!   ([`ConnectionEvent::Connected`], `resumed`): the broker may have been restarted, and then has nothing.
//! - **A connection that is lost is replaced**, soon if it had everything again, and ever slower where connections do not
//!   last. The client ends for good only where the same client would end the same way: see [`ClosedReason`]. After
//!   [`Unauthenticated`](ClosedReason::Unauthenticated) make another client when there is another token.
//! - **Every queue has a bound** ([`Options`]). A full subscription queue stops the reading of the connection, so read
//!   each subscription in a task of its own, or use one client for publishing and another for subscribing.

mod backoff;
mod book;
mod client;
mod connection_event;
mod continuity;
mod data;
mod driver;
mod error;
mod event;
mod hello;
mod options;
mod outbox;
mod publish;
mod reconnect;
mod request;
mod run;
mod shared;
mod subscription;
mod transport;
mod wire;

pub use backoff::Backoff;
pub use broker_protocol::{ErrorCode, Kind};
pub use client::{Client, Listed};
pub use connection_event::{ConnectionEvent, ConnectionEvents};
pub use continuity::Violation;
pub use data::Data;
pub use error::{ClosedReason, ConnectError, PublishError, RequestError, SubscribeError, UnacknowledgedError};
pub use event::{EntryError, Event, GapReason, Start, TopicStart};
pub use hello::{Hello, Limits};
pub use options::Options;
pub use publish::{BatchAnswer, Publish, Published};
pub use shared::Counters;
pub use subscription::{From, OnSlow, SubscribeBuilder, Subscription};

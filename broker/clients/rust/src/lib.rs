//! The async Rust client of Tickcast: subscribe, publish, reconnect, resume, prove continuity.
//!
//! [`Client::connect`] returns a handle; a task of its own holds the connection. The client knows the protocol and
//! nothing of the broker's internals. It never drops an update that it received: a program that reads slowly makes the
//! broker wait, and the broker reports what was lost.
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
//!         Event::Gap { topic, from, to, .. } => println!("{topic}: {from} to {to} were lost"),
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
//! socket ──▶ reader: whole messages ──▶ wire::incoming ──▶ book: answers go to their callers,
//!                                                           updates through continuity to each subscription's queue
//! connection lost ──▶ driver: backoff, connect ──▶ book: restore what was subscribed, send again what may be sent again
//! ```
//!
//! Modules build on each other in one direction; here the ones above use those below.
//!
//! | module | what it is |
//! |---|---|
//! | `client`, `subscription`, `handle` | what a program holds and calls |
//! | `driver`, `run`, `renewal` | one connection after the other |
//! | `elsewhere`, `probe` | a better broker at another address |
//! | `course`, `addresses`, `reconnect` | whether, where and when the next attempt is made; no I/O |
//! | `book` | requests without an answer, subscriptions, topics; no I/O |
//! | `transport` | one WebSocket connection |
//! | `shared`, `outbox` | what the program's calls and the connection's task share |
//! | `request`, `batch` | what a program asked for, before and after it is written |
//! | `wire` | messages as JSON |
//! | `continuity` | the proof for one topic that nothing was missed silently; pure |
//! | `options`, `token`, `tls`, `backoff`, `subscribe_options`, `publish` | what a program sets |
//! | `hello`, `authenticated`, `event`, `connection_event`, `violation`, `error`, `data` | what it gets |
//!
//! # What holds
//!
//! - **Continuity is checked**, per topic and epoch. A breach of the promise is an [`Event::Violation`].
//! - **After a reconnect every subscription continues from its last update.** Topics resume from their own last update.
//!   Patterns, and topics in thousands, resume from the connection's last position, which the broker sends about once a
//!   second: that is one short request, and updates that it repeats are dropped here. Updates that are no longer
//!   retained are an [`Event::Gap`]. A topic that was first published while the connection was away comes with
//!   everything that is retained of it. One that ended in the meantime is an [`Event::Closed`].
//! - **If there is no position for a pattern** (none came yet, or the broker does not know them), its topics resume one
//!   by one, as far as the broker's limit on subscriptions leaves room. For the others, an [`Event::Gap`] with
//!   [`GapReason::Disconnected`] names what is lost. A new topic comes whole, with one exception: if such a pattern had
//!   not yet brought in all its topics, or has more than can be resumed, the topics that it finds begin as the
//!   subscription's [`From`] says.
//! - **When the picture is complete**, a subscription that asked for it ([`SubscribeBuilder::ready`]) gets an
//!   [`Event::Ready`].
//! - **An acknowledged update was published once and in order.** An update that was written but not acknowledged when
//!   the connection was lost is sent again if it has a [`source`](Publish::source). Otherwise it is reported as
//!   [`Unanswered`](PublishError::Unanswered): it was published at most once.
//! - **A patch needs a state to change.** If the topic has none, for example after a restart of the broker, the patch
//!   is refused with [`NoState`](PublishError::NoState) (in a batch with [`ErrorCode::NoState`]): publish the whole
//!   state, then continue with patches. A producer of states or patches should also do so whenever a connection
//!   replaces a lost one ([`ConnectionEvent::Connected`] with `resumed`): the broker may have been restarted, and then
//!   has no state.
//! - **A lost connection is replaced**, soon if everything had been restored on it, and more and more slowly if
//!   connections do not last. The client ends for good only if every further attempt would end the same way: see
//!   [`ClosedReason`].
//! - **Several addresses** ([`Options::any_of`]) are those of brokers that serve the same topics from one journal. An
//!   address that fails is followed by the next at once, and everything continues there as it would have at the first;
//!   there is a wait only when all have failed in a row, or when a broker asked for one. A broker that is cut off from
//!   its journal says that what it sends may be old ([`ConnectionEvent::Stale`]). Then the client tries each other
//!   address once, beside the connection that it has. The first broker that is not stale takes over; if all are, the
//!   client stays. It looks elsewhere in the same way when its broker is about to stop. A broker without the same
//!   journal has topics of its own: they begin anew, with [`Start::Reset`] and another epoch.
//! - **A token** ([`Options::token`]) is asked for before every attempt to connect, and again when the broker says that it
//!   ends soon; a renewal interrupts nothing. It is the first message of a connection, in one flight with what is
//!   restored, and only to a broker that knows tokens; publishes wait for the answer to it. A refused token is asked for
//!   once more, at once. After a second refusal in a row the client ends with
//!   [`Unauthenticated`](ClosedReason::Unauthenticated), so that neither the broker nor whoever issues the tokens is asked
//!   in a loop. No error and no log shows a token.
//! - **What is not allowed** ends with [`Event::Refused`], at once or later: an entry of a subscription, or a topic that
//!   a pattern has brought in, which stays. Everything else goes on.
//! - **Over a rate** ([`ErrorCode::RateLimited`]) a subscription is asked for again after the time that the broker names.
//!   A publish is not: only the program knows whether it has published something newer meanwhile.
//! - **Every queue has a bound** ([`Options`]). A full subscription queue stops the reading of the connection, so read
//!   each subscription in a task of its own, or use one client for publishing and another for subscribing.

mod addresses;
mod authenticated;
mod backoff;
mod batch;
mod book;
mod client;
mod connection_event;
mod continuity;
mod course;
mod data;
mod driver;
mod elsewhere;
mod error;
mod event;
mod handle;
mod hello;
mod options;
mod outbox;
mod probe;
mod publish;
mod reconnect;
mod renewal;
mod request;
mod run;
mod shared;
mod subscribe_options;
mod subscription;
mod sync;
mod tls;
mod token;
mod transport;
mod violation;
mod wire;

pub use authenticated::{Allow, Authenticated};
pub use backoff::Backoff;
pub use broker_protocol::{ErrorCode, Kind};
pub use client::Client;
pub use connection_event::{ConnectionEvent, ConnectionEvents};
pub use data::Data;
pub use error::{ClosedReason, ConnectError, PublishError, RequestError, SubscribeError, UnacknowledgedError};
pub use event::{EntryError, Event, GapReason, Start, TopicStart};
pub use hello::{Hello, Limits};
pub use options::Options;
pub use publish::{BatchAnswer, Publish, Published};
pub use shared::Counters;
pub use subscribe_options::{From, Listed, OnSlow};
pub use subscription::{SubscribeBuilder, Subscription};
pub use tls::Tls;
pub use token::{Token, TokenError};
pub use violation::Violation;

//! Messages from clients: PROTOCOL §3, and the lines of an NDJSON body.
//!
//! A message is scanned once, to its end, even if something in it is wrong: the `id` may come after the error, and text
//! that is not JSON is `bad_json` whatever else is wrong with it. Unknown fields are refused by name, because silently
//! ignoring an option would be worse. An error in one entry of `subscribe` or one update of a batch affects only that
//! one.

mod entry;
mod fields;
mod parse;
mod publication;

use std::borrow::Cow;

use crate::codes::ErrorCode;
use crate::data::Data;
use crate::kind::Kind;

pub use parse::{parse, parse_line};

/// The longest `id`, and the longest name of a `source`.
pub const ID_BYTES_MAX: usize = 64;

/// The values that `conflate_ms` is rounded up to; above the last it is the last.
pub const CONFLATE_LADDER_MS: [u32; 12] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// The `id` of a request: its JSON text, echoed byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// Returns the JSON text.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A well-formed message. Names in it are not yet checked.
#[derive(Debug, Clone)]
pub enum Request<'a> {
    /// Subscribe to topics and patterns.
    Subscribe(Subscribe<'a>),
    /// Unsubscribe from them.
    Unsubscribe {
        /// Echoed.
        id: Option<Id<'a>>,
        /// Topics and patterns as they were subscribed to.
        entries: Vec<Cow<'a, str>>,
    },
    /// Publish one update.
    Publish {
        /// Echoed; without one there is no answer except an error.
        id: Option<Id<'a>>,
        /// The update.
        update: Publication<'a>,
    },
    /// Publish many updates, in order; the valid ones even if others are invalid.
    Batch {
        /// Echoed; without one there is no answer except an error.
        id: Option<Id<'a>>,
        /// The updates, each with its error if it is invalid.
        updates: Vec<Result<Publication<'a>, Refusal>>,
    },
    /// Authenticate.
    Auth {
        /// Echoed.
        id: Option<Id<'a>>,
        /// The token.
        token: Cow<'a, str>,
    },
    /// Ask for the connection's subscriptions.
    List {
        /// Echoed.
        id: Option<Id<'a>>,
    },
    /// Ask for a sign of life.
    Ping {
        /// Echoed.
        id: Option<Id<'a>>,
    },
}

impl<'a> Request<'a> {
    /// Returns the request's `id`, if it has one.
    pub fn id(&self) -> Option<Id<'a>> {
        match self {
            Request::Subscribe(subscribe) => subscribe.id,
            Request::Unsubscribe { id, .. }
            | Request::Publish { id, .. }
            | Request::Batch { id, .. }
            | Request::Auth { id, .. }
            | Request::List { id }
            | Request::Ping { id } => *id,
        }
    }
}

/// The `subscribe` message.
#[derive(Debug, Clone)]
pub struct Subscribe<'a> {
    /// Echoed.
    pub id: Option<Id<'a>>,
    /// What to subscribe to.
    pub entries: Vec<SubscribeEntry<'a>>,
    /// How the entries that do not resume begin.
    pub from: From,
    /// At most one message per topic and interval: a step of [`CONFLATE_LADDER_MS`], or 0 for every update.
    pub conflate_ms: u32,
    /// What to do when the client does not keep up.
    pub on_slow: OnSlow,
    /// Whether to report when everything that was asked for has begun.
    pub ready: bool,
    /// Whether to send the connection its positions from now on.
    pub positions: bool,
    /// The position from which the entries without an `epoch` and `seq` of their own continue; then `from` is absent.
    pub resume: Option<u64>,
}

/// One entry of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscribeEntry<'a> {
    /// A topic or pattern, not yet checked.
    Plain(Cow<'a, str>),
    /// "I have everything of this topic up to `seq`."
    Resume {
        /// The topic, not yet checked.
        topic: Cow<'a, str>,
        /// The epoch that `seq` belongs to.
        epoch: Cow<'a, str>,
        /// The last update that the client has.
        seq: u64,
    },
    /// An invalid entry; the others take effect.
    Bad {
        /// The text to echo as its topic, of bounded length.
        entry: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
}

/// How a subscription begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum From {
    /// With the image if there is one.
    #[default]
    Image,
    /// With what is published next.
    Live,
    /// With up to this many retained updates; 0 means `Live`, except for topics that start with their image.
    Last(u64),
    /// With what came after this ordinal. No message has this form: the positions of Server-Sent Events and of `resume`
    /// become it.
    After(u64),
}

/// What to do for a client that does not keep up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnSlow {
    /// The image instead of what is pending, as soon as that is smaller.
    #[default]
    Conflate,
    /// Every update that is still retained.
    Retain,
    /// Close the connection as soon as it loses something.
    Disconnect,
}

impl OnSlow {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OnSlow::Conflate => "conflate",
            OnSlow::Retain => "retain",
            OnSlow::Disconnect => "disconnect",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(text: &str) -> Option<OnSlow> {
        [OnSlow::Conflate, OnSlow::Retain, OnSlow::Disconnect].into_iter().find(|on_slow| on_slow.as_str() == text)
    }
}

/// One update as its producer sent it.
#[derive(Debug, Clone)]
pub struct Publication<'a> {
    /// The topic, not yet checked.
    pub topic: Cow<'a, str>,
    /// The kind; if absent, the topic's own. If it is `patch`, `data` is an object without duplicate keys.
    pub kind: Option<Kind>,
    /// The value.
    pub data: Data<'a>,
    /// The source and its `source_seq`, by which a repeated update is recognised.
    pub source: Option<(Cow<'a, str>, u64)>,
    /// The producer's own time, carried to subscribers.
    pub source_ts: Option<u64>,
}

/// Why a request, or one of its entries, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the answer.
    pub code: ErrorCode,
    /// A sentence for the reader of the answer, of bounded length whatever the request was.
    pub message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal { code: ErrorCode::BadRequest, message: message.into() }
    }
}

impl std::convert::From<crate::json::SyntaxError> for Refusal {
    fn from(error: crate::json::SyntaxError) -> Refusal {
        Refusal { code: ErrorCode::BadJson, message: error.to_string() }
    }
}

impl std::convert::From<crate::data::DataError> for Refusal {
    fn from(error: crate::data::DataError) -> Refusal {
        Refusal { code: error.code(), message: error.to_string() }
    }
}

/// Rounds an interval up to a step of the ladder.
pub fn conflate_step_ms(asked_ms: u64) -> u32 {
    let last = CONFLATE_LADDER_MS[CONFLATE_LADDER_MS.len() - 1];
    match asked_ms {
        0 => 0,
        _ => CONFLATE_LADDER_MS.into_iter().find(|&step| u64::from(step) >= asked_ms).unwrap_or(last),
    }
}

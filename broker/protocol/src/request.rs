//! Messages from clients: PROTOCOL §3, and the lines of an NDJSON body.
//!
//! A message is scanned once, to its end, even where something in it is wrong: the `id` may stand behind the mistake,
//! and text that is no JSON at all is `bad_json` whatever else it is. Unknown fields are refused by name, because an
//! option that is silently not applied is worse. What is wrong with one entry of `subscribe` or one update of a batch
//! stays with it.

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

/// What `conflate_ms` is rounded up to; above the last it is the last.
pub const CONFLATE_LADDER_MS: [u32; 12] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// The `id` of a request: its JSON text, echoed byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The JSON text.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// The JSON text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A well-formed message. Names in it are not yet checked.
#[derive(Debug, Clone)]
pub enum Request<'a> {
    /// Begin to follow topics and patterns.
    Subscribe(Subscribe<'a>),
    /// Follow them no longer.
    Unsubscribe {
        /// Echoed.
        id: Option<Id<'a>>,
        /// Topics and patterns as they were subscribed.
        entries: Vec<Cow<'a, str>>,
    },
    /// Publish one update.
    Publish {
        /// Echoed; without one there is no answer but an error.
        id: Option<Id<'a>>,
        /// The update.
        update: Publication<'a>,
    },
    /// Publish many, in order; the good ones also where others are bad.
    Batch {
        /// Echoed; without one there is no answer but an error.
        id: Option<Id<'a>>,
        /// The updates, or why one is none.
        updates: Vec<Result<Publication<'a>, Refusal>>,
    },
    /// Show who one is.
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
    /// Whether to say when everything that was asked for has begun.
    pub ready: bool,
    /// Whether to tell the connection its positions from now on.
    pub positions: bool,
    /// The position that the entries without an `epoch` and `seq` of their own go on from; then `from` is absent.
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
    /// No entry; the others take effect.
    Bad {
        /// What to echo as its topic, bounded.
        entry: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
}

/// How a subscription begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum From {
    /// With the image where there is one.
    #[default]
    Image,
    /// With what is published next.
    Live,
    /// With up to so many retained updates; 0 is `Live` but for topics whose start is their image.
    Last(u64),
    /// With what came after this place in the broker's order. No message says so: Server-Sent Events resume from it.
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
    /// Close the connection as soon as something is lost to it.
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
    /// The kind; absent it is the topic's own. Where it is `patch`, `data` is an object without duplicate keys.
    pub kind: Option<Kind>,
    /// The value.
    pub data: Data<'a>,
    /// The source and its `source_seq`, by which an update that is sent again is known.
    pub source: Option<(Cow<'a, str>, u64)>,
    /// The producer's own time, carried to subscribers.
    pub source_ts: Option<u64>,
}

/// Why a request, or an entry of one, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the answer.
    pub code: ErrorCode,
    /// A sentence for the reader of the answer, bounded whatever the request was.
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

/// Rounds an interval up the ladder.
pub fn conflate_step_ms(asked_ms: u64) -> u32 {
    let last = CONFLATE_LADDER_MS[CONFLATE_LADDER_MS.len() - 1];
    match asked_ms {
        0 => 0,
        _ => CONFLATE_LADDER_MS.into_iter().find(|&step| u64::from(step) >= asked_ms).unwrap_or(last),
    }
}

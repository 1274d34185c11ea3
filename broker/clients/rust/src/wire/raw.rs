//! The types that serde deserializes. Strings borrow from the message if they have no escapes, and `data` keeps its
//! text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A string that is borrowed unless it contains escapes. (serde's own `Cow` is always owned inside an `Option`.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// A sequence number: below 2^53, so that arithmetic on one never overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Seq(pub(super) u64);

pub(super) const SEQ_MAX: u64 = (1 << 53) - 1;

impl TryFrom<u64> for Seq {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Seq, &'static str> {
        if number <= SEQ_MAX { Ok(Seq(number)) } else { Err("a number of 2^53 or more") }
    }
}

/// Only the `op` of a message, for messages that this version does not know.
#[derive(Deserialize)]
pub(super) struct Op<'a> {
    #[serde(borrow)]
    pub(super) op: Text<'a>,
}

/// Every field that a message may have. One flat struct needs one pass; which fields a message needs is checked
/// afterwards.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) op: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) topic: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) epoch: Option<Text<'a>>,
    pub(super) seq: Option<Seq>,
    pub(super) oldest: Option<Seq>,
    #[serde(borrow, default)]
    pub(super) start: Option<Text<'a>>,
    pub(super) conflate_ms: Option<u32>,
    pub(super) from: Option<Seq>,
    pub(super) to: Option<Seq>,
    pub(super) ts: Option<u64>,
    pub(super) source_ts: Option<u64>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) code: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) message: Option<Text<'a>>,
    pub(super) retry: Option<bool>,
    pub(super) duplicate: Option<bool>,
    pub(super) accepted: Option<u64>,
    pub(super) duplicates: Option<u64>,
    pub(super) after_ms: Option<u64>,
    /// Rows whose shape depends on the message: parsed in a second step.
    #[serde(borrow, default)]
    pub(super) rejected: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) topics: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) patterns: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) errors: Option<&'a RawValue>,
}

/// `data` may be `null`, which is not the same as no `data`.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A topic's row in `subscribed`.
#[derive(Deserialize)]
pub(super) struct StartRow<'a> {
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    #[serde(borrow, default)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) epoch: Option<Text<'a>>,
    pub(super) seq: Seq,
    pub(super) oldest: Seq,
    #[serde(borrow)]
    pub(super) start: Text<'a>,
    #[serde(default)]
    pub(super) conflate_ms: u32,
}

/// A pattern's row in `subscribed` and `subscriptions`.
#[derive(Deserialize)]
pub(super) struct PatternRow<'a> {
    #[serde(borrow)]
    pub(super) pattern: Text<'a>,
    #[serde(default)]
    pub(super) matched: u64,
    #[serde(default)]
    pub(super) conflate_ms: u32,
    #[serde(borrow, default)]
    pub(super) on_slow: Option<Text<'a>>,
}

/// A topic's row in `subscriptions`.
#[derive(Deserialize)]
pub(super) struct TopicRow<'a> {
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    #[serde(default)]
    pub(super) conflate_ms: u32,
    #[serde(borrow, default)]
    pub(super) on_slow: Option<Text<'a>>,
}

/// A refused entry in `subscribed`.
#[derive(Deserialize)]
pub(super) struct ErrorRow<'a> {
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    #[serde(borrow, default)]
    pub(super) message: Option<Text<'a>>,
    #[serde(default)]
    pub(super) retry: bool,
}

/// A refused update in `published` of a batch.
#[derive(Deserialize)]
pub(super) struct RejectedRow<'a> {
    pub(super) index: usize,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    #[serde(borrow, default)]
    pub(super) message: Option<Text<'a>>,
}

/// Fields of rare messages.
#[derive(Deserialize)]
pub(super) struct RareRow<'a> {
    pub(super) retry_ms: Option<u64>,
    pub(super) since: Option<u64>,
    #[serde(borrow, default)]
    pub(super) pattern: Option<Text<'a>>,
}

/// `hello`.
#[derive(Deserialize)]
pub(super) struct HelloRow {
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) server: String,
    #[serde(default)]
    pub(super) session: String,
    pub(super) heartbeat_ms: u64,
    #[serde(default)]
    pub(super) features: Vec<String>,
    #[serde(default)]
    pub(super) auth: Option<String>,
    #[serde(default)]
    pub(super) limits: crate::hello::Limits,
}

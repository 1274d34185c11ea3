//! One outgoing update: encoded and checked in the call that publishes it.

use std::fmt::Write as _;

use super::push_string;
use crate::error::PublishError;
use crate::publish::Publish;
use crate::{ErrorCode, Kind};

/// One update as a `publish` contains it, checked against the rules that do not need the broker: one bad update would
/// invalidate the message that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `{"topic":…,"kind":…,"data":…}`
    pub(super) json: Box<str>,
    /// It has a `source`, so sending it twice publishes it once.
    pub(crate) sourced: bool,
}

/// The bytes of a `publish` around its entry or entries, with the longest `id`.
pub(crate) const ENVELOPE_BYTES_MAX: usize = r#"{"op":"publish","id":18446744073709551615,"batch":[]}"#.len();

const SOURCE_BYTES_MAX: usize = 64;
const SEQ_MAX: u64 = (1 << 53) - 1;

impl Entry {
    /// Checks and encodes an update. The error is the code and message for [`PublishError::Invalid`].
    pub(crate) fn new(update: &Publish) -> Result<Entry, (ErrorCode, String)> {
        let bad_request = |why: String| Err((ErrorCode::BadRequest, why));
        broker_protocol::topic::check_topic(&update.topic).map_err(|error| (ErrorCode::BadTopic, error.to_string()))?;
        let data = broker_protocol::Data::check(&update.data).map_err(|error| (error.code(), error.to_string()))?;
        if update.kind == Some(Kind::Patch) && !data.is_object() {
            return bad_request("a patch must be a JSON object".to_owned());
        }
        let mut json = String::with_capacity(update.topic.len() + data.raw().len() + 96);
        json.push_str(r#"{"topic":"#);
        push_string(&mut json, &update.topic);
        if let Some(kind) = update.kind {
            let _ = write!(json, r#","kind":"{}""#, kind.as_str());
        }
        json.push_str(r#","data":"#);
        json.push_str(data.raw());
        if let Some((source, source_seq)) = &update.source {
            if source.len() > SOURCE_BYTES_MAX {
                return bad_request(format!("its source is longer than {SOURCE_BYTES_MAX} bytes"));
            }
            if *source_seq > SEQ_MAX {
                return bad_request("its source_seq is 2^53 or more".to_owned());
            }
            json.push_str(r#","source":"#);
            push_string(&mut json, source);
            let _ = write!(json, r#","source_seq":{source_seq}"#);
        }
        if let Some(source_ts) = update.source_ts {
            let _ = write!(json, r#","source_ts":{source_ts}"#);
        }
        json.push('}');
        Ok(Entry { json: json.into_boxed_str(), sourced: update.source.is_some() })
    }

    /// Its length in a batch, the comma included.
    pub(crate) fn bytes(&self) -> usize {
        self.json.len() + 1
    }

    /// The error for an entry that needs a larger message than the broker accepts. `index` is its index in the batch.
    pub(crate) fn too_large(&self, index: usize, message_bytes: u64) -> Option<PublishError> {
        let bytes = ENVELOPE_BYTES_MAX + self.bytes();
        (bytes as u64 > message_bytes).then(|| PublishError::TooLarge {
            index,
            topic: self.topic_and_kind().0,
            bytes,
            message_bytes,
        })
    }

    /// Its topic and kind, parsed from the JSON: only needed for errors.
    pub(crate) fn topic_and_kind(&self) -> (String, Option<Kind>) {
        #[derive(serde::Deserialize)]
        struct Head {
            topic: String,
            kind: Option<String>,
        }
        match serde_json::from_str::<Head>(&self.json) {
            Ok(head) => (head.topic, head.kind.as_deref().and_then(Kind::parse)),
            Err(_) => (String::new(), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_would_invalidate_a_batch_is_refused() {
        for (update, why) in [
            (Publish::event("a..b", "1"), "segment"),
            (Publish::event("a.*", "1"), "*"),
            (Publish::event("a", ""), ""),
            (Publish::event("a", "{}}"), ""),
            (Publish::event("a", "01"), ""),
            (Publish::event("a", "[".repeat(200)), ""),
            (Publish::patch("a", "[]"), "object"),
            (Publish::event("a", "1").source("s".repeat(65), 1), "64"),
            (Publish::event("a", "1").source("s", 1 << 53), "2^53"),
        ] {
            let (_, error) = Entry::new(&update).expect_err(&format!("{update:?}"));
            assert!(error.contains(why), "{error}");
        }
    }
}

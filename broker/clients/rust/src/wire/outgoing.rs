//! Requests to the broker, appended to a buffer as JSON.

use std::fmt::Write as _;

use super::entry::Entry;
use super::push_string;
use crate::ErrorCode;
use crate::continuity::Position;
use crate::event::EntryError;
use crate::subscribe_options::{From, OnSlow};
use crate::token::Secret;

/// An entry of a `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubscribeEntry {
    pub(crate) text: String,
    pub(crate) resume: Option<Position>,
}

impl SubscribeEntry {
    /// An upper bound of its length in the message. In an epoch, an escape is six bytes at most.
    pub(crate) fn bytes_max(&self) -> usize {
        let resume = self.resume.as_ref().map_or(0, |position| position.epoch.len() * 6 + 64);
        // Names were checked, and need no escapes.
        self.text.len() + resume + 3
    }

    /// The error for an entry that the broker would refuse in any case.
    pub(crate) fn check(&self) -> Option<EntryError> {
        let error = |code: ErrorCode, message: String| {
            Some(EntryError { entry: self.text.clone(), code, message, retry: false })
        };
        if broker_protocol::topic::is_pattern(&self.text) && self.resume.is_none() {
            match broker_protocol::Pattern::parse(&self.text) {
                Ok(_) => None,
                Err(wrong) => error(ErrorCode::BadPattern, wrong.to_string()),
            }
        } else {
            match broker_protocol::topic::check_topic(&self.text) {
                Ok(()) => None,
                Err(wrong) => error(ErrorCode::BadTopic, wrong.to_string()),
            }
        }
    }
}

/// The options of a `subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SubscribeOptions {
    pub(crate) from: From,
    pub(crate) conflate_ms: u32,
    pub(crate) on_slow: OnSlow,
    /// Asks for a `ready` when everything has begun.
    pub(crate) ready: bool,
    /// Asks for the connection's positions.
    pub(crate) positions: bool,
    /// The id of the position from which the entries resume; `from` is then not sent.
    pub(crate) resume: Option<u64>,
}

pub(crate) fn publish(out: &mut String, id: u64, entry: &Entry) {
    let _ = write!(out, r#"{{"op":"publish","id":{id},"#);
    // The entry is a JSON object: without its opening brace, its fields continue the request's.
    out.push_str(&entry.json[1..]);
}

pub(crate) fn publish_batch<'a>(out: &mut String, id: u64, entries: impl Iterator<Item = &'a Entry>) {
    let _ = write!(out, r#"{{"op":"publish","id":{id},"batch":["#);
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&entry.json);
    }
    out.push_str("]}");
}

pub(crate) fn subscribe(out: &mut String, id: u64, entries: &[SubscribeEntry], options: SubscribeOptions) {
    let _ = write!(out, r#"{{"op":"subscribe","id":{id},"topics":["#);
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match &entry.resume {
            None => push_string(out, &entry.text),
            Some(position) => {
                out.push_str(r#"{"topic":"#);
                push_string(out, &entry.text);
                out.push_str(r#","epoch":"#);
                push_string(out, &position.epoch);
                let _ = write!(out, r#","seq":{}}}"#, position.seq);
            }
        }
    }
    out.push(']');
    match (options.resume, options.from) {
        (Some(id), _) => drop(write!(out, r#","resume":"{id}""#)),
        (None, From::Image) => {}
        (None, From::Live) => out.push_str(r#","from":"live""#),
        (None, From::Last(last)) => drop(write!(out, r#","from":{{"last":{last}}}"#)),
    }
    if options.conflate_ms > 0 {
        let _ = write!(out, r#","conflate_ms":{}"#, options.conflate_ms);
    }
    match options.on_slow {
        OnSlow::Conflate => {}
        OnSlow::Retain => out.push_str(r#","on_slow":"retain""#),
        OnSlow::Disconnect => out.push_str(r#","on_slow":"disconnect""#),
    }
    for (name, asked) in [("ready", options.ready), ("positions", options.positions)] {
        if asked {
            let _ = write!(out, r#","{name}":true"#);
        }
    }
    out.push('}');
}

pub(crate) fn unsubscribe(out: &mut String, id: u64, entries: &[String]) {
    let _ = write!(out, r#"{{"op":"unsubscribe","id":{id},"topics":["#);
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, entry);
    }
    out.push_str("]}");
}

pub(crate) fn list(out: &mut String, id: u64) {
    let _ = write!(out, r#"{{"op":"list","id":{id}}}"#);
}

pub(crate) fn authenticate(out: &mut String, id: u64, token: &Secret) {
    let _ = write!(out, r#"{{"op":"auth","id":{id},"token":"#);
    push_string(out, token.expose());
    out.push('}');
}

pub(crate) fn ping(out: &mut String, id: u64) {
    let _ = write!(out, r#"{{"op":"ping","id":{id}}}"#);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::publish::Publish;
    use crate::wire::entry::ENVELOPE_BYTES_MAX;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn golden_requests() {
        let trade = Entry::new(
            &Publish::event("stocks.AAPL.trade", r#" {"px": 189.10} "#).source("nyse-a", 88_123).source_ts(17),
        )
        .unwrap();
        let plain = Entry::new(&Publish::new("a", "1.50")).unwrap();
        assert!(trade.sourced && !plain.sourced);
        assert_eq!(trade.topic_and_kind(), ("stocks.AAPL.trade".to_owned(), Some(Kind::Event)));
        assert_eq!(
            written(|out| publish(out, 3, &trade)),
            r#"{"op":"publish","id":3,"topic":"stocks.AAPL.trade","kind":"event","data":{"px": 189.10},"source":"nyse-a","source_seq":88123,"source_ts":17}"#
        );
        let batch = written(|out| publish_batch(out, u64::MAX, [&plain, &plain].into_iter()));
        assert_eq!(
            batch,
            r#"{"op":"publish","id":18446744073709551615,"batch":[{"topic":"a","data":1.50},{"topic":"a","data":1.50}]}"#
        );
        assert!(batch.len() <= ENVELOPE_BYTES_MAX + 2 * plain.bytes());

        let entries = [
            SubscribeEntry { text: "sports.*.score".into(), resume: None },
            SubscribeEntry { text: "a".into(), resume: Some(Position { epoch: "k\"9".into(), seq: 893 }) },
        ];
        assert_eq!(
            written(|out| subscribe(out, 1, &entries, SubscribeOptions::default())),
            r#"{"op":"subscribe","id":1,"topics":["sports.*.score",{"topic":"a","epoch":"k\"9","seq":893}]}"#
        );
        let options =
            SubscribeOptions { from: From::Last(5), conflate_ms: 100, on_slow: OnSlow::Retain, ..Default::default() };
        assert_eq!(
            written(|out| subscribe(out, 2, &entries[..1], options)),
            r#"{"op":"subscribe","id":2,"topics":["sports.*.score"],"from":{"last":5},"conflate_ms":100,"on_slow":"retain"}"#
        );
        let options = SubscribeOptions { ready: true, positions: true, resume: Some(1_795_404_341_365_597), ..options };
        assert_eq!(
            written(|out| subscribe(out, 3, &entries[..1], options)),
            r#"{"op":"subscribe","id":3,"topics":["sports.*.score"],"resume":"1795404341365597","conflate_ms":100,"on_slow":"retain","ready":true,"positions":true}"#
        );
        assert_eq!(
            written(|out| unsubscribe(out, 4, &["a".into(), "b".into()])),
            r#"{"op":"unsubscribe","id":4,"topics":["a","b"]}"#
        );
        assert_eq!(written(|out| ping(out, 5)), r#"{"op":"ping","id":5}"#);
        assert_eq!(written(|out| list(out, 6)), r#"{"op":"list","id":6}"#);
    }
}

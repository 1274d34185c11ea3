//! Tickcast's protocol, as described in `broker/docs/protocol.md`.
//!
//! Updates, images and gaps are read by the order in which the broker writes their fields: a load that parsed JSON
//! would be the slower end. A message that is not recognised that way is parsed properly; none is skipped.

use std::io::Write as _;

use serde::Deserialize;

use super::{After, Entry, Options, Received};
use crate::payload::number;

pub(super) fn subscribe(out: &mut Vec<u8>, entries: &[Entry<'_>], options: &Options) {
    out.extend(br#"{"op":"subscribe","id":1,"topics":["#);
    for (index, entry) in entries.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let written = match entry.has {
            Some((epoch, seq)) => {
                write!(out, r#"{comma}{{"topic":"{}","epoch":"{epoch}","seq":{seq}}}"#, entry.name)
            }
            None => write!(out, r#"{comma}"{}""#, entry.name),
        };
        written.expect("memory takes everything");
    }
    out.push(b']');
    let Options { conflate_ms, on_slow, from } = options;
    // `from` may be an object.
    let from = from.as_deref().map(|from| if from.starts_with('{') { from.to_owned() } else { format!("\"{from}\"") });
    let parts = [
        from.map(|from| format!(r#","from":{from}"#)),
        (*conflate_ms > 0).then(|| format!(r#","conflate_ms":{conflate_ms}"#)),
        on_slow.as_deref().map(|on_slow| format!(r#","on_slow":"{on_slow}""#)),
    ];
    parts.into_iter().flatten().for_each(|part| out.extend(part.as_bytes()));
    out.push(b'}');
}

pub(super) fn publish(out: &mut Vec<u8>, topic: &str, kind: &str, payload: &[u8]) {
    out.extend(br#"{"op":"publish",""#);
    update(out, topic, kind, payload);
}

/// Adds an update to a batch, which is begun with the first.
pub(super) fn batch(out: &mut Vec<u8>, topic: &str, kind: &str, payload: &[u8]) {
    out.extend(if out.is_empty() { &br#"{"op":"publish","batch":[{""#[..] } else { br#",{""# });
    update(out, topic, kind, payload);
}

fn update(out: &mut Vec<u8>, topic: &str, kind: &str, payload: &[u8]) {
    out.extend(br#"topic":""#);
    out.extend(topic.as_bytes());
    out.extend(br#"","kind":""#);
    out.extend(kind.as_bytes());
    out.extend(br#"","data":"#);
    out.extend(payload);
    out.push(b'}');
}

pub(super) fn decode(message: &[u8], each: &mut impl FnMut(Received<'_>)) {
    match quick(message) {
        Some(received) => each(received),
        None => slow(message, each),
    }
}

/// The rest of a message.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Skips a text whose length is known to the compiler: a comparison or two instead of a call.
    fn skip<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (begin, rest) = self.0.split_first_chunk::<N>()?;
        (begin == text).then(|| self.0 = rest)
    }

    fn until_quote(&mut self) -> Option<&'a [u8]> {
        let at = memchr::memchr(b'"', self.0)?;
        let (found, rest) = self.0.split_at(at);
        self.0 = &rest[1..];
        Some(found)
    }

    fn field<const N: usize>(&mut self, name: &[u8; N]) -> Option<u64> {
        self.skip(name)?;
        let (value, rest) = number(self.0)?;
        self.0 = rest;
        Some(value)
    }

    /// Everything up to the brace that ends the message.
    fn data(&mut self) -> Option<&'a [u8]> {
        self.field(br#","source_ts":"#);
        self.skip(br#","data":"#)?;
        self.0.strip_suffix(b"}")
    }
}

fn quick(message: &[u8]) -> Option<Received<'_>> {
    let mut at = Text(message);
    if at.skip(br#"{"op":"update","topic":""#).is_some() || at.skip(br#"{"op":"patch","topic":""#).is_some() {
        let topic = at.until_quote()?;
        let from = at.field(br#","from":"#);
        let seq = at.field(br#","seq":"#)?;
        let ts_us = at.field(br#","ts":"#)?;
        return Some(Received::Update { topic, seq: Some(seq), from, ts_us, data: at.data()? });
    }
    if at.skip(br#"{"op":"image","topic":""#).is_some() {
        let topic = at.until_quote()?;
        at.skip(br#","epoch":""#)?;
        at.until_quote()?;
        let seq = at.field(br#","seq":"#)?;
        let ts_us = at.field(br#","ts":"#)?;
        return Some(Received::Image { topic, seq, ts_us, data: at.data()? });
    }
    at.skip(br#"{"op":"gap","topic":""#)?;
    let topic = at.until_quote()?;
    let from = at.field(br#","from":"#)?;
    Some(Received::Gap { topic, from, to: at.field(br#","to":"#)? })
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    op: &'a str,
    #[serde(default)]
    topic: &'a str,
    #[serde(default)]
    epoch: Option<&'a str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    to: u64,
    #[serde(default)]
    ts: u64,
    #[serde(default)]
    start: &'a str,
    #[serde(default)]
    message: String,
    #[serde(default, borrow)]
    topics: Vec<Start<'a>>,
    #[serde(default)]
    errors: Vec<Wrong>,
    #[serde(default, borrow)]
    data: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Start<'a> {
    topic: &'a str,
    #[serde(default)]
    epoch: Option<&'a str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    start: &'a str,
}

#[derive(Deserialize)]
struct Wrong {
    #[serde(default)]
    message: String,
}

fn slow(message: &[u8], each: &mut impl FnMut(Received<'_>)) {
    let parsed: Message<'_> = match serde_json::from_slice(message) {
        Ok(parsed) => parsed,
        Err(error) => {
            let text = String::from_utf8_lossy(&message[..message.len().min(200)]);
            return each(Received::Refused(format!("not a message of the protocol ({error}): {text}")));
        }
    };
    let topic = parsed.topic.as_bytes();
    let data = parsed.data.map_or(&b""[..], |data| data.get().as_bytes());
    match parsed.op {
        "update" | "patch" => {
            each(Received::Update { topic, seq: Some(parsed.seq), from: parsed.from, ts_us: parsed.ts, data });
        }
        "image" => each(Received::Image { topic, seq: parsed.seq, ts_us: parsed.ts, data }),
        "gap" => each(Received::Gap { topic, from: parsed.from.unwrap_or_default(), to: parsed.to }),
        "topic" => each(begins(topic, parsed.epoch, parsed.seq, parsed.start)),
        "closed" => each(Received::Closed { topic }),
        "subscribed" => {
            for start in &parsed.topics {
                each(begins(start.topic.as_bytes(), start.epoch, start.seq, start.start));
            }
            for wrong in parsed.errors {
                each(Received::Refused(wrong.message));
            }
            each(Received::Subscribed);
        }
        "error" => each(Received::Refused(parsed.message)),
        _ => {}
    }
}

fn begins<'a>(topic: &'a [u8], epoch: Option<&'a str>, seq: u64, start: &str) -> Received<'a> {
    let after = match start {
        "live" => After::Seq(seq),
        "resumed" => After::Last,
        // After a reset within an epoch a gap names the missing updates; a new epoch, which the stream notices, starts
        // anew.
        "reset" => After::Last,
        _ => After::Anything,
    };
    Received::Begins { topic, epoch: epoch.unwrap_or_default(), after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(message: &str) -> Vec<String> {
        let mut all = Vec::new();
        decode(message.as_bytes(), &mut |received| all.push(format!("{received:?}")));
        all
    }

    #[test]
    fn the_quick_reader_agrees_with_the_slow_one() {
        let messages = [
            r#"{"op":"update","topic":"a.b","seq":881,"ts":1732270000123999,"data":{"bid":"1"}}"#,
            r#"{"op":"update","topic":"a.b","from":3,"seq":881,"ts":1732270000123999,"source_ts":5,"data":[1,{}]}"#,
            r#"{"op":"patch","topic":"a","seq":1,"ts":2,"data":{}}"#,
            r#"{"op":"image","topic":"a.b","epoch":"k9","seq":880,"ts":12,"data":{"x":"}"}}"#,
            r#"{"op":"gap","topic":"a","from":894,"to":1009,"reason":"slow"}"#,
        ];
        for message in messages {
            let fast = quick(message.as_bytes()).map(|received| format!("{received:?}"));
            let mut parsed = Vec::new();
            slow(message.as_bytes(), &mut |received| parsed.push(format!("{received:?}")));
            assert_eq!(fast.as_ref(), parsed.first(), "{message}");
        }
        let other = r#"{ "seq": 7, "op": "update", "topic": "a", "ts": 1, "data": 1, "news": 3 }"#;
        assert_eq!(received(other).len(), 1, "another order of the fields is understood as well");
    }

    #[test]
    fn answers_contain_where_streams_begin_and_what_was_refused() {
        let answer = r#"{"op":"subscribed","id":1,"topics":[
            {"topic":"a","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"live","conflate_ms":0},
            {"topic":"b","kind":"state","epoch":"e","seq":9,"oldest":1,"start":"image","conflate_ms":0}],
            "patterns":[],"errors":[{"topic":"x..","code":"bad_topic","message":"no","retry":false}]}"#;
        assert_eq!(
            received(answer),
            [
                r#"Begins { topic: [97], epoch: "", after: Seq(0) }"#,
                r#"Begins { topic: [98], epoch: "e", after: Anything }"#,
                r#"Refused("no")"#,
                "Subscribed",
            ]
        );
        assert!(received("nonsense")[0].starts_with("Refused"), "invalid JSON is reported");
    }
}

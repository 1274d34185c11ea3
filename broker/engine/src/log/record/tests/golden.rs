//! The bytes of each entry, written by hand: a log outlives the program that wrote it.

use std::borrow::Cow;

use broker_protocol::{Data, Kind, Pattern, Publication};

use super::super::{Entry, Record, RecordWriter, Rule, Settings};
use super::{alone, decode};
use crate::log::digest::Digest;

/// Version 1, session 0x0102, record 0, one command.
const HEAD: &[u8] = &[1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

fn data(text: &str) -> Data<'_> {
    Data::check(text).expect("valid")
}

#[track_caller]
fn check(entry: &Entry<'_>, parts: &[&[u8]]) {
    let expected = [HEAD, &parts.concat()].concat();
    assert_eq!(alone(entry), expected);
    let record = decode(&expected).expect("valid");
    assert_eq!((record.session, record.number), (0x0102, 0));
    assert_eq!(format!("{:?}", record.commands), format!("{:?}", [entry]));
}

#[test]
fn publish() {
    let entry = |kind, source, source_ts, data| Entry::Publish { topic: "a.b", kind, source, source_ts, data };
    check(&entry(None, None, None, data("1")), &[&[1, 0, 3], b"a.b", &[1], b"1"]);
    check(&entry(Some(Kind::Event), None, None, data("1")), &[&[1, 1, 3], b"a.b", &[1], b"1"]);
    check(&entry(Some(Kind::State), None, None, data("1")), &[&[1, 2, 3], b"a.b", &[1], b"1"]);
    let patch = data(r#"{"a b":null}"#);
    check(&entry(Some(Kind::Patch), None, None, patch), &[&[1, 3, 3], b"a.b", &[12], br#"{"a b":null}"#]);
    check(&entry(None, None, Some(300), data("1")), &[&[1, 8, 3], b"a.b", &[0xac, 2, 1], b"1"]);
    let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    check(
        &entry(Some(Kind::State), Some(("feed é", (1 << 53) - 1)), Some(0), data("[1.50,-0]")),
        &[&[1, 14, 3], b"a.b", &[7], "feed é".as_bytes(), &largest, &[0, 9], b"[1.50,-0]"],
    );
    let long = format!("\"{}\"", "x".repeat(298));
    check(&entry(None, None, None, data(&long)), &[&[1, 0, 3], b"a.b", &[0xac, 2], long.as_bytes()]);
}

#[test]
fn end() {
    check(&Entry::End { topic: "a.b", only: None }, &[&[2, 3], b"a.b", &[0]]);
    let only = Some(("7Zx", 128));
    check(&Entry::End { topic: "a.b", only }, &[&[2, 3], b"a.b", &[1, 3], b"7Zx", &[0x80, 1]]);
}

#[test]
fn control() {
    check(&Entry::Open { node: "n-1", session: 0x0102 }, &[&[3, 3], b"n-1", &[0x82, 2]]);
    let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let beat = |digest| Entry::Beat { node: "a.example", position: u64::MAX, digest };
    check(&beat(None), &[&[4, 9], b"a.example", &largest, &[0]]);
    let digest = Digest { block: 9, value: 0x0102_0304_0506_0708 };
    check(&beat(Some(digest)), &[&[4, 9], b"a.example", &largest, &[1, 9, 8, 7, 6, 5, 4, 3, 2, 1]]);
    check(&Entry::CheckpointBegins { node: "n" }, &[&[5, 1], b"n"]);
    check(&Entry::Checkpoint { position: 127, object: "cp-127" }, &[&[6, 127, 6], b"cp-127"]);
    let generation = Entry::Generation { nonce: 0x0102_0304_0506_0708, rules: 1 };
    check(&generation, &[&[7, 8, 7, 6, 5, 4, 3, 2, 1, 1]]);
    check(&Entry::Barrier, &[&[9]]);
}

#[test]
fn settings() {
    let rule = |pattern, kind| Rule { pattern: Pattern::parse(pattern).expect("valid"), kind };
    let rules = vec![rule("a.*", Some(Kind::Event)), rule(">", None)];
    let settings =
        Settings { image_bytes: 1, message_bytes: 2, topics_max: 3, images_bytes_max: 4, topic_sources: 16, rules };
    check(&Entry::Settings(settings), &[&[8, 1, 2, 3, 4, 16, 2, 3], b"a.*", &[1, 1], b">", &[0]]);
}

#[test]
fn what_a_broker_gathers() {
    let mut writer = RecordWriter::new(u64::MAX, 5);
    assert!(writer.is_empty());
    assert_eq!(writer.len(), 21);
    let update = |text| Publication {
        topic: Cow::Borrowed("t"),
        kind: Some(Kind::Event),
        data: data(text),
        source: Some((Cow::Borrowed("s"), 7)),
        source_ts: None,
    };
    writer.push(&update("1")).expect("valid");
    // White space goes: here the length becomes shorter, then the length of the length as well.
    writer.push(&update(" [ 1 , \" \" ] ")).expect("valid");
    let long = format!("[ 1{}, 2 ]", " ".repeat(300));
    writer.push(&update(&long)).expect("valid");
    writer.add(&Entry::End { topic: "t", only: None }).expect("valid");
    assert!(!writer.is_empty());
    let len = writer.len();
    assert!(writer.is_full(len) && !writer.is_full(len + 1));
    let bytes = writer.finish();
    assert_eq!(bytes.len(), len);
    let one = [1, 5, 1, b't', 1, b's', 7];
    let expected = [
        &[1, 255, 255, 255, 255, 255, 255, 255, 255, 5, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0][..],
        &[&one[..], &[1], b"1"].concat(),
        &[&one[..], &[7], b"[1,\" \"]"].concat(),
        &[&one[..], &[5], b"[1,2]"].concat(),
        &[2, 1, b't', 0],
    ];
    assert_eq!(bytes, expected.concat());
    let record = decode(&bytes).expect("valid");
    assert_eq!((record.session, record.number, record.commands.len()), (u64::MAX, 5, 4));
}

#[test]
fn texts_are_spans_of_the_record() {
    let bytes =
        alone(&Entry::Publish { topic: "a", kind: None, source: Some(("s", 1)), source_ts: None, data: data("[1]") });
    let record = Record::decode(&bytes).expect("valid");
    let [Entry::Publish { topic, source: Some((source, _)), data, .. }] = &record.commands[..] else {
        panic!("{record:?}")
    };
    let span = bytes.as_ptr_range();
    for text in [*topic, *source, data.raw()] {
        assert!(span.contains(&text.as_ptr()), "{text} was copied");
    }
}

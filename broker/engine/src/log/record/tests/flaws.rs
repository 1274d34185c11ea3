//! What is refused, with what error: read, and where a writer could get it, written.

use std::borrow::Cow;
use std::error::Error as _;

use broker_protocol::{Data, Kind, Publication};

use super::super::{COMMANDS_MAX, EXACT_MAX, Entry, Flaw, Record, RecordError, RecordWriter, Settings};
use super::{alone, encode};

/// A record of session 1 with this number, and bytes in place of its commands.
fn record(number: u64, count: u32, commands: &[&[u8]]) -> Vec<u8> {
    let number = number.to_le_bytes();
    [&[1][..], &1u64.to_le_bytes(), &number, &count.to_le_bytes(), &commands.concat()].concat()
}

fn error_of(bytes: &[u8]) -> RecordError {
    Record::decode(bytes).expect_err("it is damaged")
}

#[track_caller]
fn refused(commands: &[&[u8]], text: &str) {
    match error_of(&record(0, 1, commands)) {
        error @ RecordError::DamagedEntry { entry: 0, .. } => {
            assert_eq!(error.to_string(), "entry 0 of the record is damaged");
            let flaw = error.source().expect("it says why").to_string();
            assert!(flaw.contains(text), "{flaw}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_version_is_not_damage() {
    for version in [0, 2, 255] {
        let error = error_of(&[&[version][..], &record(0, 0, &[])[1..]].concat());
        assert_eq!(error, RecordError::UnknownVersion { version });
    }
    assert_eq!(error_of(&[9]), RecordError::UnknownVersion { version: 9 });
    for kind in [0, 10, 255] {
        let end = [2, 1, b'a', 0];
        assert_eq!(error_of(&record(0, 2, &[&end, &[kind]])), RecordError::UnknownKind { entry: 1, kind });
    }
}

#[test]
fn heads() {
    assert_eq!(error_of(&[]), RecordError::DamagedHead(Flaw::TooShort));
    let most = u32::try_from(COMMANDS_MAX).expect("few");
    assert_eq!(error_of(&record(0, most, &[])), RecordError::DamagedEntry { entry: 0, flaw: Flaw::TooShort });
    let flaw = Flaw::TooMany { what: "commands", count: u64::from(most) + 1, max: COMMANDS_MAX };
    assert_eq!(error_of(&record(0, most + 1, &[])), RecordError::DamagedHead(flaw));
    assert!(Record::decode(&record(EXACT_MAX, 0, &[])).is_ok());
    assert!(matches!(error_of(&record(EXACT_MAX + 1, 0, &[])), RecordError::DamagedHead(Flaw::TooLarge { .. })));
    assert_eq!(error_of(&record(0, 0, &[&[0, 0]])), RecordError::TrailingBytes { bytes: 2 });
}

#[test]
fn entries() {
    let source = [&[1, 4, 1, b'a', 65][..], &[b's'; 65], &[1, 1, b'1']].concat();
    let table: &[(&[&[u8]], &str)] = &[
        (&[&[1, 0x10, 1, b'a', 1, b'1']], "flags 0x10"),
        (&[&[1, 0, 0, 1, b'1']], "the name is empty"),
        (&[&[1, 0, 3], b"a.*", &[1, b'1']], "is a pattern"),
        (&[&[1, 0, 1, 0xff, 1, b'1']], "the topic is not UTF-8"),
        (&[&[1, 0, 0x81, 0, b'a', 1, b'1']], "longer than necessary"),
        (&[&[1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]], "above 64 bits"),
        (&[&[1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, b'a']], "ends within"),
        (&[&[1, 0, 1, b'a', 9], b"1"], "ends within"),
        (&[&[1, 0, 1, b'a', 0]], "invalid JSON"),
        (&[&[1, 0, 1, b'a', 2], b"[,"], "invalid JSON"),
        (&[&[1, 0, 1, b'a', 2], b"1 "], "white space"),
        (&[&[1, 0, 1, b'a', 5], b"[1, 2"], "invalid JSON"),
        (&[&[1, 0, 1, b'a', 10], b"[\"a b\", 2]"], "white space"),
        (&[&[1, 3, 1, b'a', 1], b"1"], "must be an object"),
        (&[&[1, 3, 1, b'a', 13], b"{\"a\":1,\"a\":2}"], "given twice"),
        (&[&source], "the source has 65 bytes"),
        (&[&[1, 8, 1, b'a', 128, 128, 128, 128, 128, 128, 128, 16, 1, b'1']], "source_ts is 9007199254740992"),
        (&[&[2, 1, b'a', 2]], "flags 0x2"),
        (&[&[2, 1, b'a', 1, 0, 1]], "the epoch must be 1 to 32"),
        (&[&[2, 1, b'a', 1, 1, b'e', 128, 128, 128, 128, 128, 128, 128, 16]], "seq is 9007199254740992"),
        (&[&[3, 1, b'/', 1]], "the broker's name must be 1 to 64"),
        (&[&[3, 1, b'n', 2]], "opens session 2 in record 0 of session 1"),
        (&[&[4, 1, b'n', 0, 3]], "flags 0x3"),
        (&[&[4, 1, b'n', 0, 1, 0, 1, 2, 3, 4, 5, 6, 7]], "ends within"),
        (&[&[5, 0]], "the broker's name must be"),
        (&[&[6, 1, 4], b"../a"], "the checkpoint's object must be"),
        (&[&[8, 1, 1, 1, 1, 1, 0x81, 0x20]], "there are 4097 rules"),
        (&[&[8, 1, 1, 1, 1, 1, 1, 2, b'>', b'>', 0]], "mixes a wildcard"),
        (&[&[8, 1, 1, 1, 1, 1, 1, 1, b'>', 4]], "flags 0x4"),
    ];
    for (commands, text) in table {
        refused(commands, text);
    }
}

#[test]
fn one_control_entry_at_its_place() {
    let (open, beat) = ([3, 1, b'n', 1], [4, 1, b'n', 0, 0]);
    let second = RecordError::DamagedEntry { entry: 1, flaw: Flaw::SecondControl };
    assert_eq!(error_of(&record(0, 2, &[&open, &beat])), second);
    let misplaced = Flaw::MisplacedOpen { opened: 1, session: 1, number: 7 };
    assert_eq!(error_of(&record(7, 1, &[&open])), RecordError::DamagedEntry { entry: 0, flaw: misplaced });
    let bytes = record(0, 2, &[&[2, 1, b'a', 0], &open]);
    assert_eq!(Record::decode(&bytes).expect("valid").opens(), Some("n"));
    assert_eq!(Record::decode(&record(0, 1, &[&beat])).expect("valid").opens(), None);
}

#[test]
fn a_writer_refuses_what_readers_would() {
    let mut writer = RecordWriter::new(1, 0);
    let update = |topic, source, source_ts| Publication {
        topic: Cow::Borrowed(topic),
        kind: None,
        data: Data::check("1").expect("valid"),
        source,
        source_ts,
    };
    assert!(matches!(writer.push(&update("a.>", None, None)), Err(Flaw::Topic(_))));
    let long = Some((Cow::Owned("s".repeat(65)), 1));
    assert_eq!(writer.push(&update("a", long, None)), Err(Flaw::Source { bytes: 65 }));
    let source = Some((Cow::Borrowed("s"), EXACT_MAX + 1));
    assert!(matches!(writer.push(&update("a", source, None)), Err(Flaw::TooLarge { field: "source_seq", .. })));
    assert!(matches!(writer.push(&update("a", None, Some(u64::MAX))), Err(Flaw::TooLarge { .. })));
    let data = Data::check("[1]").expect("valid");
    let patch = Entry::Publish { topic: "a", kind: Some(Kind::Patch), source: None, source_ts: None, data };
    assert!(matches!(writer.add(&patch), Err(Flaw::Data(_))));
    assert!(matches!(writer.add(&Entry::Open { node: "n", session: 2 }), Err(Flaw::MisplacedOpen { .. })));
    assert!(matches!(writer.add(&Entry::CheckpointBegins { node: "a b" }), Err(Flaw::Name { .. })));
    // What was refused left nothing behind, and an entry that was refused is not the record's control entry.
    writer.add(&Entry::CheckpointBegins { node: "n" }).expect("the first");
    assert_eq!(writer.add(&Entry::CheckpointBegins { node: "n" }), Err(Flaw::SecondControl));
    assert_eq!(writer.finish(), record(0, 1, &[&[5, 1, b'n']]));
    let rule = super::super::Rule { pattern: broker_protocol::Pattern::parse("a").expect("valid"), kind: None };
    let mut settings = Settings {
        image_bytes: 0,
        message_bytes: 0,
        topics_max: 0,
        images_bytes_max: 0,
        topic_sources: 0,
        rules: vec![rule; 4_096],
    };
    assert!(Record::decode(&alone(&Entry::Settings(settings.clone()))).is_ok());
    settings.rules.push(settings.rules[0].clone());
    let refused = RecordWriter::new(0, 0).add(&Entry::Settings(settings));
    assert!(matches!(refused, Err(Flaw::TooMany { what: "rules", count: 4_097, .. })));
}

#[test]
fn a_record_has_so_many_commands_and_no_more() {
    let mut writer = RecordWriter::new(1, 1);
    let end = Entry::End { topic: "a", only: None };
    while !writer.is_full(usize::MAX) {
        writer.add(&end).expect("not full");
    }
    assert_eq!(writer.add(&end), Err(Flaw::Full));
    let bytes = writer.finish();
    let record = Record::decode(&bytes).expect("valid");
    assert_eq!(record.commands.len(), COMMANDS_MAX);
    assert_eq!(encode(&record), bytes);
}

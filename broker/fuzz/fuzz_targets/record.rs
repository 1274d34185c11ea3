//! Any bytes as a record of the log: no panic, bounded error messages, commands that keep the promises of their types, and
//! one form only: encoded again, the record has the same bytes, and no beginning of them is a record.
#![no_main]

use std::error::Error;

use broker_engine::log::record::{COMMANDS_MAX, EPOCH_BYTES_MAX, NAME_BYTES_MAX};
use broker_engine::log::{Entry, Record, RecordWriter};
use broker_fuzz::{compact, is_json};
use broker_protocol::topic::check_topic;
use broker_protocol::{Data, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let record = match Record::decode(bytes) {
        Ok(record) => record,
        Err(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(error.to_string().len() + source.len() < 1_000);
            return;
        }
    };
    assert!(record.commands.len() <= COMMANDS_MAX);
    let mut writer = RecordWriter::new(record.session, record.number);
    for command in &record.commands {
        check(command, &record);
        writer.add(command).expect("it was read");
    }
    assert_eq!(writer.finish(), bytes);
    if let Some(rest) = bytes.len().checked_sub(1) {
        for len in [rest, rest / 2] {
            assert!(Record::decode(&bytes[..len]).is_err());
        }
    }
});

fn check(command: &Entry<'_>, record: &Record<'_>) {
    match command {
        Entry::Publish { topic, kind, source, source_ts, data } => {
            assert!(check_topic(topic).is_ok());
            let text = data.raw();
            assert!(is_json(text) && compact(text) == text);
            assert!(*kind != Some(Kind::Patch) || Data::check_patch(text).is_ok());
            assert!(source.is_none_or(|(source, seq)| source.len() <= 64 && seq < 1 << 53));
            assert!(source_ts.is_none_or(|ts| ts < 1 << 53));
        }
        Entry::End { topic, only } => {
            assert!(check_topic(topic).is_ok());
            assert!(only.is_none_or(|(epoch, seq)| epoch.len() <= EPOCH_BYTES_MAX && seq < 1 << 53));
        }
        Entry::Open { node, session } => {
            assert_eq!((*session, record.number, record.opens()), (record.session, 0, Some(*node)));
        }
        Entry::Beat { node, .. } | Entry::CheckpointBegins { node } => assert!(node.len() <= NAME_BYTES_MAX),
        Entry::Checkpoint { object, .. } => assert!(!object.contains('/') && !object.starts_with('.')),
        Entry::Generation { .. } | Entry::Settings(_) | Entry::Barrier => {}
    }
}

//! What a checkpoint keeps, and that no damage to it goes unnoticed.

mod damage;
mod golden;
mod round_trip;

use std::path::Path;

use broker_engine::log::{NodeSession, Rule, Settings};
use broker_engine::{Places, SavedTopic, SavedUpdate};
use broker_protocol::{Kind, Pattern};

use super::*;
use crate::test_dir::test_dir;

fn head() -> Head {
    Head {
        generation: Generation { nonce: 0x0102_0304_0506_0708, start_us: 1_700_000_000_000_000, first_ordinal: 6 },
        position: 300,
        commands: 4_000,
        sessions: vec![NodeSession { node: "a".into(), session: 9, next: 3, position: 299 }],
        settings: Some(Settings {
            image_bytes: 1,
            message_bytes: 2,
            topics_max: 3,
            images_bytes_max: 4,
            topic_sources: 300,
            rules: vec![Rule { pattern: Pattern::parse("trades.>").unwrap(), kind: Some(Kind::Event) }],
        }),
        record_check: 0x1112_1314_1516_1718,
        saved_us: 1_700_000_001_000_000,
    }
}

fn topic(name: &str) -> SavedTopic {
    let update = |ordinal| SavedUpdate { ordinal, age_us: 5, message: br#"{"op":"update"}"#.to_vec() };
    SavedTopic {
        name: name.into(),
        epoch: "e1".into(),
        kind: Kind::State,
        seq: 7,
        place: 130,
        last_ts: 1_700_000_000_500_000,
        age_us: 500_000,
        last_source_ts: Some(200),
        has_patches: true,
        image: Some(br#"{"a":"b c"}"#.to_vec()),
        sources: vec![("s".into(), 128)],
        dropped_ordinal: 120,
        updates: vec![update(127), update(129)],
    }
}

fn tail() -> Tail {
    let ended = vec![("gone".into(), 141), ("old".into(), 139)];
    Tail { meanwhile: Meanwhile { ended, refused: Places::default() }, complete_at: 4_010 }
}

fn write(dir: &Path, head: &Head, topics: &[SavedTopic], tail: &Tail) -> CheckpointFile {
    let mut writer = CheckpointWriter::create(dir, head).unwrap();
    for topic in topics {
        writer.topic(topic).unwrap();
    }
    writer.finish(tail).unwrap()
}

fn read(path: &Path) -> Result<(Head, Vec<SavedTopic>, Tail), CheckpointError> {
    let mut reader = CheckpointReader::open(path)?;
    let mut topics = Vec::new();
    while let Some(topic) = reader.next_topic()? {
        topics.push(topic);
    }
    assert_eq!(reader.next_topic().unwrap(), None);
    let tail = reader.tail().unwrap().clone();
    Ok((reader.head().clone(), topics, tail))
}

#[test]
fn a_checkpoint_has_its_name_once_it_is_complete() {
    let dir = test_dir();
    remove_leftovers(dir.path()).unwrap();
    let mut writer = CheckpointWriter::create(dir.path(), &head()).unwrap();
    writer.topic(&topic("a")).unwrap();
    assert_eq!(list(dir.path()).unwrap(), []);
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it removes what it does not complete");
    // What a process leaves that is killed.
    std::mem::forget(CheckpointWriter::create(dir.path(), &head()).unwrap());
    let file = write(dir.path(), &Head { position: 20, ..head() }, &[topic("a"), topic("b")], &tail());
    let path = dir.path().join("checkpoint.00000000000000000020");
    let bytes = path.metadata().unwrap().len();
    assert_eq!(file, CheckpointFile { path: path.clone(), position: 20, bytes, topics: 2 });
    std::mem::forget(CheckpointWriter::create(dir.path(), &head()).unwrap());
    let newer = write(&dir.path().join("."), &Head { position: 100, ..head() }, &[], &tail());
    std::mem::forget(CheckpointWriter::create(dir.path(), &head()).unwrap());
    for other in ["checkpoint.1", "checkpoint.0000000000000000000x", "checkpoint", "log.00000000000000000001"] {
        std::fs::write(dir.path().join(other), "").unwrap();
    }
    assert_eq!(list(dir.path()).unwrap(), [(100, newer.path.components().collect()), (20, path.clone())]);
    remove_leftovers(dir.path()).unwrap();
    assert!(!dir.path().join("checkpoint.new").exists() && path.exists());
    let summary = verify(&path).unwrap();
    let head = Head { position: 20, ..head() };
    assert_eq!(summary, Summary { head, topics: 2, updates: 4, ended: 2, bytes });
}

#[test]
fn topics_come_in_the_order_of_their_names() {
    let dir = test_dir();
    let mut writer = CheckpointWriter::create(dir.path(), &head()).unwrap();
    writer.topic(&topic("b")).unwrap();
    for name in ["a", "b"] {
        assert!(matches!(writer.topic(&topic(name)), Err(CheckpointError::Order { .. })));
    }
}

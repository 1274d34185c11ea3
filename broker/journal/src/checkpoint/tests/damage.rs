//! Files with other bytes than were written.

use std::fs;

use super::*;
use crate::checkpoint::block::{self, HEAD_BYTES, Kind as BlockKind, PRELUDE_BYTES};

fn small() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let dir = test_dir();
    let path = write(dir.path(), &head(), &[topic("a"), topic("b")], &tail()).path;
    let bytes = fs::read(&path).unwrap();
    (dir, path, bytes)
}

#[test]
fn every_end_but_the_right_one_is_an_error() {
    let (_dir, path, bytes) = small();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(verify(&path), Err(CheckpointError::Damaged { .. })), "{length}");
    }
    for more in [&[0][..], &bytes[PRELUDE_BYTES..]] {
        fs::write(&path, [&bytes[..], more].concat()).unwrap();
        let error = verify(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { flaw: Flaw::Trailing(_), .. }), "{error}");
    }
}

#[test]
fn every_other_byte_is_an_error() {
    let (_dir, path, mut bytes) = small();
    for at in 0..bytes.len() {
        let byte = bytes[at];
        for other in [byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), 0, 0xff] {
            if other != byte {
                bytes[at] = other;
                fs::write(&path, &bytes).unwrap();
                assert!(matches!(verify(&path), Err(CheckpointError::Damaged { .. })), "{at}: {byte} → {other}");
            }
        }
        bytes[at] = byte;
    }
    fs::write(&path, bytes).unwrap();
    assert!(verify(&path).is_ok());
}

#[test]
fn blocks_stay_where_they_are() {
    let (_dir, path, bytes) = small();
    let starts = block_starts(&bytes);
    let block = |number: usize| &bytes[starts[number]..starts[number + 1]];
    let orders: [&[usize]; 6] = [&[0, 2, 1, 3], &[0, 1, 1, 2, 3], &[0, 1, 3], &[0, 3], &[1, 2, 3], &[0, 0, 1, 2, 3]];
    for order in orders {
        let file: Vec<&[u8]> =
            std::iter::once(&bytes[..PRELUDE_BYTES]).chain(order.iter().map(|number| block(*number))).collect();
        fs::write(&path, file.concat()).unwrap();
        assert!(matches!(verify(&path), Err(CheckpointError::Damaged { .. })), "{order:?}");
    }
}

/// Where the blocks of a valid file begin, and its end.
fn block_starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![PRELUDE_BYTES];
    while let Some(at) = starts.last().copied().filter(|at| *at < bytes.len()) {
        let length = u64::from_le_bytes(bytes[at + 1..at + 9].try_into().unwrap());
        starts.push(at + HEAD_BYTES + length as usize);
    }
    starts
}

#[test]
fn another_format_names_the_program_that_is_needed() {
    let (_dir, path, mut bytes) = small();
    bytes[8] = 2;
    bytes[12..18].copy_from_slice(b"9.8.7\0");
    let check = xxhash_rust::xxh3::xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = verify(&path).unwrap_err().to_string();
    assert!(error.ends_with("knows only format 1: run version 9.8.7 or a newer one"), "{error}");
}

/// A file of these payloads, with valid checksums.
fn forged(path: &Path, payloads: &[(BlockKind, Vec<u8>)]) -> Result<Summary, CheckpointError> {
    let mut bytes = block::prelude().to_vec();
    for ((kind, payload), number) in payloads.iter().zip(0..) {
        bytes.extend_from_slice(&block::head(number, *kind, payload));
        bytes.extend_from_slice(payload);
    }
    fs::write(path, bytes).unwrap();
    verify(path)
}

fn payloads(topics: &[SavedTopic], tail: &Tail) -> Vec<(BlockKind, Vec<u8>)> {
    let mut all = vec![(BlockKind::Head, Vec::new())];
    head().push(&mut all[0].1);
    for topic in topics {
        all.push((BlockKind::Topic, Vec::new()));
        crate::checkpoint::topic::push(&mut all.last_mut().unwrap().1, topic);
    }
    all.push((BlockKind::Tail, Vec::new()));
    tail.push(topics.len() as u64, &mut all.last_mut().unwrap().1);
    all
}

#[test]
fn what_the_engine_could_not_restore_is_refused() {
    let dir = test_dir();
    let path = dir.path().join("forged");
    let verify = |topics: &[SavedTopic], tail: &Tail| forged(&path, &payloads(topics, tail));
    verify(&[topic("a")], &tail()).unwrap();
    type Change = fn(&mut SavedTopic);
    let changes: [(&str, Change); 19] = [
        ("name", |topic| topic.name = "a..b".into()),
        ("pattern", |topic| topic.name = "a.*".into()),
        ("the broker's own", |topic| topic.name = "$SYS.a".into()),
        ("no epoch", |topic| topic.epoch = "".into()),
        ("long epoch", |topic| topic.epoch = "e".repeat(33).into()),
        ("odd epoch", |topic| topic.epoch = "a\"b".into()),
        ("kind", |topic| topic.kind = Kind::Patch),
        ("more updates than ever", |topic| topic.seq = 1),
        ("seq", |topic| topic.seq = 1 << 53),
        ("place", |topic| topic.place = u64::MAX),
        ("source_ts", |topic| topic.last_source_ts = Some(1 << 53)),
        ("image that is none", |topic| topic.image = Some(b"{".to_vec())),
        ("image with space", |topic| topic.image = Some(b"{\"a\": 1}".to_vec())),
        ("image in space", |topic| topic.image = Some(b" {}".to_vec())),
        ("source", |topic| topic.sources[0].0 = "s".repeat(65).into()),
        ("two updates alike", |topic| topic.updates[1].ordinal = 127),
        ("an update that was dropped", |topic| topic.dropped_ordinal = 127),
        ("two lines", |topic| topic.updates[0].message = b"{}\n{}".to_vec()),
        ("not UTF-8", |topic| topic.updates[0].message = vec![0xff]),
    ];
    for (what, change) in changes {
        let mut topic = topic("a");
        change(&mut topic);
        let error = verify(&[topic], &tail()).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{what}: {error}");
    }
    verify(&[topic("b"), topic("a")], &tail()).unwrap_err();
    verify(&[topic("a"), topic("a")], &tail()).unwrap_err();
    let mut unordered = tail();
    unordered.meanwhile.ended.reverse();
    verify(&[], &unordered).unwrap_err();
    let mut miscounted = payloads(&[topic("a")], &tail());
    miscounted.remove(1);
    forged(&path, &miscounted).unwrap_err();
}

#[test]
fn every_other_byte_behind_valid_checksums_is_an_error_or_another_value() {
    let dir = test_dir();
    let path = dir.path().join("forged");
    let valid = payloads(&[topic("a")], &tail());
    for number in 0..valid.len() {
        for at in 0..valid[number].1.len() {
            for other in [0, 1, 0x7f, 0x80, 0xff] {
                let mut payloads = valid.clone();
                payloads[number].1[at] = other;
                // It must not panic, nor allocate what a length claims.
                drop(forged(&path, &payloads));
            }
            let mut payloads = valid.clone();
            payloads[number].1.truncate(at);
            assert!(forged(&path, &payloads).is_err(), "{number} {at}");
        }
    }
}

//! Files that end early or have other bytes than were written.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::store::row;

const SEGMENT: &str = "log.00000000000000000001";

/// A store that was killed, with `last` records in its newest segment, which begins with record `first`.
fn killed(first: u64, last: u64) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = test_dir();
    let mut store = open(dir.path());
    if first > 1 {
        append(&mut store, first - 1).unwrap();
        store.begin_segment().unwrap();
    }
    append(&mut store, last + 1 - first).unwrap();
    drop(store);
    let segment = dir.path().join(format!("log.{first:020}"));
    let bytes = fs::read(&segment).unwrap();
    (dir, segment, bytes)
}

fn row_bytes(position: u64) -> usize {
    row::HEAD_BYTES + record(position).bytes.len()
}

#[test]
fn the_end_may_be_missing_at_any_byte() {
    for first in [1, 4, 6] {
        let (dir, segment, bytes) = killed(first, 6);
        let last_two = if first < 6 { row_bytes(5) + row_bytes(6) } else { row_bytes(6) };
        for length in bytes.len() - last_two..=bytes.len() {
            fs::write(&segment, &bytes[..length]).unwrap();
            let missing = bytes.len() - length;
            let last = if missing == 0 { 6 } else { 5 - u64::from(missing > row_bytes(6)) };
            // At exactly the beginning of the fifth record the fourth is the last.
            let mut store = open(dir.path());
            assert_eq!(store.last_end(), LastEnd::Killed);
            check(&store, 1, last);
            append(&mut store, 2).unwrap();
            check(&store, 1, last + 2);
            drop(store);
            check(&open(dir.path()), 1, last + 2);
        }
    }
}

#[test]
fn any_byte_of_the_last_records_may_be_another() {
    let (dir, segment, bytes) = killed(1, 6);
    let begins = bytes.len() - row_bytes(5) - row_bytes(6);
    let meta = fs::read(dir.path().join("meta")).unwrap();
    for at in begins..bytes.len() {
        for bit in [0, 3, 7] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&segment, &bytes).unwrap();
            fs::write(dir.path().join("meta"), &meta).unwrap();
            let last = if at < begins + row_bytes(5) { 4 } else { 5 };
            let store = open(dir.path());
            // A length that leads beyond the end looks like a record that was not finished.
            assert!(matches!(store.last_end(), LastEnd::Damaged | LastEnd::Killed));
            check(&store, 1, last);
        }
    }
}

#[test]
fn what_no_crash_explains_is_damage() {
    let (dir, segment, mut bytes) = killed(1, 6);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let store = open(dir.path());
    assert_eq!(store.last_end(), LastEnd::Damaged);
    check(&store, 1, 5);
    drop(store);
    let mut store = open(dir.path());
    assert_eq!(store.last_end(), LastEnd::Damaged, "until the generation changes");
    store.begin_generation(NEW).unwrap();
    store.close().unwrap();
    // It was closed, and yet the last record is missing, or another one is there.
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - row_bytes(5)]).unwrap();
    let store = open(dir.path());
    assert_eq!(store.last_end(), LastEnd::Damaged);
    check(&store, 1, 4);
}

#[test]
fn a_page_that_never_reached_the_disk() {
    let dir = test_dir();
    let mut store = open(dir.path());
    append(&mut store, 2).unwrap();
    let long = vec![b'x'; 40_000];
    store.append([(3, 0, &long[..]), (4, 0, &long[..])]).unwrap();
    drop(store);
    let segment = dir.path().join(SEGMENT);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8_192..12_288].fill(0);
    fs::write(&segment, &bytes).unwrap();
    let store = Store::open(dir.path(), "another", false, || NEW).unwrap();
    assert_eq!(store.last_end(), LastEnd::PowerLost);
    check(&store, 1, 2);
}

#[test]
fn a_record_counts_only_at_its_own_place() {
    let dir = test_dir();
    let mut store = open(dir.path());
    for (position, byte) in (1..).zip([b"a", b"b", b"c"]) {
        store.append([(position, 0, &byte[..])]).unwrap();
    }
    drop(store);
    let segment = dir.path().join(SEGMENT);
    let mut bytes = fs::read(&segment).unwrap();
    let second = bytes.len() - 2 * (row::HEAD_BYTES + 1);
    bytes.copy_within(second..second + row::HEAD_BYTES + 1, second + row::HEAD_BYTES + 1);
    fs::write(&segment, &bytes).unwrap();
    assert_eq!(open(dir.path()).last(), Some(2));
}

#[test]
fn a_missing_segment_names_the_record_that_is_missing() {
    let dir = test_dir();
    let mut store = open(dir.path());
    for _ in 0..3 {
        append(&mut store, 5).unwrap();
        store.begin_segment().unwrap();
    }
    append(&mut store, 5).unwrap();
    drop(store);
    fs::remove_file(dir.path().join("log.00000000000000000006")).unwrap();
    let store = open(dir.path());
    let found: Vec<_> = store.read_from(1).collect();
    assert!(matches!(found[5], Err(StoreError::Hole { position: 6, .. })) && found.len() == 6);
    assert_eq!(store.read_from(11).map(Result::unwrap).count(), 10);
}

#[test]
fn zeros_behind_the_last_record_are_none() {
    let (dir, segment, mut bytes) = killed(1, 6);
    bytes.resize(bytes.len() + 10_000, 0);
    fs::write(&segment, &bytes).unwrap();
    check(&open(dir.path()), 1, 6);
}

#[test]
fn damage_in_an_older_segment_names_its_record() {
    let (dir, _, _) = killed(5, 8);
    let segment = dir.path().join(SEGMENT);
    let bytes = fs::read(&segment).unwrap();
    let third = bytes.len() - row_bytes(4) - row_bytes(3);
    let mut flipped = bytes.clone();
    flipped[third + row::HEAD_BYTES] ^= 1;
    for (damaged, position) in [(flipped, 3), (bytes[..third + 7].to_vec(), 3), (bytes[..third].to_vec(), 3)] {
        fs::write(&segment, damaged).unwrap();
        let store = open(dir.path());
        let mut found: Vec<_> = store.read_from(1).collect();
        let error = found.pop().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Hole { position: at, .. } if at == position), "{error}");
        assert_eq!(found.len(), 2);
        let after: Vec<_> = store.read_from(5).map(Result::unwrap).collect();
        assert_eq!(after, (5..=8).map(record).collect::<Vec<_>>());
    }
}

#[test]
fn a_missing_or_foreign_file_is_an_error() {
    let (dir, segment, bytes) = killed(5, 8);
    let refused = |what: &str| {
        let error = Store::open(dir.path(), BOOT, false, || NEW).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    // The head of the newest segment.
    for at in 0..24 {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        fs::write(&segment, &bytes).unwrap();
        refused("its head is not that of a segment of this name");
    }
    fs::write(&segment, &bytes[..23]).unwrap();
    refused("it ends within its head");
    fs::write(&segment, &bytes).unwrap();
    let misnamed = dir.path().join("log.99999999999999999999");
    fs::write(&misnamed, &bytes).unwrap();
    refused("its name has no possible position");
    fs::remove_file(misnamed).unwrap();
    let meta = fs::read(dir.path().join("meta")).unwrap();
    fs::remove_file(dir.path().join("meta")).unwrap();
    refused("there is no file `meta` beside it");
    fs::write(dir.path().join("meta"), &meta[..100]).unwrap();
    refused("neither of its copies has a valid checksum");
    fs::write(dir.path().join("meta"), &meta).unwrap();
    check(&open(dir.path()), 1, 8);
    fs::remove_file(&segment).unwrap();
    fs::remove_file(dir.path().join(SEGMENT)).unwrap();
    refused("its files `log.*` are gone");
}

#[test]
fn one_copy_of_the_metadata_is_enough() {
    let (dir, ..) = killed(1, 3);
    drop(open(dir.path()));
    let path = dir.path().join("meta");
    let meta = fs::read(&path).unwrap();
    for at in (0..512).chain(4_096..4_608) {
        let mut flipped = meta.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, flipped).unwrap();
        let store = open(dir.path());
        assert_eq!((store.generation(), store.last_end()), (NEW, LastEnd::Killed));
    }
}

#[test]
fn another_format_names_the_program_that_is_needed() {
    let (dir, ..) = killed(1, 3);
    let path = dir.path().join("meta");
    let mut meta = fs::read(&path).unwrap();
    meta[8] = 9;
    let version = env!("CARGO_PKG_VERSION").len();
    meta[13..13 + version].fill(b'9');
    let check = xxhash_rust::xxh3::xxh3_64(&meta[..504]);
    meta[504..512].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, meta).unwrap();
    let error = Store::open(dir.path(), BOOT, false, || NEW).unwrap_err().to_string();
    let wanted = format!("run version {} or a newer one", "9".repeat(version));
    assert!(error.contains("has format 9") && error.ends_with(&wanted), "{error}");
}

#[test]
fn a_store_that_was_not_made_to_its_end_is_made_anew() {
    let dir = test_dir();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join("meta")).unwrap();
    fs::write(dir.path().join("meta.new"), "half").unwrap();
    fs::write(dir.path().join("log.new"), "half").unwrap();
    let mut store = open(dir.path());
    assert_eq!(store.last_end(), LastEnd::New);
    append(&mut store, 3).unwrap();
    drop(store);
    check(&open(dir.path()), 1, 3);
    assert!(!dir.path().join("log.new").exists());
}

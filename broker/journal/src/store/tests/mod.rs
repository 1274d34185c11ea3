//! What a store keeps, whatever happens to the process, the machine, the disk and the files.

mod damage;
mod ends;
mod full;
mod model;

use std::path::Path;
use std::process::{Command, Output};

use crate::test_dir::test_dir;

use super::{Generation, LastEnd, Store, StoreError, Stored};

const NEW: Generation = Generation { nonce: 7, start_us: 1_000_000, first_ordinal: 0 };
const BOOT: &str = "b";

fn open(dir: &Path) -> Store {
    Store::open(dir, BOOT, false, || NEW).unwrap()
}

/// Record `position` of every test.
fn record(position: u64) -> Stored {
    let bytes = (0..position * 7 % 50).map(|at| (at * position) as u8).collect();
    Stored { position, ts_us: position * 1_000, bytes }
}

/// Appends the next `count` records, in one batch.
fn append(store: &mut Store, count: u64) -> Result<(), StoreError> {
    let from = store.next_position();
    let records: Vec<Stored> = (from..from + count).map(record).collect();
    store.append(records.iter().map(|stored| (stored.position, stored.ts_us, &stored.bytes[..])))
}

/// Checks that exactly these records are there.
fn check(store: &Store, first: u64, last: u64) {
    assert_eq!((store.first(), store.last()), (Some(first), Some(last)));
    let found: Vec<Stored> = store.read_from(first).map(Result::unwrap).collect();
    let expected: Vec<Stored> = (first..=last).map(record).collect();
    assert!(found == expected, "{} of {} records", found.len(), expected.len());
    assert_eq!(store.log_bytes(), expected.iter().map(|stored| stored.bytes.len() as u64).sum::<u64>());
}

/// The directory that a test runs with that has a process of its own.
const CHILD_DIR: &str = "TICKCAST_TEST_DIR";

/// A command that runs an ignored test of this crate in a process of its own, behind `before`.
fn child(before: &[&str], test: &str, dir: &Path) -> Output {
    let test = format!("store::tests::{test}");
    let program = std::env::current_exe().unwrap();
    let words = before.iter().map(Into::into).chain([program.into_os_string()]).collect::<Vec<std::ffi::OsString>>();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--exact", &test, "--include-ignored", "--nocapture"]).env(CHILD_DIR, dir);
    command.output().unwrap()
}

#[test]
fn what_was_appended_is_there_in_order() {
    let dir = test_dir();
    let dir = dir.path().join("journal");
    let mut store = open(&dir);
    assert_eq!((store.first(), store.last(), store.next_position(), store.log_bytes()), (None, None, 1, 0));
    assert_eq!(store.read_from(1).count(), 0);
    for count in [1, 5, 0, 100] {
        append(&mut store, count).unwrap();
    }
    check(&store, 1, 106);
    store.close().unwrap();
    let mut store = open(&dir);
    assert_eq!((store.last_end(), store.generation()), (LastEnd::Clean, NEW));
    check(&store, 1, 106);
    append(&mut store, 3).unwrap();
    check(&store, 1, 109);
    let from: Vec<u64> = store.read_from(100).map(|stored| stored.unwrap().position).collect();
    assert_eq!(from, (100..=109).collect::<Vec<_>>());
    assert_eq!(store.read_from(110).count(), 0);
}

#[test]
fn a_record_that_does_not_continue_the_log_changes_nothing() {
    let dir = test_dir();
    let mut store = open(dir.path());
    append(&mut store, 2).unwrap();
    for position in [0, 2, 3, u64::MAX] {
        let error = store.append([(3, 0, &b"x"[..]), (position, 0, &b"x"[..])]).unwrap_err();
        assert!(matches!(error, StoreError::Position { next: 4, .. }), "{error}");
    }
    check(&store, 1, 2);
}

#[test]
fn a_directory_is_for_its_owner_only_and_its_parent_must_be_there() {
    use std::os::unix::fs::PermissionsExt;
    let dir = test_dir();
    drop(open(&dir.path().join("journal")));
    let mode = |path: &str| dir.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("journal"), 0o700);
    assert_eq!((mode("journal/meta"), mode("journal/log.00000000000000000001")), (0o600, 0o600));
    let error = Store::open(&dir.path().join("a/b"), BOOT, false, || NEW).unwrap_err();
    assert!(error.to_string().starts_with("cannot create the directory "), "{error}");
}

#[test]
fn segments_are_cut_from_the_front() {
    let dir = test_dir();
    let mut store = open(dir.path());
    for _ in 0..3 {
        append(&mut store, 10).unwrap();
        store.begin_segment().unwrap();
        store.begin_segment().unwrap();
    }
    append(&mut store, 5).unwrap();
    store.cut(10).unwrap();
    check(&store, 1, 35);
    store.cut(11).unwrap();
    check(&store, 11, 35);
    assert!(matches!(store.read_from(10).next(), Some(Err(StoreError::Cut { position: 10, first: 11 }))));
    store.cut(30).unwrap();
    check(&store, 21, 35);
    store.cut(1_000).unwrap();
    check(&store, 31, 35);
    store.begin_segment().unwrap();
    store.cut(36).unwrap();
    assert_eq!((store.first(), store.last(), store.next_position(), store.log_bytes()), (None, None, 36, 0));
    store.close().unwrap();
    let mut store = open(dir.path());
    assert_eq!((store.last_end(), store.next_position()), (LastEnd::Clean, 36));
    append(&mut store, 1).unwrap();
    check(&store, 36, 36);
}

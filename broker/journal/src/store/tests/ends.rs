//! How a run ends, and what the next one finds.

use super::*;

fn open_as(dir: &Path, boot: &str, sync_before: bool) -> Store {
    Store::open(dir, boot, sync_before, || NEW).unwrap()
}

#[test]
fn a_killed_process_loses_nothing() {
    let dir = test_dir();
    let output = child(&[], "ends::appends_and_aborts", dir.path());
    assert!(!output.status.success() && output.status.code().is_none(), "{output:?}");
    let store = open(dir.path());
    assert_eq!(store.last_end(), LastEnd::Killed);
    check(&store, 1, 2_000);
}

#[test]
#[ignore = "ends the process: run by the test above"]
fn appends_and_aborts() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let mut store = open(Path::new(&dir));
    for batch in 0..20 {
        append(&mut store, 100).unwrap();
        if batch % 7 == 3 {
            store.begin_segment().unwrap();
        }
    }
    std::process::abort();
}

#[test]
fn a_store_is_open_once() {
    let dir = test_dir();
    let store = open(dir.path());
    let error = Store::open(dir.path(), BOOT, false, || NEW).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let output = child(&[], "ends::finds_it_locked", dir.path());
    assert!(output.status.success(), "{output:?}");
    drop(store);
    open(dir.path());
}

#[test]
#[ignore = "needs a directory: run by the test above"]
fn finds_it_locked() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let error = Store::open(Path::new(&dir), BOOT, false, || NEW).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}

#[test]
fn ends() {
    /// Boot and `sync_before` of two runs, whether the first is closed, and what the second finds.
    const TABLE: [(&str, bool, bool, &str, bool, LastEnd); 8] = [
        ("a", false, false, "a", false, LastEnd::Killed),
        ("a", false, false, "b", false, LastEnd::PowerLost),
        // What counts is how the run delivered that ended.
        ("a", false, false, "b", true, LastEnd::PowerLost),
        ("a", true, false, "b", false, LastEnd::Killed),
        ("a", true, false, "b", true, LastEnd::Killed),
        ("a", false, true, "b", false, LastEnd::Clean),
        ("a", false, true, "a", false, LastEnd::Clean),
        ("a", true, true, "b", true, LastEnd::Clean),
    ];
    for (boot, sync_before, is_closed, next_boot, next_sync_before, end) in TABLE {
        let dir = test_dir();
        let mut store = open_as(dir.path(), boot, sync_before);
        assert_eq!(store.last_end(), LastEnd::New);
        append(&mut store, 3).unwrap();
        if is_closed {
            store.close().unwrap();
        } else {
            drop(store);
        }
        let store = open_as(dir.path(), next_boot, next_sync_before);
        assert_eq!(store.last_end(), end, "{boot} {sync_before} {is_closed} {next_boot} {next_sync_before}");
        check(&store, 1, 3);
    }
}

#[test]
fn a_lost_tail_is_not_forgotten_before_the_generation_changes() {
    let dir = test_dir();
    drop(open_as(dir.path(), "a", false));
    // These runs end before they come to it, one of them by closing.
    assert_eq!(open_as(dir.path(), "b", true).last_end(), LastEnd::PowerLost);
    open_as(dir.path(), "b", true).close().unwrap();
    let mut store = open_as(dir.path(), "b", true);
    assert_eq!((store.last_end(), store.generation()), (LastEnd::PowerLost, NEW));
    let next = Generation { nonce: 8, start_us: 2_000_000, first_ordinal: 10 };
    store.begin_generation(next).unwrap();
    assert_eq!(store.generation(), next);
    drop(store);
    let store = open_as(dir.path(), "b", true);
    assert_eq!((store.last_end(), store.generation()), (LastEnd::Killed, next));
}

#[test]
fn the_boot_has_an_id() {
    let id = crate::store::boot_id().unwrap();
    assert_eq!(id.len(), 36, "{id}");
}

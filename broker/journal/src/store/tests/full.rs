//! A full disk. The process of its own that each test needs has a file system of its own, which is full, or a limit on the
//! length of its files, which the system treats alike.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD_DIR).map(Into::into)
}

/// Appends batches of ten records until that fails. Returns the last record that was appended.
fn append_until_full(store: &mut Store) -> u64 {
    loop {
        let last = store.last().unwrap_or(0);
        if let Err(error) = append(store, 10) {
            assert!(error.is_full(), "{error:?}");
            assert!(matches!(append(store, 1), Err(StoreError::Failed)));
            assert!(matches!(store.sync(), Err(StoreError::Failed)));
            assert_eq!(store.last().unwrap_or(0), last);
            return last;
        }
    }
}

#[test]
fn a_file_that_may_not_grow() {
    let dir = test_dir();
    // The signal that comes with the error would end the process; what is ignored stays ignored behind `exec`.
    let before = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let output = child(&before, "full::meets_a_limit", dir.path());
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("done").exists());
}

#[test]
#[ignore = "needs a directory: run by the test above"]
fn meets_a_limit() {
    let Some(dir) = child_dir() else { return };
    let limit = |bytes| setrlimit(Resource::Fsize, Rlimit { current: bytes, ..getrlimit(Resource::Fsize) }).unwrap();
    // Other threads of the test write only to their output.
    let mut store = open(&dir.join("journal"));
    let mut last = 0;
    for bytes in [20_000, 20_000, 20_011, 50_000] {
        limit(Some(bytes));
        let until = append_until_full(&mut store);
        assert!(until >= last, "{until} {last}");
        last = until;
        store.reopen().unwrap();
        store.reopen().unwrap();
        check(&store, 1, last);
    }
    assert!(last > 500, "{last}");
    limit(None);
    append(&mut store, 10).unwrap();
    check(&store, 1, last + 10);
    limit(Some(50_000));
    append_until_full(&mut store);
    // Nothing has to be reopened to be kept.
    drop(store);
    let store = open(&dir.join("journal"));
    assert_eq!(store.last_end(), LastEnd::Killed);
    assert!(store.last() >= Some(last + 10));
    check(&store, 1, store.last().unwrap());
    fs::write(dir.join("done"), "").unwrap();
}

#[test]
fn a_file_system_without_space() {
    let dir = test_dir();
    // A file system that nobody else sees, and that is gone with the process.
    let own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let mount = "mount -t tmpfs -o size=2m none \"$TICKCAST_TEST_DIR\"";
    let tried = Command::new(own[0]).args(&own[1..]).arg(mount).env(CHILD_DIR, dir.path()).output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        eprintln!("\nNOT RUN: a_file_system_without_space, because a process may not mount a tmpfs here: {tried:?}\n");
        return;
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let before: Vec<&str> = own.into_iter().chain([&script[..]]).collect();
    let output = child(&before, "full::fills_its_file_system", dir.path());
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("went through all of it"), "{output:?}");
}

#[test]
#[ignore = "fills its file system: run by the test above"]
fn fills_its_file_system() {
    let Some(dir) = child_dir() else { return };
    fs::write(dir.join("ballast"), vec![1; 1_000_000]).unwrap();
    let mut store = open(&dir.join("journal"));
    append(&mut store, 100).unwrap();
    store.begin_segment().unwrap();
    append(&mut store, 100).unwrap();
    let full = append_until_full(&mut store);
    // The rest of the file system, so that there is no byte left.
    for bytes in [4_096, 1] {
        let mut rest = fs::File::options().append(true).open(dir.join("ballast")).unwrap();
        while std::io::Write::write_all(&mut rest, &vec![1; bytes]).is_ok() {}
    }
    let mut last = full;
    for _ in 0..3 {
        store.reopen().unwrap();
        check(&store, 1, last);
        last = append_until_full(&mut store);
    }
    // Another generation, a close and an opening need no space.
    store.reopen().unwrap();
    let next = Generation { nonce: 9, start_us: 3, first_ordinal: 0 };
    store.begin_generation(next).unwrap();
    store.close().unwrap();
    let mut store = open(&dir.join("journal"));
    assert_eq!((store.last_end(), store.generation()), (LastEnd::Clean, next));
    check(&store, 1, last);
    // A segment does. What is left of it does not disturb.
    let mut begun = store.begin_segment();
    while begun.is_ok() {
        append_until_full(&mut store);
        store.reopen().unwrap();
        last = store.last().unwrap();
        begun = store.begin_segment();
    }
    assert!(begun.unwrap_err().is_full());
    store.reopen().unwrap();
    check(&store, 1, last);
    // Deleting needs none either, and makes room.
    append_until_full(&mut store);
    fs::remove_file(dir.join("ballast")).unwrap();
    store.cut(101).unwrap();
    store.reopen().unwrap();
    append(&mut store, 1_000).unwrap();
    store.begin_segment().unwrap();
    append(&mut store, 10).unwrap();
    check(&store, 101, last + 1_010);
    store.close().unwrap();
    check(&open(&dir.join("journal")), 101, last + 1_010);
    println!("went through all of it");
}

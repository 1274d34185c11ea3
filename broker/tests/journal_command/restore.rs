//! A backup, and the journal that is made of it.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::support::{Folder, broker, files, fill, http, journal, publish, run, segment, served};
use crate::common::PROGRAM;

#[test]
fn a_restored_broker_serves_the_same_under_new_epochs() {
    let folder = Folder::new();
    let (dir, backup, restored) = (folder.path("journal"), folder.path("backup"), folder.path("restored"));
    let mut first = broker(&dir);
    fill(&first);
    let topics = ["a.state", "a.event"];
    let before = topics.map(|topic| served(&first, topic));
    first.end(Signal::KILL);

    let done = journal(&["backup", backup.to_str().unwrap()], &dir);
    assert!(done.code == Some(0) && done.out.contains("2 topics with 5 retained updates"), "{done:?}");
    let done = run(Command::new(PROGRAM).args(["journal", "verify"]).arg(&backup));
    assert!(done.code == Some(0) && done.out.contains("is whole: 2 topics"), "{done:?}");
    let done = journal(&["restore", backup.to_str().unwrap()], &restored);
    assert!(done.code == Some(0) && done.out.contains("told to begin anew"), "{done:?}");
    assert_eq!(journal(&["verify"], &restored).code, Some(0));

    for round in 0..2 {
        let mut second = broker(&restored);
        for (topic, (said, epoch)) in topics.into_iter().zip(&before) {
            let now = served(&second, topic);
            assert_eq!(now.0, *said, "{topic}, start {round}");
            assert_ne!(now.1, *epoch, "{topic}, start {round}");
        }
        // What the sources have published is known, and what has ended is gone.
        let answer = http(&second, "POST /v1/topics/a.event?source=s&source_seq=3", "[3]");
        assert_eq!(answer.json()["duplicate"], true, "{answer:?}");
        assert_eq!(http(&second, "GET /v1/topics/b.gone", "").status, 404);
        second.end(if round == 0 { Signal::KILL } else { Signal::TERM });
    }
    // It goes on from there, also after a restart.
    let mut third = broker(&restored);
    publish(&third, "a.event", "[4]");
    let said = served(&third, "a.event");
    assert!(said.0.contains("\"seq\":4"), "{said:?}");
    third.end(Signal::KILL);
    assert_eq!(served(&broker(&restored), "a.event"), said);
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    let backup = folder.path("backup");
    let file = backup.to_str().unwrap();
    fs::write(&backup, "mine").unwrap();
    let done = journal(&["backup", file], &dir);
    assert!(done.code == Some(1) && done.complaint.contains("exists already"), "{done:?}");
    assert_eq!(fs::read(&backup).unwrap(), b"mine");
    fs::remove_file(&backup).unwrap();
    let done = journal(&["backup", "-"], &dir);
    assert!(done.code == Some(2) && done.complaint.contains("needs a file"), "{done:?}");
    assert_eq!(journal(&["backup", file], &dir).code, Some(0));

    let before = files(&dir);
    let done = journal(&["restore", file], &dir);
    assert!(done.code == Some(1) && done.complaint.contains("is not empty"), "{done:?}");
    assert!(done.complaint.contains("Move it away") && files(&dir) == before, "{done:?}");
    // An empty directory will do, also that of a file system.
    let empty = folder.path("empty");
    fs::create_dir_all(empty.join("lost+found")).unwrap();
    assert_eq!(journal(&["restore", file], &empty).code, Some(0));
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    let backup = folder.path("backup");
    let file = backup.to_str().unwrap();
    assert_eq!(journal(&["backup", file], &dir).code, Some(0));
    let bytes = fs::read(&backup).unwrap();
    let restored = folder.path("restored");
    let log = segment(&dir);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (what, bytes) in [
        ("half of it", &bytes[..bytes.len() / 2]),
        ("a byte of it is another", &flipped),
        ("nothing", b""),
        ("a segment", &fs::read(log).unwrap()),
    ] {
        fs::write(&backup, bytes).unwrap();
        let done = journal(&["restore", file], &restored);
        assert!(done.code == Some(1) && done.complaint.contains("damaged"), "{what}: {done:?}");
        assert!(!restored.exists(), "{what}");
    }
    let done = journal(&["restore", "/nonexistent/backup"], &restored);
    assert!(done.code == Some(1) && done.complaint.contains("cannot open"), "{done:?}");
}

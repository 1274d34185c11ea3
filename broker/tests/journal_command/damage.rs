//! Damaged directories: what is wrong is said, and what a start would do is what a start does.

use std::fs::{OpenOptions, read, remove_file, rename, write};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Folder, broker, copy, files, journal, publish, run, segment, served};
use crate::common::{PROGRAM, Process, command, ends};

/// What a start makes of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It serves everything under the same epochs.
    Serves,
    /// The same, and something is damaged that is not needed.
    Survives,
    /// It serves what there is under other epochs.
    Renews,
    /// The broker ends with an error.
    Refuses,
}

impl Start {
    fn sentence(self) -> &'static str {
        match self {
            Start::Serves => "A start serves everything: ",
            Start::Survives => "A start serves everything all the same: ",
            Start::Renews => "A start begins a new generation with ",
            Start::Refuses => "A start is refused",
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = read(path).unwrap();
    bytes[at] ^= 1;
    write(path, bytes).unwrap();
}

fn append(path: &Path, more: &[u8]) {
    write(path, [&read(path).unwrap()[..], more].concat()).unwrap();
}

fn shorten(path: &Path, by: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - by).unwrap();
}

/// Makes a checkpoint of all that is there: a backup is one.
fn add_checkpoint(folder: &Folder, dir: &Path) -> PathBuf {
    let backup = folder.path("checkpoint");
    assert_eq!(journal(&["backup", backup.to_str().unwrap()], dir).code, Some(0));
    let inspected: Value = serde_json::from_str(&journal(&["inspect", "--json"], dir).out).unwrap();
    let last = inspected["log"]["last"]["position"].as_u64().unwrap();
    let path = dir.join(format!("checkpoint.{last:020}"));
    rename(backup, &path).unwrap();
    path
}

/// Verifies a journal, then starts a broker with it: both have to agree. `before` is the image of `a.state`, and its epoch.
#[track_caller]
fn check(what: &str, dir: &Path, named: &str, start: Start, before: &(String, String)) {
    let done = journal(&["verify"], dir);
    let code = if start == Start::Serves { 0 } else { 1 };
    assert!(done.code == Some(code) && done.out.contains(start.sentence()), "{what}: {done:?}");
    assert!(done.out.contains(named) && (code == 0) != done.out.contains("DAMAGED"), "{what}: {done:?}");
    if start == Start::Refuses {
        let (code, log) = ends(&mut command(&["--journal", "local", "--journal-dir", dir.to_str().unwrap()]));
        assert!(code == Some(1), "{what}: {log}");
        return;
    }
    let broker = broker(dir);
    let after = served(&broker, "a.state");
    assert_eq!(after.0, before.0, "{what}");
    assert_eq!(after.1 == before.1, start != Start::Renews, "{what}");
}

fn of(broker: &Process) -> (String, String) {
    served(broker, "a.state")
}

#[test]
fn what_a_start_would_do_is_what_it_does() {
    let folder = Folder::new();
    let stopped = folder.journal("stopped", Signal::TERM);
    let killed = folder.path("killed");
    copy(&stopped, &killed);
    let mut running = broker(&killed);
    let before = of(&running);
    // The last record is of another topic: without it, `a.state` is the same.
    publish(&running, "b.last", "1");
    running.end(Signal::KILL);
    type Harm = fn(&Folder, &Path);
    let cases: [(&str, &Path, Harm, &str, Start); 12] = [
        ("nothing, stopped", &stopped, |_, _| {}, "", Start::Serves),
        ("nothing, killed", &killed, |_, _| {}, "", Start::Serves),
        ("half a record", &killed, |_, dir| append(&segment(dir), &[9, 0, 0, 0]), "half a record", Start::Serves),
        ("no record", &killed, |_, dir| append(&segment(dir), &[9; 300]), "no crash explains", Start::Renews),
        ("the end is gone", &stopped, |_, dir| append(&segment(dir), &[1]), "no crash explains", Start::Renews),
        ("a record", &stopped, |_, dir| flip(&segment(dir), 60), "no crash explains", Start::Refuses),
        ("a head", &stopped, |_, dir| flip(&segment(dir), 3), "its head is not", Start::Refuses),
        (
            "no meta",
            &stopped,
            |_, dir| remove_file(dir.join("meta")).unwrap(),
            "there is no file `meta`",
            Start::Refuses,
        ),
        ("meta", &stopped, |_, dir| write(dir.join("meta"), "x").unwrap(), "neither of its copies", Start::Refuses),
        ("no log", &stopped, |_, dir| remove_file(segment(dir)).unwrap(), "are gone", Start::Refuses),
        (
            "a checkpoint beside the whole log",
            &stopped,
            |folder, dir| flip(&add_checkpoint(folder, dir), 100),
            "is damaged before byte",
            Start::Survives,
        ),
        (
            "a checkpoint of another log",
            &stopped,
            |folder, dir| {
                let other = folder.path("other");
                let mut running = broker(&other);
                ["1", "2", "3"].iter().for_each(|data| publish(&running, "other", data));
                running.end(Signal::TERM);
                let file = add_checkpoint(folder, &other);
                rename(&file, dir.join(file.file_name().unwrap())).unwrap();
            },
            "the log does not continue it",
            Start::Survives,
        ),
    ];
    for (index, (what, from, harm, named, start)) in cases.into_iter().enumerate() {
        let dir = folder.path(&index.to_string());
        copy(from, &dir);
        harm(&folder, &dir);
        if what == "a record" {
            // All that is behind the damage is cut off, and with it the topic.
            let done = journal(&["verify"], &dir);
            assert!(done.code == Some(1) && done.out.contains("new generation with 0 topics"), "{done:?}");
            continue;
        }
        check(what, &dir, named, start, &before);
    }
}

#[test]
fn a_damage_that_a_checkpoint_makes_up_for_is_said() {
    let folder = Folder::new();
    let backup = folder.path("backup");
    let first = folder.journal("first", Signal::TERM);
    assert_eq!(journal(&["backup", backup.to_str().unwrap()], &first).code, Some(0));
    // A log that begins behind a checkpoint, and another checkpoint further on.
    let dir = folder.path("restored");
    assert_eq!(journal(&["restore", backup.to_str().unwrap()], &dir).code, Some(0));
    let mut running = broker(&dir);
    publish(&running, "a.state?kind=patch", r#"{"more":true}"#);
    let before = of(&running);
    running.end(Signal::TERM);
    let newer = add_checkpoint(&folder, &dir);
    let older = files(&dir).into_keys().find(|path| path.to_str().unwrap().contains("/checkpoint.") && *path != newer);
    let older = older.unwrap();
    type Harm<'a> = &'a dyn Fn(&Path);
    let at = |dir: &Path, path: &Path| dir.join(path.file_name().unwrap());
    let cases: [(&str, Harm<'_>, Start); 5] = [
        ("nothing", &|_| {}, Start::Serves),
        ("the newer checkpoint", &|dir| shorten(&at(dir, &newer), 1), Start::Survives),
        ("the older checkpoint", &|dir| flip(&at(dir, &older), 70), Start::Survives),
        (
            "both",
            &|dir| {
                shorten(&at(dir, &newer), 1);
                flip(&at(dir, &older), 70);
            },
            Start::Refuses,
        ),
        (
            "a checkpoint of another format",
            &|dir| {
                // The format's number, and the checksum over it would have to fit: so it is damaged.
                flip(&at(dir, &newer), 8);
            },
            Start::Survives,
        ),
    ];
    for (index, (what, harm, start)) in cases.into_iter().enumerate() {
        let copied = folder.path(&index.to_string());
        copy(&dir, &copied);
        harm(&copied);
        let named = if start == Start::Serves { "" } else { "checkpoint" };
        check(what, &copied, named, start, &before);
    }
}

#[test]
fn nothing_in_a_directory_makes_a_command_panic() {
    let folder = Folder::new();
    let backup = folder.path("backup");
    let first = folder.journal("first", Signal::TERM);
    assert_eq!(journal(&["backup", backup.to_str().unwrap()], &first).code, Some(0));
    let dir = folder.path("restored");
    assert_eq!(journal(&["restore", backup.to_str().unwrap()], &dir).code, Some(0));
    let mut running = broker(&dir);
    publish(&running, "a.event", "[4]");
    running.end(Signal::KILL);
    let whole = files(&dir);
    let commands = [&["inspect"][..], &["inspect", "--json"], &["verify"], &["export"], &["settings"]];
    let mut turn = 0;
    for (path, bytes) in whole.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for step in 0..24 {
            let at = bytes.len().min(1_200) * step / 24;
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            let doubled = [&bytes[..at], &bytes[at / 2..]].concat();
            for harmed in [&flipped[..], &bytes[..at], &doubled] {
                write(path, harmed).unwrap();
                turn += 1;
                // `journal` itself looks for a panic.
                journal(commands[turn % commands.len()], &dir);
            }
        }
        write(path, bytes).unwrap();
    }
    // Names that look like the journal's.
    for name in ["log.00000000000000000000", "log.99999999999999999999", "checkpoint.99999999999999999999", "log.1"] {
        write(dir.join(name), "x").unwrap();
        commands.iter().for_each(|words| drop(journal(words, &dir)));
        remove_file(dir.join(name)).unwrap();
        std::fs::create_dir(dir.join(name)).unwrap();
        commands.iter().for_each(|words| drop(journal(words, &dir)));
        std::fs::remove_dir(dir.join(name)).unwrap();
    }
    assert_eq!(journal(&["verify"], &dir).code, Some(0));
    // Backups, of which `verify` needs no directory.
    let bytes = read(&backup).unwrap();
    for at in (0..bytes.len()).step_by(29) {
        let mut harmed = bytes.clone();
        harmed[at] ^= 0x55;
        write(&backup, harmed).unwrap();
        let done = run(std::process::Command::new(PROGRAM).args(["journal", "verify"]).arg(&backup));
        assert_eq!(done.code, Some(1), "{at}: {done:?}");
    }
}

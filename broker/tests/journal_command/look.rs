//! Looking at a journal changes nothing of it, and says what is there.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Folder, broker, files, fill, http, journal, publish, run};
use crate::common::PROGRAM;

#[test]
fn a_journal_is_described_for_people_and_programs() {
    let folder = Folder::new();
    for (signal, end, sentence) in [
        (Signal::TERM, "clean", "it was stopped"),
        (Signal::KILL, "killed", "it was killed: everything that it answered"),
    ] {
        let dir = folder.journal(end, signal);
        let shown = journal(&["inspect"], &dir);
        assert_eq!((shown.code, &*shown.complaint), (Some(0), ""));
        for part in [sentence, "serves 2 topics with 5 retained updates", "records 1 to ", "log.00000000000000000001"] {
            assert!(shown.out.contains(part), "{part}: {}", shown.out);
        }
        let shown = journal(&["inspect", "--json"], &dir);
        let all: Value = serde_json::from_str(&shown.out).unwrap();
        assert_eq!(all["last_end"], end);
        assert_eq!((&all["start"]["topics"], &all["start"]["updates"]), (&json!(2), &json!(5)), "{all}");
        // The duplicate is a command as well.
        let commands = &all["commands"];
        assert_eq!((&commands["no_kind"], &commands["state"], &commands["patch"]), (&json!(4), &json!(2), &json!(1)));
        assert_eq!((&commands["end"], &commands["open"], &commands["settings"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!((&all["sessions_count"], &all["dropped"], &all["damage"]), (&json!(1), &json!(0), &json!([])));
        assert_eq!(all["sessions"][0]["records"], all["log"]["records"]);
    }
}

#[test]
fn whoever_reads_changes_nothing() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::KILL);
    // A crash has left half a record, and a segment and a checkpoint that were not finished.
    let segment = super::support::segment(&dir);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(dir.join("log.new"), "x").unwrap();
    std::fs::write(dir.join("checkpoint.new"), "x").unwrap();
    let before = files(&dir);
    let backup = folder.path("backup");
    let backup = backup.to_str().unwrap();
    for words in
        [&["inspect"][..], &["inspect", "--json"], &["verify"], &["backup", backup], &["export"], &["settings"]]
    {
        let done = journal(words, &dir);
        assert_eq!(done.code, Some(0), "{words:?}: {done:?}");
        assert!(files(&dir) == before, "{words:?} has changed the directory");
    }
    let done = journal(&["verify"], &dir);
    assert!(done.out.contains("half a record") && done.out.contains("A start serves everything"), "{done:?}");
}

#[test]
fn a_journal_that_a_broker_has_open_is_left_alone() {
    let folder = Folder::new();
    let (dir, backup) = (folder.path("journal"), folder.path("backup"));
    let mut process = broker(&dir);
    fill(&process);
    let file = backup.to_str().unwrap();
    for words in [&["inspect"][..], &["verify"], &["backup", file], &["export"], &["settings"]] {
        let done = journal(words, &dir);
        assert_eq!((done.code, &*done.out), (Some(1), ""), "{words:?}");
        assert!(done.complaint.contains("a broker has the journal in") && done.complaint.contains("stop it first"));
        assert!(!backup.exists());
    }
    publish(&process, "a.event", "[4]");
    process.end(Signal::TERM);
    assert_eq!(journal(&["inspect"], &dir).code, Some(0));
}

#[test]
fn where_there_is_no_journal_it_says_so() {
    let folder = Folder::new();
    let missing = folder.path("missing");
    let (empty, other) = (folder.path("empty"), folder.path("other"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("notes"), "x").unwrap();
    for (dir, complaint) in
        [(&missing, "there is no directory"), (&empty, "there is no journal in"), (&other, "no journal")]
    {
        for words in [&["inspect"][..], &["verify"], &["export"], &["settings"], &["backup", "/nonexistent/backup"]] {
            let done = journal(words, dir);
            assert!(done.code == Some(1) && done.complaint.contains(complaint), "{words:?}: {done:?}");
        }
    }
    assert!(!missing.exists() && files(&empty).is_empty() && files(&other).len() == 1);
    // Nobody has said which one.
    let done = run(Command::new(PROGRAM).args(["journal", "inspect"]).env_remove("TICKCAST_JOURNAL_DIR"));
    assert!(done.code == Some(2) && done.complaint.contains("--journal-dir"), "{done:?}");
}

#[test]
fn the_directory_may_stand_in_the_file_or_the_environment() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    let done = run(Command::new(PROGRAM).args(["journal", "verify"]).env("TICKCAST_JOURNAL_DIR", &dir));
    assert_eq!(done.code, Some(0), "{done:?}");
    let file = folder.path("broker.toml");
    std::fs::write(&file, format!("journal = \"local\"\njournal_dir = {dir:?}\n")).unwrap();
    let done = run(Command::new(PROGRAM).args(["journal", "verify", "--config"]).arg(&file));
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn settings_are_compared() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    let same = journal(&["settings"], &dir);
    assert!(same.code == Some(0) && same.out.ends_with("They are the same.\n"), "{same:?}");
    let file = folder.path("broker.toml");
    let text = "image_bytes = \"2MiB\"\n[[topics]]\npattern = \"a.*\"\nkind = \"state\"\n";
    std::fs::write(&file, text).unwrap();
    let differs = journal(&["settings", "--config", file.to_str().unwrap()], &dir);
    let lines: Vec<_> = differs.out.lines().filter(|line| line.ends_with("differs")).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("image_bytes") && lines[1].contains("a.* state"), "{differs:?}");
    // As it says, a start writes them.
    let dir_text = dir.to_str().unwrap();
    let flags =
        ["--journal", "local", "--journal-dir", dir_text, "--drain-ms", "0", "--config", file.to_str().unwrap()];
    let mut process = crate::common::Process::start(&flags);
    assert_eq!(http(&process, "POST /v1/topics/a.new", "1").status, 200);
    process.end(Signal::TERM);
    let same = journal(&["settings", "--config", file.to_str().unwrap()], &dir);
    assert!(same.out.ends_with("They are the same.\n"), "{same:?}");
}

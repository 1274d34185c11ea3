//! A log whose end is not what was written: half a record is what a kill leaves, and everything else begins anew.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::ends::{NEW, start};
use crate::kept::{Kept, files};

/// The log, and how many bytes of it come before the last update and with it.
fn with_a_last_update(kept: &mut Kept) -> (std::path::PathBuf, u64, u64) {
    let log = |kept: &Kept| files(&kept.dir(), "log.").pop().unwrap();
    for n in 1..=4 {
        kept.publish("a", "event", &n.to_string());
    }
    let before = log(kept).1;
    kept.publish("a", "event", "5");
    let (path, whole) = log(kept);
    assert!(before < whole && whole - before < 500, "{before} {whole}");
    (path, before, whole)
}

/// Truncates the log after a kill, at every `step`th byte of its last record.
fn truncated_at(step: usize) {
    let mut kept = Kept::start(&[]);
    let (log, before, whole) = with_a_last_update(&mut kept);
    let epoch = kept.history("a", 1)["epoch"].as_str().unwrap().to_owned();
    kept.kill();
    let copy = kept.folder.path().join("copy");
    copy_files(&kept.dir(), &copy);
    for length in (before..whole).step_by(step) {
        fs::remove_dir_all(kept.dir()).unwrap();
        copy_files(&copy, &kept.dir());
        fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length).unwrap();
        kept.go();
        assert!(!kept.early().contains(NEW), "{length}: {}", kept.early());
        let history = kept.history("a", 10);
        assert_eq!((&history["seq"], &history["epoch"]), (&json!(4), &json!(epoch)), "{length}");
        let mut client = kept.client();
        assert_eq!(start(&mut client, "a", &epoch, 4), "resumed");
        // Nobody can have got the fifth from a broker whose log ends so; a client that says so begins anew.
        assert_eq!(start(&mut client, "a", &epoch, 5), "reset");
        assert_eq!(kept.publish("a", "event", "6"), 5);
        kept.kill_and_go();
        assert_eq!(kept.history("a", 10)["updates"][4]["data"], 6, "{length}");
        kept.kill();
    }
}

#[test]
fn half_a_last_record_is_dropped() {
    truncated_at(17);
}

#[test]
#[ignore = "starts some hundred brokers: make journal-test"]
fn every_part_of_a_last_record_is_dropped() {
    truncated_at(1);
}

#[test]
fn what_no_kill_explains_begins_a_new_generation() {
    type Damage = fn(&Path, u64, u64);
    let cases: [(&str, bool, Damage); 3] = [
        ("closed, and then cut off", true, |log, before, _| set_len(log, before)),
        ("closed, and then torn", true, |log, _, whole| set_len(log, whole - 1)),
        ("killed, and another byte", false, |log, _, whole| change_byte(log, whole - 3)),
    ];
    for (what, is_closed, damage) in cases {
        let mut kept = Kept::start(&[]);
        let (log, before, whole) = with_a_last_update(&mut kept);
        let epoch = kept.history("a", 1)["epoch"].as_str().unwrap().to_owned();
        if is_closed {
            kept.stop();
        } else {
            kept.kill();
        }
        // If a clean end writes something behind it, there is another last record to damage.
        let (log, before, whole) = match files(&kept.dir(), "log.").pop().unwrap() {
            (newest, bytes) if newest != log || bytes != whole => (newest, bytes - 1, bytes),
            _ => (log, before, whole),
        };
        damage(&log, before, whole);
        kept.go();
        assert!(kept.early().contains(NEW), "{what}: {}", kept.early());
        let history = kept.history("a", 10);
        assert_ne!(history["epoch"], epoch, "{what}");
        assert!(history["seq"].as_u64().unwrap() >= 4, "{what}: {history}");
        assert_eq!(start(&mut kept.client(), "a", &epoch, 5), "reset", "{what}");
        // It stays the new one.
        let new = kept.history("a", 1)["epoch"].clone();
        kept.kill_and_go();
        assert!(!kept.early().contains(NEW), "{what}: {}", kept.early());
        assert_eq!(kept.history("a", 1)["epoch"], new, "{what}");
    }
}

fn set_len(log: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(log).unwrap().set_len(length).unwrap();
}

fn change_byte(log: &Path, at: u64) {
    let mut bytes = fs::read(log).unwrap();
    bytes[at as usize] ^= 0x20;
    fs::write(log, bytes).unwrap();
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (path, _) in files(from, "") {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

//! The ways in which a broker ends, and what clients are told after the next start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{Client, command, ends, not_run};
use crate::kept::{Kept, files};
use crate::source::Source;

/// What says that the broker was killed, and what says that clients begin anew.
const KILLED: &str = "the broker was killed";
const NEW: &str = "All epochs are new";

/// Publishes some of everything.
fn fill(kept: &Kept) {
    for n in 1..=20 {
        kept.publish("e.one", "event", &json!({ "n": n }).to_string());
        kept.publish("e.two", "event", &n.to_string());
        kept.publish("s.state", "state", &json!({ "n": n, "px": "189.10" }).to_string());
    }
    kept.publish("s.book", "state", r#"{"bids":{"1":"2","3":"4"},"n":1.50}"#);
    kept.publish("s.book", "patch", r#"{"bids":{"1":null,"5":"6"}}"#);
    let once = "POST /v1/topics/e.source?kind=event&source=feed&source_seq=7";
    assert_eq!(kept.http(once, "1").json()["seq"], 1);
    // One that has ended, and one that has ended and began again.
    for topic in ["gone", "again"] {
        kept.publish(topic, "event", "1");
        assert_eq!(kept.http(&format!("DELETE /v1/topics/{topic}"), "").status, 200);
    }
    kept.publish("again", "event", "2");
}

/// The epoch of each topic.
fn epochs(all: &Value) -> BTreeMap<String, String> {
    let text = |topic: &Value, name: &str| topic[0][name].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|topic| (text(topic, "topic"), text(topic, "epoch"))).collect()
}

/// The same without epochs.
fn without_epochs(all: &Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("epoch");
                members.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut all = all.clone();
    strip(&mut all);
    all
}

/// How a topic begins for a client that had it up to `seq` of `epoch`.
#[track_caller]
fn start(client: &mut Client, topic: &str, epoch: &str, seq: u64) -> String {
    let entry = json!({ "topic": topic, "epoch": epoch, "seq": seq });
    client.say(&json!({ "op": "subscribe", "id": topic, "topics": [entry] }).to_string());
    let answer = client.skip_to(json!({ "op": "subscribed", "id": topic }));
    answer["topics"][0]["start"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// Every topic resumes where it was.
#[track_caller]
fn assert_resumes(kept: &Kept, before: &Value) {
    assert_eq!(kept.all(), *before);
    let mut client = kept.client();
    for topic in before.as_array().unwrap() {
        let (name, seq) = (topic[0]["topic"].as_str().unwrap(), topic[0]["seq"].as_u64().unwrap());
        assert_eq!(start(&mut client, name, topic[0]["epoch"].as_str().unwrap(), seq), "resumed", "{name}");
    }
    let again = kept.http("POST /v1/topics/e.source?kind=event&source=feed&source_seq=7", "1").json();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &json!(1)));
}

/// The topics are there with all that they had, and each client is told to begin anew.
#[track_caller]
fn assert_new_generation(kept: &Kept, before: &Value) {
    let after = kept.all();
    assert_eq!(without_epochs(&after), without_epochs(before));
    let (old, new) = (epochs(before), epochs(&after));
    let mut client = kept.client();
    for (topic, epoch) in &old {
        assert_ne!(epoch, &new[topic], "{topic}");
        assert_eq!(start(&mut client, topic, epoch, 1), "reset", "{topic}");
    }
    let again = kept.http("POST /v1/topics/e.source?kind=event&source=feed&source_seq=7", "1").json();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &json!(1)));
}

/// An id that covers all that was published.
fn id_of_all(kept: &Kept) -> String {
    let mut source = Source::open(kept.address, "topic=%3E", "");
    while source.last_id.is_empty() {
        source.block();
    }
    loop {
        let before = source.last_id.clone();
        kept.publish("marker", "event", "1");
        if source.until(|message| message["topic"] == "marker" && message.op() == "update").op() == "update"
            && source.last_id != before
        {
            return source.last_id;
        }
    }
}

#[test]
fn stopped_or_killed_everything_is_there_again() {
    let mut kept = Kept::start(&[]);
    fill(&kept);
    let id = id_of_all(&kept);
    let before = kept.all();
    kept.stop_and_go();
    let early = kept.early();
    assert!(!early.contains(KILLED) && !early.contains(NEW), "a clean start says {early}");
    assert_resumes(&kept, &before);
    kept.kill_and_go();
    let early = kept.early();
    assert!(early.contains(KILLED) && !early.contains(NEW), "a start after a kill says {early}");
    assert_resumes(&kept, &before);

    // The id is of another run of the broker, and of the same journal.
    kept.publish("e.one", "event", "\"since\"");
    let mut source = Source::open(kept.address, "topic=e.%3E", &id);
    let first = source.until(|message| {
        assert!(!["gap", "image"].contains(&message.op()), "{message:?}");
        assert!(["resumed", "live"].contains(&message["start"].as_str().unwrap_or("live")), "{message:?}");
        message.op() == "update"
    });
    assert_eq!((&first["seq"], &first["data"]), (&json!(21), &json!("since")));
    // Another journal does not know it.
    let other = Kept::start(&[]);
    fill(&other);
    let mut source = Source::open(other.address, "topic=e.one", &id);
    source.expect("hello");
    let answer = source.expect("subscribed");
    assert_eq!(answer["topics"][0]["start"], "history", "{answer:?}");
}

#[test]
fn nobody_else_may_use_the_directory_meanwhile() {
    let mut kept = Kept::start(&[]);
    kept.publish("a", "event", "1");
    let dir = kept.dir();
    let mut other = command(&["--journal", "local", "--journal-dir", dir.to_str().unwrap()]);
    let (code, log) = ends(&mut other);
    assert_eq!(code, Some(1), "{log}");
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let said = last["message"].as_str().unwrap();
    let names = |part: &str| said.contains(part);
    assert!(
        names("another process has the journal in") && names(dir.to_str().unwrap()) && names("journal_dir"),
        "{said}"
    );
    // The first one has not noticed.
    assert_eq!(kept.publish("a", "event", "2"), 2);
    kept.kill_and_go();
    assert_eq!(kept.history("a", 10)["seq"], 2);
}

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

/// What runs the program as if the machine had been started again: with another boot id, in a mount namespace of its own.
/// `None`, after saying so, where that is not allowed.
fn another_boot(folder: &Path, number: u32) -> Option<Vec<String>> {
    let id = folder.join(format!("boot-{number}"));
    fs::write(&id, format!("00000000-0000-4000-8000-{number:012}\n")).unwrap();
    let mount = format!("mount --bind {} /proc/sys/kernel/random/boot_id && exec \"$0\" \"$@\"", id.display());
    let by = |flags: &str| ["unshare", flags, "sh", "-c", &mount].map(str::to_owned).to_vec();
    // As root, or in a user namespace where the system allows that.
    for way in [by("-m"), by("-rm")] {
        let mut shown = Command::new(&way[0]);
        shown.args(&way[1..]).args(["cat", "/proc/sys/kernel/random/boot_id"]).stderr(Stdio::null());
        if shown.output().is_ok_and(|shown| shown.stdout == fs::read(&id).unwrap()) {
            return Some(way);
        }
    }
    not_run("a file cannot be mounted over the kernel's boot id: it needs root, or namespaces of users");
    None
}

/// Starts the broker as if the machine had been started again.
#[track_caller]
fn go_in(kept: &mut Kept, boot: u32) -> bool {
    let Some(before) = another_boot(kept.folder.path(), boot) else { return false };
    kept.run_by(&before.iter().map(String::as_str).collect::<Vec<_>>());
    kept.go();
    true
}

#[test]
fn after_a_loss_of_power_clients_begin_anew() {
    let mut kept = Kept::start(&[]);
    fill(&kept);
    let id = id_of_all(&kept);
    let before = kept.all();
    kept.kill();
    if !go_in(&mut kept, 1) {
        return;
    }
    assert!(kept.early().contains(NEW), "{}", kept.early());
    assert_new_generation(&kept, &before);
    // An id of before is one of another run: everything has begun since.
    kept.publish("e.one", "event", "\"since\"");
    let mut source = Source::open(kept.address, "topic=e.one&topic=s.state", &id);
    source.expect("hello");
    let answer = source.expect("subscribed");
    for topic in answer["topics"].as_array().unwrap() {
        assert!(["image", "history", "reset"].contains(&topic["start"].as_str().unwrap()), "{topic}");
    }
    let last = source.until(|message| message["data"] == "since");
    assert_eq!(last["seq"], 21);
    drop(source);

    // The new one lives on like any other.
    let before = kept.all();
    kept.kill_and_go();
    assert!(!kept.early().contains(NEW), "{}", kept.early());
    assert_resumes(&kept, &before);
    // And the next loss of power begins yet another.
    kept.kill();
    assert!(go_in(&mut kept, 2));
    assert_new_generation(&kept, &before);
}

#[test]
fn after_a_clean_stop_or_with_every_update_synced_a_loss_of_power_loses_nothing() {
    for (flags, is_clean) in [(&[][..], true), (&["--journal-sync-ms", "0"][..], false)] {
        let mut kept = Kept::start(flags);
        fill(&kept);
        let before = kept.all();
        if is_clean {
            kept.stop();
        } else {
            kept.kill();
        }
        if !go_in(&mut kept, 1) {
            return;
        }
        assert!(!kept.early().contains(NEW), "{}", kept.early());
        assert_resumes(&kept, &before);
        assert_eq!(kept.process().end(Signal::TERM).0, Some(0));
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

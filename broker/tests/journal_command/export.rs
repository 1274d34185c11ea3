//! What was published comes out as lines that can be published again.

use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Folder, broker, fill, http, journal, publish, run, served};
use crate::common::PROGRAM;

#[track_caller]
fn lines(words: &[&str], dir: &Path) -> Vec<Value> {
    let done = journal(&[&["export"], words].concat(), dir);
    assert_eq!(done.code, Some(0), "{done:?}");
    done.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Publishes the lines to a new broker, in order. Their times are for whoever plays them.
fn play(lines: &[Value], dir: &Path) -> crate::common::Process {
    let broker = broker(dir);
    let line = |line: &Value| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("due_us");
        line.to_string()
    };
    let body: Vec<String> = lines.iter().map(line).collect();
    let answer = http(&broker, "POST /v1/publish", &(body.join("\n") + "\n"));
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(lines.len())), "{answer:?}");
    broker
}

/// A history without its times.
fn data(said: &str) -> Vec<&str> {
    said.split("\"data\":").skip(1).map(|rest| rest.split(['}', ']']).next().unwrap()).collect()
}

#[test]
fn the_log_comes_out_as_it_was_published() {
    let folder = Folder::new();
    let dir = folder.path("journal");
    let mut first = broker(&dir);
    fill(&first);
    // Refused, so it is not in the log's outcome.
    assert_ne!(http(&first, "POST /v1/topics/a.event?kind=state", "{}").status, 200);
    let before = ["a.state", "a.event"].map(|topic| served(&first, topic).0);
    first.end(Signal::KILL);
    let done = journal(&["export"], &dir);
    assert!(done.complaint.contains("the end of a topic: 1 is left out"), "{done:?}");
    let all = lines(&[], &dir);
    let bare = |line: &Value| (line["topic"].as_str().unwrap().to_owned(), line["kind"].as_str().unwrap().to_owned());
    let expected = [
        ("a.state", "state"),
        ("a.state", "patch"),
        ("a.event", "event"),
        ("a.event", "event"),
        ("a.event", "event"),
        ("b.gone", "state"),
    ];
    assert_eq!(all.iter().map(bare).collect::<Vec<_>>(), expected.map(|(topic, kind)| (topic.into(), kind.into())));
    let times: Vec<u64> = all.iter().map(|line| line["due_us"].as_u64().unwrap()).collect();
    assert!(times[0] == 0 && times.is_sorted(), "{times:?}");
    assert_eq!((&all[3]["source"], &all[3]["source_seq"], &all[3]["source_ts"]), (&json!("s"), &json!(2), &json!(7)));
    // Numbers as they were written.
    assert!(done.out.contains(r#""data":{"n":2,"deep":{"y":2.50}}"#), "{done:?}");

    let second = play(&all, &folder.path("second"));
    for (topic, before) in ["a.state", "a.event"].into_iter().zip(&before) {
        assert_eq!(data(&served(&second, topic).0), data(before), "{topic}");
    }
}

#[test]
fn what_the_log_no_longer_has_comes_from_a_checkpoint() {
    let folder = Folder::new();
    let (dir, backup, restored) = (folder.path("journal"), folder.path("backup"), folder.path("restored"));
    let mut first = broker(&dir);
    fill(&first);
    first.end(Signal::TERM);
    assert_eq!(journal(&["backup", backup.to_str().unwrap()], &dir).code, Some(0));
    assert_eq!(journal(&["restore", backup.to_str().unwrap()], &restored).code, Some(0));
    let mut second = broker(&restored);
    publish(&second, "a.state?kind=patch", r#"{"n":3}"#);
    publish(&second, "a.event", "[4]");
    let before = served(&second, "a.state").0;
    let image = http(&second, "GET /v1/topics/a.state", "").json()["data"].clone();
    second.end(Signal::TERM);
    assert!(data(&before).len() > 1);

    let all = lines(&[], &restored);
    let bare = |line: &Value| {
        format!("{} {} {}", line["topic"].as_str().unwrap(), line["kind"].as_str().unwrap(), line["data"])
    };
    let expected = [
        "a.event event [1]",
        "a.event event [2]",
        "a.event event [3]",
        r#"a.state state {"n":2,"deep":{"x":1,"y":2.50}}"#,
        r#"a.state patch {"n":3}"#,
        "a.event event [4]",
    ];
    assert_eq!(all.iter().map(bare).collect::<Vec<_>>(), expected);
    assert!(all[..5].iter().all(|line| line["due_us"] == 0), "{all:?}");
    let third = play(&all, &folder.path("third"));
    assert_eq!(http(&third, "GET /v1/topics/a.state", "").json()["data"], image);

    // From a position there is only the log; where it begins is said.
    let inspected: Value = serde_json::from_str(&journal(&["inspect", "--json"], &restored).out).unwrap();
    let first = inspected["log"]["first"]["position"].as_u64().unwrap();
    assert_eq!(lines(&["--from", &first.to_string()], &restored).len(), 2);
    let done = journal(&["export", "--from", "1"], &restored);
    assert!(done.code == Some(1) && done.complaint.contains(&format!("begin with record {first}")), "{done:?}");
    assert_eq!(lines(&["--from", "1000000"], &restored).len(), 0);
}

#[test]
fn topics_can_be_chosen() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    for (patterns, expected) in
        [(&["--topic", "a.event"][..], 3), (&["--topic", "a.*"], 5), (&["--topic", "b.>", "--topic", "a.state"], 3)]
    {
        let all = lines(patterns, &dir);
        assert_eq!(all.len(), expected, "{patterns:?}");
        assert_eq!(all[0]["due_us"], 0, "the first line that is printed is the beginning");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::new();
    let dir = folder.journal("journal", Signal::TERM);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = Command::new(PROGRAM)
        .args(["journal", "export", "--topic", "a.>", "--journal-dir", dir.to_str().unwrap()])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(0), "".into()));
    // A full disk is one.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["journal", "export", "--journal-dir", dir.to_str().unwrap()]).stdout(full);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    // Not with `run`, which would read it.
    let done = run(Command::new(PROGRAM).args(["journal", "export", "--journal-dir", dir.to_str().unwrap()]));
    assert_eq!(done.code, Some(0));
}

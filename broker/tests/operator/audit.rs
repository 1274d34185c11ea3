//! The audit log.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::configured::Configured;
use crate::common::{PROGRAM, ask, ends, until};

/// The lines of an audit log, without their times, which have to be there.
#[track_caller]
fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.as_object_mut().unwrap().remove("ts").is_some_and(|ts| ts.as_u64() > Some(1_600_000_000_000_000)));
        line
    };
    text.lines().map(line).collect()
}

/// The digest of "abc".
const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn what_happened_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let file = format!("drain_ms = 0\naudit_log = {path:?}\nadmin_token_sha256 = \"{DIGEST}\"\n");
    let mut broker = Configured::start(&file);
    let operator = |line: &str, body: &str| {
        let headers = [super::configured::JSON, "Authorization: Bearer abc"];
        ask(broker.process.admin, line, &headers, body.as_bytes())
    };
    let mut client = broker.process.client();
    let session = client.hello.str("session");
    client.request(r#"{"op":"publish","id":1,"topic":"$SYS.stats","data":1}"#);
    client.request(r#"{"op":"publish","id":1,"batch":[{"topic":"$SYS.x","data":1},{"topic":"a","data":1}]}"#);
    broker.http("POST /v1/topics/$SYS.y", "1");
    broker.http("DELETE /v1/topics/a", "");
    broker.http("DELETE /v1/topics/a", "");
    assert_eq!(operator("POST /v1/connections/close", &json!({"session": session}).to_string()).status, 200);
    assert_eq!(ask(broker.process.admin, "GET /metrics", &["Authorization: Bearer s3cret"], b"").status, 401);
    broker.write("nonsense = 1\n");
    assert_eq!(operator("POST /v1/reload", "").status, 422);
    broker.write(&format!("{file}pin = true\n"));
    assert_eq!(operator("POST /v1/reload", "").status, 200);
    let areas =
        json!(["logs", "limits", "topics", "access", "tls", "keys", "roles", "tokens", "quotas", "admin", "audit"]);
    let address = "127.0.0.1";
    let refused = |session: Value, topic: &str| json!({"event":"publish_refused","sub":null,"session":session,"address":address,"topic":topic});
    let expected = [
        refused(json!(session), "$SYS.stats"),
        refused(json!(session), "$SYS.x"),
        refused(Value::Null, "$SYS.y"),
        json!({"event":"deleted","sub":null,"address":address,"topic":"a"}),
        json!({"event":"delete_refused","sub":null,"address":address,"topic":"a","code":"not_found"}),
        json!({"event":"closed","address":address,"by":"session","of":session,"closed":1}),
        json!({"event":"operator_refused","address":address,"path":"/metrics"}),
        json!({"event":"reload_refused","address":address,"problems":"nonsense"}),
        json!({"event":"reloaded","address":address,"reloaded":areas,"needs_restart":["pin"]}),
    ];
    until("all lines", || lines(&path).len() >= expected.len());
    let mut found = lines(&path);
    let refused = found.iter_mut().find(|line| line["event"] == "reload_refused").unwrap();
    let problems = refused["problems"].take();
    assert!(problems.as_str().unwrap().contains("nonsense"), "{problems}");
    refused["problems"] = json!("nonsense");
    // A shard writes down what it has refused after it has answered, so others may come in between.
    let sorted = |lines: &[Value]| {
        let mut lines = lines.to_vec();
        lines.sort_by_key(|line| format!("{} {}", line["event"], line["topic"]));
        lines
    };
    assert_eq!(sorted(&found), sorted(&expected));
    // The file was moved away, as those who keep logs do: a reload opens a new one.
    let moved = folder.path().join("audit.jsonl.1");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(operator("POST /v1/reload", "").status, 200);
    broker.http("DELETE /v1/topics/b", "");
    until("the new file", || lines(&path).iter().any(|line| line["event"] == "delete_refused"));
    assert!(lines(&moved).len() <= expected.len() + 1);
    // Nothing of a token, nor of its digest, is anywhere.
    let logged = broker.end();
    let all = format!("{:?}{:?}{logged:?}", std::fs::read_to_string(&path), std::fs::read_to_string(&moved));
    assert!(!all.contains("s3cret") && !all.contains("ba7816") && !all.contains("abc"), "{all}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_opened() {
    let (code, log) = ends(std::process::Command::new(PROGRAM).args([
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--audit-log",
        "/nowhere/at/all",
    ]));
    assert!(code == Some(1) && log.contains("audit_log"), "{code:?} {log}");
    let broker = Configured::start("drain_ms = 0\n");
    broker.write("audit_log = \"/nowhere/at/all\"\ntopics_max = 5\n");
    let answer = broker.post_reload();
    assert!(answer.status == 422 && answer.body.contains("/nowhere/at/all"), "{answer:?}");
    assert_ne!(broker.process.metric("tickcast_topics_max"), 5.0);
}

#[test]
fn what_cannot_be_written_is_lost_and_counted() {
    if !std::path::Path::new("/dev/full").exists() {
        return crate::common::not_run("there is no /dev/full");
    }
    let broker = Configured::start("drain_ms = 0\naudit_log = \"/dev/full\"\n");
    for _ in 0..5 {
        broker.http("DELETE /v1/topics/none", "");
    }
    until("them to be lost", || broker.process.metric("tickcast_audit_lines_lost_total") >= 5.0);
    // With another file, the lines are whole again, and those that were lost stay counted.
    broker.reload("drain_ms = 0\n");
    assert!(broker.process.metric("tickcast_audit_lines_lost_total") >= 5.0);
}

#[test]
fn to_standard_output() {
    let mut child = crate::common::command(&["--drain-ms", "0", "--audit-log", "-"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("\"serving\"")));
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let found: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&found["event"], &found["address"]), (&json!("reloaded"), &Value::Null));
    child.kill().unwrap();
    child.wait().unwrap();
}

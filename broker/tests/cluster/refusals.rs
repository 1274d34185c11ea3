//! What a broker says that cannot use its servers or their stream: what is wrong, and what to do.

use rustix::process::Signal;
use serde_json::json;

use crate::common::nats::{CURRENT, Login, Options, Servers};
use crate::common::{command, ends};
use crate::members::LOG;

/// Starts a broker, which has to end, and returns what it says.
#[track_caller]
fn refused(url: &str, code: i32) -> String {
    let (ended, said) = ends(&mut command(&["--journal", "nats", "--journal-nats", url, "--journal-node", "n"]));
    assert_eq!(ended, Some(code), "{said}");
    said
}

#[test]
fn addresses_that_are_none() {
    // What the configuration cannot take, and what is no address after all.
    for (url, code) in [("http://127.0.0.1:4222", 2), ("nats://", 2), ("nats://127.0.0.1:port", 1)] {
        let said = refused(url, code);
        assert!(said.contains("expected") && said.contains("nats://"), "{url}: {said}");
    }
}

#[test]
fn nobody_at_the_address() {
    // It waits, as servers may come later, and says so; and it can be stopped meanwhile.
    let address = crate::kept::own_address();
    let url = format!("nats://{address}");
    let mut process = command(&["--journal", "nats", "--journal-nats", &url, "--journal-node", "n"]);
    let mut child = process.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("no NATS server of journal_nats can be reached") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0, "it ended");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wrong_password() {
    let login = Login::User { name: "broker".to_owned(), password: "secret".to_owned() };
    let Some(servers) = Servers::start(CURRENT, 1, Options { login, ..Options::default() }) else { return };
    let said = refused(&servers.url().replace("secret", "hidden"), 1);
    assert!(said.contains("NATS does not let this broker in") && said.contains("journal_nats"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn servers_that_take_only_short_messages() {
    let further = "max_payload: 65536\n".to_owned();
    let Some(servers) = Servers::start(CURRENT, 1, Options { further, ..Options::default() }) else { return };
    let said = refused(&servers.url(), 1);
    assert!(said.contains("the NATS servers take 65536") && said.contains("raise max_payload"), "{said}");
}

#[test]
fn a_stream_that_cannot_be_a_log() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let subjects = json!(["tickcast.log.*"]);
    let stream = json!({
        "name": LOG, "subjects": subjects, "storage": "file", "max_age": 3_600_000_000_000_u64, "max_msgs": 5,
        "max_msg_size": 1000,
    });
    servers.wire(0).jetstream(&format!("STREAM.CREATE.{LOG}"), &stream).unwrap();
    let said = refused(&servers.url(), 1);
    for flaw in [
        "the stream tickcast_LOG cannot be the log",
        "it lacks the subject tickcast.generation: add it",
        "set its discard policy to new",
        "set max_age to 0",
        "set max_msgs to -1",
        "set max_msg_size to -1",
    ] {
        assert!(said.contains(flaw), "{flaw}: {said}");
    }
}

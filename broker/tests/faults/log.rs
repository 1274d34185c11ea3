//! The log cannot be written: lines are lost and counted, and nothing else happens.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{End, PROGRAM, Process, ask, ends, until};

/// Makes the broker log a warning, and waits until that is lost.
#[track_caller]
fn lose_a_line(process: &Process) {
    let answer = ask(process.listen, "GET /v1/topics", &["Origin: http://evil.example"], b"");
    assert_eq!(answer.status, 403, "{answer:?}");
    until("a line to be lost", || process.metric("tickcast_log_lines_lost_total") > 0.0);
}

/// Expects that the broker serves as usual, and ends properly.
#[track_caller]
fn assert_well(mut process: Process) {
    let mut client = process.client();
    client.say(r#"{"op":"publish","id":1,"topic":"a","data":1}"#);
    client.expect("published");
    assert_eq!(process.get(process.admin, "/readyz").status, 200);
    process.signal(Signal::TERM);
    client.expect("goaway");
    assert_eq!(client.end(), End::Close(Some(1001)));
    drop(client);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn its_reader_is_gone() {
    let mut process = Process::start(&["--drain-ms", "200"]);
    process.close_log();
    lose_a_line(&process);
    assert_well(process);
}

#[test]
fn the_disk_is_full() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let process = Process::logging_to(full.into(), &["--drain-ms", "200"]);
    // Even the first line could not be written.
    until("the first line to be lost", || process.metric("tickcast_log_lines_lost_total") >= 1.0);
    lose_a_line(&process);
    assert_well(process);
}

#[test]
fn its_reader_does_not_read() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // This fills the pipe: the next write blocks.
    writer.write_all(&[b'\n'; 65_536]).unwrap();
    let process = Process::logging_to(writer.into(), &["--drain-ms", "200"]);
    assert_well(process);
    drop(reader);
}

#[test]
fn the_output_of_a_command_cannot_be_written() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    // The error in the settings cannot be printed, but the exit code reports it.
    let wrong = Command::new(PROGRAM).args(["--shards", "many"]).stderr(full()).status().unwrap();
    assert_eq!(wrong.code(), Some(2));
    // The settings cannot be printed, and an error says so.
    let mut config = Command::new(PROGRAM);
    let config = config.arg("config").stdout(full()).output().unwrap();
    let stderr = String::from_utf8_lossy(&config.stderr).into_owned();
    assert_eq!(config.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("standard output cannot be written"), "{stderr}");
    // A reader that has read enough is not an error.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // The tests' own variable is no setting, which would be a warning.
    let config = Command::new(PROGRAM)
        .arg("config")
        .env_remove("TICKCAST_DATA")
        .env_remove("TICKCAST_TEST_JOURNAL")
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((config.status.code(), config.stderr.as_slice()), (Some(0), &b""[..]));
    let (code, output) = ends(Command::new(PROGRAM).args(["health", "--admin-listen", "127.0.0.1:0"]));
    assert!(code == Some(1) && output.contains("name a port"), "{output}");
}

#[test]
fn a_line_that_repeats_is_counted() {
    let mut process = Process::start(&["--drain-ms", "0"]);
    for _ in 0..200 {
        let answer = ask(process.listen, "GET /v1/topics", &["Origin: http://evil.example"], b"");
        assert_eq!(answer.status, 403);
    }
    assert_eq!(process.metric(r#"tickcast_refused_total{what="origin"}"#), 200.0);
    let (code, took) = process.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let lines = process.logged();
    let refused: Vec<_> = lines.iter().filter(|line| line["what"] == "origin").collect();
    assert!(refused.len() == 1 && refused[0]["origin"] == "http://evil.example", "{lines:?}");
}

#[test]
fn the_number_of_repeated_lines_is_logged_while_it_runs() {
    let mut command = crate::common::command(&["--drain-ms", "0"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let (mut text, mut bytes, mut asked) = (String::new(), [0; 4096], false);
    // The count comes after ten seconds.
    while !text.contains("\"more\":6,") {
        let len = log.read(&mut bytes).unwrap();
        assert!(len > 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
        let listen = text.split_once("\"listen\":\"").and_then(|(_, rest)| rest.split('"').next()).map(str::to_owned);
        if let Some(listen) = listen.filter(|_| !asked && text.contains("serving")) {
            asked = true;
            for _ in 0..7 {
                ask(listen.parse().unwrap(), "GET /v1/topics", &["Origin: http://evil.example"], b"");
            }
        }
    }
    assert!(text.contains("more lines like one before"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}

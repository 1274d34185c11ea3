//! Invalid options.

use super::small;
use crate::fixture::loadgen;

/// An address where nothing listens, and which is never connected to.
const NOWHERE: &str = "ws://127.0.0.1:1";

#[test]
fn invalid_options() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--threads=0"], &["--threads is 0: 1 to 1024"]),
        (&["--rate=0"], &["publish.rate is 0"]),
        (&["--rate=5", "--in-flight=5"], &["--rate", "--in-flight", "cannot be used with"]),
        (&["--bytes=10"], &["publish.bytes is 10: 100 to"]),
        (&["--each=5"], &["subscribers.each is 5: 1 to 1"]),
        (&["--no-such-option"], &["--no-such-option"]),
        (&["--protocol=pigeon"], &["pigeon", "tickcast"]),
        (&["--protocol=generic", "--listen=a"], &["--protocol tickcast"]),
        (&["--source=nowhere"], &["--source", "nowhere"]),
    ];
    for (args, words) in cases {
        small(NOWHERE).args(args.iter().copied()).finish().assert_refused(words);
    }
}

#[test]
fn a_process_that_does_not_exist() {
    // Above the largest process id of Linux (PID_MAX_LIMIT, 4,194,304).
    let program = small(NOWHERE).args(["--server-pid=4194305"]);
    program.finish().assert_refused(&["--server-pid 4194305: there is no such process"]);
}

#[test]
fn a_scenario_that_does_not_exist() {
    let names = ["\"stedy\"", "steady", "slow-mix", "reconnect-storm", "soak"];
    loadgen("stedy").args(["--target", NOWHERE]).finish().assert_refused(&names);
}

#[test]
fn a_reader_that_closes_the_pipe_ends_it_quietly() {
    for args in [&["scenarios"][..], &["scenarios", "steady"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.args(args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains("standard output cannot be written"), "{stderr}");
    }
}

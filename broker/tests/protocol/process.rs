//! The program: it starts, it serves, and a signal ends it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Client, End, Running, exchange};

#[test]
fn a_signal_ends_it_with_goaway_and_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tickcast"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-ms", "300"])
            .args(["--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let listen: SocketAddr = log
            .by_ref()
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
                line["listen"].as_str()?.parse().ok()
            })
            .expect("it logs where it listens");
        let mut client = Client::connect(listen);
        let begin = Instant::now();
        kill_process(Pid::from_child(&process), signal).unwrap();
        client.expect("goaway");
        assert_eq!(client.end(), End::Close(Some(1001)));
        drop(client);
        let status = process.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        for line in log {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(line["level"] != "ERROR", "{line}");
        }
    }
}

#[test]
fn health_takes_the_settings_of_the_broker() {
    let broker = Running::start();
    let health = |admin_listen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
        let output = command.arg("health").env("TICKCAST_ADMIN_LISTEN", admin_listen).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(health(&broker.admin.to_string()), (Some(0), String::new()));
    assert_eq!(health(&format!("0.0.0.0:{}", broker.admin.port())), (Some(0), String::new()));
    // The client listener answers as well, but has no `/readyz`.
    let (code, error) = health(&broker.listen.to_string());
    assert!(code == Some(1) && error.contains("404"), "{code:?} {error}");
}

#[test]
fn a_probe_by_http_1_0_needs_no_host() {
    let broker = Running::start();
    // As a load balancer sends it that is told `GET /readyz` and nothing else.
    for path in ["/readyz", "/healthz", "/metrics"] {
        let answer = exchange(broker.admin, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let answer = exchange(broker.admin, format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{path}: {answer:?}");
    }
}

#[test]
fn a_bad_value_is_named_and_nothing_starts() {
    for (flag, value) in
        [("--listen", "nowhere"), ("--heartbeat-ms", "0"), ("--message-bytes", "1"), ("--no-such-flag", "1")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_tickcast")).args(["serve", flag, value]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag}: {stderr}");
        let name = flag.trim_start_matches('-');
        assert!(stderr.contains(name) || stderr.contains(&name.replace('-', "_")), "{flag}: {stderr}");
    }
}

#[test]
fn config_prints_its_warnings_beside_the_settings() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    // The tests' own variables are no settings either.
    command
        .arg("config")
        .env_remove("TICKCAST_DATA")
        .env_remove("TICKCAST_TEST_JOURNAL")
        .env("TICKCAST_RETAIN_UPDATE", "1");
    let output = command.output().unwrap();
    let (settings, warnings) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(warnings, "warning: TICKCAST_RETAIN_UPDATE is set, but there is no such setting\n");
    assert!(settings.contains("retain_updates = ") && !settings.contains("TICKCAST_RETAIN_UPDATE "), "{settings}");
}

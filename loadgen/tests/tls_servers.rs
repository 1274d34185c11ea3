//! The servers of `compare/tls.toml`, each started by its script and measured at a small size: the real broker, and nginx,
//! HAProxy and uWebSockets where they are installed.

mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use fixture::{not_run, scratch};

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The broker's binary beside this program, as `cargo test --workspace` builds it.
fn broker() -> Option<PathBuf> {
    let binary = Path::new(LOADGEN).with_file_name("tickcast");
    if binary.exists() {
        return Some(binary);
    }
    not_run(&format!("needs the broker's binary {} (`cargo build -p broker` builds it)", binary.display()));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI builds the broker before it tests loadgen");
    None
}

fn has(program: &str) -> bool {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// Measures servers with a scenario, in one round. Returns the tables, and the reports.
#[track_caller]
fn compare(servers: &str, scenario: &str, arguments: &[&str]) -> (String, Vec<Value>) {
    let out = scratch("compared");
    let mut command = Command::new(LOADGEN);
    command.args([
        "compare",
        &format!("{ROOT}/loadgen/compare/tls.toml"),
        "--servers",
        servers,
        "--scenarios",
        scenario,
    ]);
    command.args(["--floors=0", "--repeats=1", "--server-cores=0", "--cores=0", "--verify", "--quiet", "--out"]);
    command.arg(&out).args(arguments).env("TICKCAST", Path::new(LOADGEN).with_file_name("tickcast"));
    let output: Output = command.output().expect("loadgen starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let json = std::fs::read_to_string(out.join(format!("{scenario}.json"))).expect("the reports");
    std::fs::remove_dir_all(&out).expect("it is there");
    (said, serde_json::from_str(&json).expect("reports as JSON"))
}

/// Checks that a server has delivered everything, to connections that were made by such handshakes.
#[track_caller]
fn check(report: &Value, negotiated: &[&str]) {
    let (label, connections) = (&report["label"], &report["connections"]);
    assert_eq!(
        (&report["delivery"]["reach"], &connections["failed"]),
        (&1.0.into(), &serde_json::json!({})),
        "{label}"
    );
    assert!(connections["server_cpu_us"].as_f64() > Some(0.0), "{label}: {connections}");
    let tls = connections["tls"].as_object().expect("an object");
    let words: Vec<&str> = tls.keys().map(String::as_str).collect();
    assert_eq!(words.is_empty(), negotiated.is_empty(), "{label}: {words:?}");
    for word in negotiated {
        assert!(words.iter().all(|words| words.contains(word)), "{label}: {word:?} is not in {words:?}");
    }
}

#[test]
fn the_broker_with_tls_and_tokens() {
    let Some(_) = broker() else { return };
    if !has("openssl") {
        return not_run("needs openssl, which makes the certificates");
    }
    let servers = "tickcast,tickcast-tls,tickcast-tls-mlkem,tickcast-tls-tokens";
    let (said, reports) = compare(servers, "connect", &["-n", "20", "--seconds=1"]);
    let full = |key_exchange| vec!["TLS 1.3", key_exchange, "AES_128_GCM", "full"];
    let wanted = [vec![], full("X25519,"), full("X25519MLKEM768,"), full("X25519,")];
    reports.iter().zip(&wanted).for_each(|(report, wanted)| check(report, wanted));
    assert_eq!(reports.len(), 4);
    for words in ["CPU µs/connect", "tickcast-tls: 20 connections with TLS 1.3, X25519,"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    assert!(!said.contains("all back"), "no storm:\n{said}");
}

#[test]
fn a_storm_of_clients_with_tokens() {
    let Some(_) = broker() else { return };
    if !has("openssl") {
        return not_run("needs openssl, which makes the certificates");
    }
    let (said, reports) =
        compare("tickcast-tls-tokens", "login-storm", &["-n", "33", "--seconds=12", "--threads=2", "--rate=100"]);
    check(&reports[0], &["TLS 1.3", "X25519,", "full"]);
    let reconnect = &reports[0]["connections"]["reconnect"];
    assert_eq!(reconnect["count"], 30, "{reconnect}");
    assert!(reconnect["stayed"]["before"].as_u64() > Some(0), "{reconnect}");
    for words in ["all back s", "p99 ms before"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

/// Measures a server that may not be installed.
#[track_caller]
fn peer(name: &str, installed: bool) {
    let Some(_) = broker() else { return };
    if !installed || !has("openssl") {
        return not_run(&format!("needs {name}, which `loadgen/peers/install {name}` installs, and openssl"));
    }
    let (_, reports) = compare(&format!("tickcast-tls,{name}"), "deliveries-8k", &["-n", "5", "--seconds=1"]);
    reports.iter().for_each(|report| check(report, &["TLS 1.3", "X25519,", "AES_128_GCM", "full"]));
    assert_eq!(reports.len(), 2);
}

#[test]
fn nginx_before_the_broker() {
    peer("nginx-tls", has("nginx") && has("setpriv"));
}

#[test]
fn haproxy_before_the_broker() {
    peer("haproxy-tls", has("haproxy") && has("setpriv"));
}

#[test]
fn uwebsockets_with_tls() {
    peer("uwebsockets-tls", Path::new(&format!("{ROOT}/.tools/peers/uwebsockets/server-tls")).exists());
}

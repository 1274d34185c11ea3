//! `tickcast health --url`: what it says about listeners over TLS, and about those that are none.

use std::net::TcpListener;
use std::process::Command;

use crate::client::{NAME, settings};
use crate::common::Running;
use crate::pki::{Issued, Pki};

/// Runs the check. Returns its exit status, and what it complains about.
fn health(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tickcast")).arg("health").args(arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn refused(arguments: &[&str], code: i32, part: &str) {
    let (found, said) = health(arguments);
    assert!(found == code && said.contains(part), "{arguments:?}: {found} {said}");
}

/// A broker that shows a certificate for these names.
fn showing(pki: &Pki, name: &str, issued: &Issued) -> (Running, String) {
    let broker = Running::with(&settings(&pki.write(name, issued)));
    let url = format!("https://127.0.0.1:{}", broker.tls.unwrap().port());
    (broker, url)
}

#[test]
fn a_good_listener_is_healthy_over_tls_and_without() {
    let pki = Pki::new();
    let (broker, url) = showing(&pki, "local", &pki.issue(&["127.0.0.1", "localhost"]));
    let ca = pki.ca();
    let ca = ca.to_str().unwrap();
    assert_eq!(health(&["--url", &url, "--ca", ca]), (0, String::new()));
    assert_eq!(health(&["--url", &format!("{url}/v1/topics?limit=1"), "--ca", ca]), (0, String::new()));
    assert_eq!(health(&["--url", &format!("http://{}", broker.listen)]), (0, String::new()));
    assert_eq!(health(&["--url", &format!("http://{}/readyz", broker.admin)]), (0, String::new()));
    refused(&["--url", &format!("{url}/nothing"), "--ca", ca], 1, "not ready, status 404: {\"error\"");
    // It has handshakes with what it was told to trust alone.
    refused(&["--url", &url], 1, "authority that is not trusted here; --ca");
    let other = Pki::new();
    refused(&["--url", &url, "--ca", other.ca().to_str().unwrap()], 1, "authority that is not trusted here");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let pki = Pki::new();
    let ca = pki.ca();
    let ca = ca.to_str().unwrap();
    let (_broker, url) = showing(&pki, "expired", &pki.issue_expired(&["127.0.0.1"]));
    refused(&["--url", &url, "--ca", ca], 1, "its certificate has expired");
    let (_broker, url) = showing(&pki, "other", &pki.issue(&[NAME]));
    refused(&["--url", &url, "--ca", ca], 1, "its certificate is not for 127.0.0.1");
    let files = pki.write("local", &pki.issue(&["127.0.0.1"]));
    let broker =
        Running::with(&[&settings(&files)[..], &[("tls_client_auth", "required"), ("tls_client_ca", ca)]].concat());
    let url = format!("https://127.0.0.1:{}", broker.tls.unwrap().port());
    refused(&["--url", &url, "--ca", ca], 1, "it asks for a certificate of the client");
}

#[test]
fn what_is_no_such_listener_is_not_healthy() {
    let pki = Pki::new();
    let ca = pki.ca();
    let ca = ca.to_str().unwrap();
    let (broker, url) = showing(&pki, "local", &pki.issue(&["127.0.0.1"]));
    refused(&["--url", &format!("https://{}", broker.listen), "--ca", ca], 1, "does not speak TLS");
    refused(&["--url", &url.replace("https", "http")], 1, "");
    // Nobody accepts, and nobody says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    refused(&["--url", &format!("https://{address}"), "--ca", ca], 1, "silent for 2 s");
    refused(&["--url", &format!("http://{address}")], 1, "silent for 2 s");
    drop(silent);
    refused(&["--url", &format!("https://{address}"), "--ca", ca], 1, "Connection refused");
    refused(&["--url", "https://no-such-host.invalid", "--ca", ca], 1, "no-such-host.invalid is not known");
}

#[test]
fn a_wrong_command_line_is_told_apart() {
    let pki = Pki::new();
    let empty = pki.path("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let url = "https://127.0.0.1:9443";
    for (arguments, part) in [
        (&["--url", "md.example"][..], "neither https"),
        (&["--url", "wss://md.example/v1/ws"], "neither https"),
        (&["--url", "http://127.0.0.1", "--ca", "ca.pem"], "--ca is for https"),
        (&["--url", url, "--ca", "/no/such/file.pem"], "--ca /no/such/file.pem"),
        (&["--url", url, "--ca", empty.to_str().unwrap()], "no certificate in PEM"),
        (&["--ca", "ca.pem"], "--url"),
    ] {
        refused(arguments, 2, part);
    }
}

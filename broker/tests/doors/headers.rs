//! What a token's header names is looked up among the keys, and nowhere else: no file is opened, and no address asked.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use super::common::{Client, Hands, Process, ask, command, not_run, until};
use super::issuer::{Issuer, Key};
use super::tokens::auth;

/// In the names of all files and addresses that tokens name.
const MARKER: &str = "named-by-a-token";

/// Headers of tokens that name this file and this address in every way, and keys of other kinds.
fn headers(file: &str, url: &str, own: &Jwk) -> Vec<Header> {
    let eddsa = || Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let kid = |kid: String| Header { kid: Some(kid), ..eddsa() };
    vec![
        kid(file.to_owned()),
        kid(format!("../../../../../../..{file}")),
        kid(format!("file://{file}")),
        kid(url.to_owned()),
        kid(format!("{file}\0")),
        kid(format!("|cat {file}")),
        // As long as a token may be, and longer.
        kid(format!("{file}{}", "k".repeat(5_000))),
        kid(format!("{file}{}", "k".repeat(8_192))),
        // The issuer's key is of another kind: RSA and EC have none.
        Header { alg: Algorithm::RS256, ..kid("one".to_owned()) },
        Header { alg: Algorithm::ES256, ..kid("one".to_owned()) },
        Header { jku: Some(url.to_owned()), ..kid(MARKER.to_owned()) },
        Header { jku: Some(url.to_owned()), ..eddsa() },
        Header { jku: Some(format!("file://{file}")), ..kid(MARKER.to_owned()) },
        Header { x5u: Some(url.to_owned()), ..kid(MARKER.to_owned()) },
        Header { jwk: Some(own.clone()), ..kid(MARKER.to_owned()) },
    ]
}

/// A broker whose system calls with paths and addresses are written to a file, if that can be done here.
fn traced(flags: &[&str], trace: &Path) -> (Process, bool) {
    let broker = command(flags);
    let mut tracing = Command::new("strace");
    // With `-D` the process that is started is the broker itself, and not its tracer.
    tracing.args(["-D", "-f", "-q", "-s", "4096", "-e", "trace=%file,connect", "-o"]).arg(trace);
    let can = Command::new("strace").args(["-D", "-o", "/dev/null", "true"]).output();
    if can.as_ref().is_ok_and(|output| output.status.success()) {
        tracing.arg(broker.get_program()).args(broker.get_args());
        return (Process::run(tracing), true);
    }
    not_run("strace is missing or may not trace, so only requests are counted, and not what is opened");
    (Process::run(broker), false)
}

#[test]
fn what_a_header_names_is_not_opened_and_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (issuer, key, forger) = (Issuer::new(), Key::new("one"), Key::new(MARKER));
    issuer.has(&key);
    // Both have the forger's key, so that whoever believed a token would take it.
    let (stranger, file) = (Issuer::new(), path(&format!("{MARKER}.json")));
    stranger.has(&forger);
    std::fs::write(&file, forger.jwks()).unwrap();
    let url = format!("http://{}/jwks.json", issuer.address);
    let flags = ["--token-jwks-url", &url, "--jwks-cooldown-ms", "1000", "--drain-ms", "0", "--auth-ms", "60000"];
    let (mut broker, is_traced) = traced(&flags, &path("trace"));

    let mut client = Client::with(broker.listen, Hands::default(), &[], b"");
    until("the keys are fetched", || auth(&mut client, &key.token()).op() == "authenticated");
    let strange = format!("http://{}/{MARKER}.json", stranger.address);
    let mut refused = 0;
    for header in headers(file.to_str().unwrap(), &strange, &forger.jwk()) {
        let token = forger.token_of(&header);
        let answer = auth(&mut client, &token);
        assert_eq!(answer["code"], json!("bad_token"), "{header:?}: {answer:?}");
        let bearer = format!("Authorization: Bearer {token}");
        let answer = ask(broker.listen, "GET /v1/topics", &[&bearer], b"");
        assert_eq!(answer.status, 401, "{header:?}: {answer:?}");
        refused += 1;
    }
    assert_eq!(refused, 15);
    assert_eq!(auth(&mut client, &key.token()).op(), "authenticated");
    assert_eq!(stranger.asked(), 0);
    if is_traced {
        broker.end(rustix::process::Signal::TERM);
        judge(&path("trace"), issuer.address);
    }
}

/// Looks at everything that the broker has opened and connected to.
#[track_caller]
fn judge(trace: &Path, issuer: SocketAddr) {
    // The tracer ends after the broker.
    until("the trace to be whole", || read_to_string(trace).unwrap_or_default().contains("+++ exited with"));
    let trace = read_to_string(trace).unwrap();
    let port = format!("htons({})", issuer.port());
    let connects: BTreeSet<&str> = trace.lines().filter(|line| line.contains("connect(")).collect();
    assert!(connects.iter().any(|line| line.contains(&port)), "the trace does not show what it has to: {trace}");
    let elsewhere = connects.iter().find(|line| line.contains("AF_INET") && !line.contains(&port));
    assert_eq!(elsewhere, None);
    assert!(trace.contains("openat("), "the trace does not show what it has to: {trace}");
    if let Some(line) = trace.lines().find(|line| line.contains(MARKER)) {
        panic!("what a token names was touched: {line}");
    }
}

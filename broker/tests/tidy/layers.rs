//! Which crate may depend on which. Each crate boundary exists because it forbids something.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::tree::{code, files, read, root, sources};

/// Crates that bring I/O or an async runtime with them.
const IO: &[&str] = &[
    "async-io",
    "async-std",
    "fastwebsockets",
    "futures-util",
    "hyper",
    "hyper-util",
    "mio",
    "polling",
    "rustix",
    "smol",
    "socket2",
    "tokio",
    "tungstenite",
];

/// A crate, and the crates that must not be among its dependencies, direct or indirect.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("broker-protocol", &["broker-engine", "broker-identity", "broker-client", "broker"]),
    // Who a client is does not depend on what it then does.
    ("broker-identity", &["broker-engine", "broker-client", "broker"]),
    ("broker-engine", &["broker-identity", "broker-client", "broker", "broker-journal"]),
    // It knows no settings and no clients. Another test has what the local journal may not know.
    ("broker-journal", &["broker-identity", "broker-client", "broker", "hyper"]),
    ("broker-client", &["broker-engine", "broker", "feed-player"]),
    // Its demo needs scenarios. Reading recordings would bring forty more crates, one of them in C.
    ("broker", &["feed-formats", "feed-sim"]),
    ("feed-player", &["broker-engine", "broker", "feed-scenarios", "feed-formats"]),
    ("feed-scenarios", &["broker-engine", "broker", "feed-formats"]),
    ("feed-formats", &["broker-engine", "broker", "feed-scenarios"]),
    ("feed-sim", &["broker-engine", "broker"]),
    ("loadgen", &["broker-engine", "broker-client", "broker-protocol", "broker", "feed-player"]),
    // Tests and the load generator check servers with it, so it may not contain a server's code, nor be in a server.
    ("ws-frames", &["broker-protocol", "broker-engine", "broker-client", "broker"]),
    ("broker", &["ws-frames"]),
];

/// Crates that do no I/O, read no clock and wait for nothing.
const PURE: &[&str] = &["broker-protocol", "broker-identity", "broker-engine"];

/// What a pure crate's sources may not mention.
const IMPURE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::io",
    "std::os",
    "std::thread",
    "Instant",
    "SystemTime",
    ".await",
    "async fn",
    "async {",
];

/// The manifests of the workspace's crates, by the crate's name.
fn manifests() -> BTreeMap<String, (String, toml::Table)> {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let read_member = |member: &toml::Value| {
        let folder = member.as_str().unwrap();
        let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
        (manifest["package"]["name"].as_str().unwrap().to_owned(), (folder.to_owned(), manifest))
    };
    members.iter().map(read_member).collect()
}

/// Returns the direct dependencies of a crate, except for those of its tests.
fn direct(manifest: &toml::Table) -> BTreeSet<String> {
    let mut all = named(manifest);
    for (target, table) in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        // The model checker is only for its own test.
        if target != "cfg(loom)" {
            all.extend(table.as_table().map(named).unwrap_or_default());
        }
    }
    all
}

fn named(table: &toml::Table) -> BTreeSet<String> {
    let kinds = ["dependencies", "build-dependencies"].into_iter();
    let tables = kinds.filter_map(|kind| table.get(kind).and_then(toml::Value::as_table));
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// Returns all direct and indirect dependencies of a crate: its own from the manifest, theirs from the lock file, for
/// all platforms.
fn below(name: &str) -> BTreeSet<String> {
    let manifests = manifests();
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let mut locked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let needs = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        // "name version" if there are several versions; all of them count.
        let needs = needs.map(|need| need.as_str().unwrap().split(' ').next().unwrap_or_default());
        locked.entry(package["name"].as_str().unwrap()).or_default().extend(needs);
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = direct(&manifests[name].1).into_iter().collect();
    while let Some(next) = open.pop() {
        if !found.insert(next.clone()) {
            continue;
        }
        match manifests.get(&next) {
            Some((_, manifest)) => open.extend(direct(manifest)),
            None => open.extend(locked.get(next.as_str()).into_iter().flatten().map(|need| (*need).to_owned())),
        }
    }
    found
}

#[test]
fn crates_depend_only_on_what_they_may() {
    for (name, forbidden) in FORBIDDEN {
        let below = below(name);
        let found: Vec<_> = forbidden.iter().filter(|forbidden| below.contains(**forbidden)).collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
    }
    assert!(below("broker").contains("tokio"), "the lock file was not understood");
}

/// The most crates that the broker may consist of without the feature `nats`, including its own. The journal brought two:
/// its own, and xxhash-rust for the checksums of its files.
const BROKER_CRATES_MAX: usize = 156;

/// The same with the feature `nats`. What it adds is async-nats, the client by NATS' own makers, and what that needs:
/// JetStream's API with its JSON and times, TLS, nkeys with their signatures, the object store with its digests, and the
/// parsing of addresses. A client of our own would be thousands of lines that follow somebody else's protocol. Whoever
/// needs no journal in NATS builds without it.
const BROKER_CRATES_WITH_NATS_MAX: usize = 219;

/// The crates that a program of `package` consists of, as `name vVERSION`.
fn crates(package: &str, features: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}", "--locked", "--offline"])
        .args(features)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

fn has(crates: &BTreeSet<String>, name: &str) -> bool {
    crates.iter().any(|one| one.strip_prefix(name).is_some_and(|rest| rest.starts_with(" v")))
}

/// Each crate is code that a server on the network trusts, and that every user compiles.
#[test]
fn the_broker_consists_of_few_crates() {
    let without = ["--no-default-features", "--features", "tls"];
    for (features, has_nats, max) in
        [(&without[..], false, BROKER_CRATES_MAX), (&[], true, BROKER_CRATES_WITH_NATS_MAX)]
    {
        let crates = crates("broker", features);
        assert!(has(&crates, "tokio") && has(&crates, "tokio-rustls"), "the tree was not understood: {crates:?}");
        assert_eq!(has(&crates, "async-nats"), has_nats, "{features:?}");
        assert!(
            crates.len() <= max,
            "the broker with {features:?} consists of {} crates, at most {max} are agreed: {crates:#?}",
            crates.len()
        );
    }
}

/// A journal on this machine is files and a thread. What talks to NATS needs a runtime, and is a feature.
#[test]
fn the_journal_without_nats_needs_no_runtime_and_no_sockets() {
    let crates = crates("broker-journal", &["--no-default-features"]);
    assert!(has(&crates, "broker-engine"), "the tree was not understood: {crates:?}");
    let found: Vec<_> =
        ["async-nats", "futures-util", "mio", "tokio"].into_iter().filter(|io| has(&crates, io)).collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_engine_and_the_protocol_need_no_runtime_and_no_sockets() {
    for name in PURE {
        let below = below(name);
        let found: Vec<_> = IO.iter().filter(|io| below.contains(**io)).collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
    }
}

#[test]
fn the_engine_and_the_protocol_do_no_io_and_read_no_clock() {
    let manifests = manifests();
    let folders: Vec<String> = PURE.iter().map(|name| format!("{}/src/", manifests[*name].0)).collect();
    for (name, text) in sources() {
        if !folders.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = IMPURE.iter().find(|impure| mentions(code(line), impure));
            assert_eq!(found, None, "{name}:{}: {line}", number + 1);
        }
    }
}

/// Whether code contains this, and not as the beginning of a longer word.
fn mentions(code: &str, what: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let is_word = what.ends_with(char::is_alphanumeric);
    code.match_indices(what).any(|(at, _)| !is_word || !goes_on(&code[at + what.len()..]))
}

#[test]
fn a_word_is_mentioned_as_a_whole() {
    assert!(
        mentions("socket.await?", ".await")
            && mentions("use std::io;", "std::io")
            && mentions("async { x }", "async {")
    );
    assert!(!mentions("self.awaiting.get(id)", ".await") && !mentions("InstantNoodles", "Instant"));
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for (name, (_, manifest)) in manifests() {
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{name}: [lints] workspace = true is missing");
    }
}

#[test]
fn every_crate_is_in_the_workspace() {
    let members: BTreeSet<String> =
        manifests().into_values().map(|(folder, _)| format!("{folder}/Cargo.toml")).collect();
    for name in files().iter().filter(|name| name.ends_with("/Cargo.toml")) {
        // Fuzzing needs another compiler, so its crate is a workspace of its own.
        assert!(members.contains(name) || name == "broker/fuzz/Cargo.toml", "{name} is in no workspace");
    }
}

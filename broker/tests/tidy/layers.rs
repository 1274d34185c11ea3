//! Which crate stands on which. A boundary earns its place by forbidding something.

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

/// A crate, and what must not be among its dependencies, nor among theirs.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("broker-protocol", &["broker-engine", "broker-client", "broker"]),
    ("broker-engine", &["broker-client", "broker"]),
    ("broker-client", &["broker-engine", "broker", "feed-player"]),
    // Its demo needs scenarios. What reads recordings brings forty crates with it, one of them in C.
    ("broker", &["feed-formats", "feed-sim"]),
    ("feed-player", &["broker-engine", "broker", "feed-scenarios", "feed-formats"]),
    ("feed-scenarios", &["broker-engine", "broker", "feed-formats"]),
    ("feed-formats", &["broker-engine", "broker", "feed-scenarios"]),
    ("feed-sim", &["broker-engine", "broker"]),
    ("loadgen", &["broker-engine", "broker-client", "broker-protocol", "broker", "feed-player"]),
    // Tests and loads check servers with it, so no server's code may be in it, nor it in a server.
    ("ws-frames", &["broker-protocol", "broker-engine", "broker-client", "broker"]),
    ("broker", &["ws-frames"]),
];

/// Crates that do no I/O, tell no time and wait for nothing.
const PURE: &[&str] = &["broker-protocol", "broker-engine"];

/// What a pure crate's sources do not mention.
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

/// What a crate needs to be built and run, tests not counted.
fn direct(manifest: &toml::Table) -> BTreeSet<String> {
    let mut all = named(manifest);
    for (target, table) in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        // The model checker is there for its own test only.
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

/// Everything below a crate: its own dependencies from its manifest, theirs from the lock file, of all platforms.
fn below(name: &str) -> BTreeSet<String> {
    let manifests = manifests();
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let mut locked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let needs = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        // "name version" where there are several versions; all of them count.
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
fn crates_stand_on_what_they_may() {
    for (name, forbidden) in FORBIDDEN {
        let below = below(name);
        let found: Vec<_> = forbidden.iter().filter(|forbidden| below.contains(**forbidden)).collect();
        assert!(found.is_empty(), "{name} stands on {found:?}");
    }
    assert!(below("broker").contains("tokio"), "the lock file was not understood");
}

/// Crates that the broker may consist of, its own among them.
const BROKER_CRATES_MAX: usize = 135;

/// Each one is code that a server on the network trusts, and that everybody compiles who tries it out.
#[test]
fn the_broker_consists_of_few_crates() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "broker", "-e", "normal", "--prefix", "none", "--format", "{p}", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = lines.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.iter().any(|one| one.starts_with("tokio v")), "the tree was not understood: {crates:?}");
    assert!(
        crates.len() <= BROKER_CRATES_MAX,
        "the broker consists of {} crates, at most {BROKER_CRATES_MAX} are agreed: {crates:#?}",
        crates.len()
    );
}

#[test]
fn the_engine_and_the_protocol_need_no_runtime_and_no_sockets() {
    for name in PURE {
        let below = below(name);
        let found: Vec<_> = IO.iter().filter(|io| below.contains(**io)).collect();
        assert!(found.is_empty(), "{name} stands on {found:?}");
    }
}

#[test]
fn the_engine_and_the_protocol_do_no_io_and_ask_no_clock() {
    let manifests = manifests();
    let folders: Vec<String> = PURE.iter().map(|name| format!("{}/src/", manifests[*name].0)).collect();
    for (name, text) in sources() {
        if !folders.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = IMPURE.iter().find(|impure| code(line).contains(**impure));
            assert_eq!(found, None, "{name}:{}: {line}", number + 1);
        }
    }
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

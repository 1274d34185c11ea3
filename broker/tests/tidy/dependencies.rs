//! Every dependency in a manifest is used by a source. The check is by text: a crate that is used is named, in a path
//! or after `use`.

use std::collections::BTreeSet;

use super::tree::{code, read, sources};

fn tables(manifest: &toml::Table) -> Vec<&toml::Table> {
    let mut roots = vec![manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    roots.extend(targets.into_iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table)));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    roots.into_iter().flat_map(|root| kinds.map(|kind| root.get(kind)?.as_table())).flatten().collect()
}

/// Returns whether code names a crate: as a whole word, not as a part of another one.
fn names(text: &str, krate: &str) -> bool {
    let in_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.lines().map(code).any(|line| {
        line.match_indices(krate).any(|(at, _)| {
            let bytes = line.as_bytes();
            !in_word(at.checked_sub(1).and_then(|before| bytes.get(before))) && !in_word(bytes.get(at + krate.len()))
        })
    })
}

#[test]
fn every_dependency_is_used() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let folders: Vec<String> = members.iter().map(|member| format!("{}/", member.as_str().unwrap())).collect();
    let sources = sources();
    // A source belongs to its innermost crate: broker/engine is not a part of broker.
    let owner =
        |name: &str| folders.iter().filter(|folder| name.starts_with(*folder)).max_by_key(|folder| folder.len());
    let (mut used, mut unused) = (BTreeSet::new(), Vec::new());
    for folder in &folders {
        let manifest: toml::Table = read(&format!("{folder}Cargo.toml")).parse().unwrap();
        for name in tables(&manifest).into_iter().flat_map(toml::Table::keys) {
            used.insert(name.clone());
            let krate = name.replace('-', "_");
            let mut own = sources.iter().filter(|(source, _)| owner(source) == Some(folder));
            if !own.any(|(_, text)| names(text, &krate)) {
                unused.push(format!("{folder}Cargo.toml: {name}"));
            }
        }
    }
    let table = workspace["workspace"]["dependencies"].as_table().unwrap();
    let unused_in_table = table.keys().filter(|name| !used.contains(*name)).map(|name| format!("Cargo.toml: {name}"));
    unused.extend(unused_in_table);
    assert!(unused.is_empty(), "no source uses: {unused:#?}");
}

#[test]
fn a_name_is_a_whole_word_of_the_code() {
    for (text, named) in [
        ("use slab::Slab;", true),
        ("    slab::Slab::new()", true),
        ("// slab::Slab", false),
        ("use my_slab::Slab;", false),
        ("let slabs = 1;", false),
    ] {
        assert_eq!(names(text, "slab"), named, "{text}");
    }
}

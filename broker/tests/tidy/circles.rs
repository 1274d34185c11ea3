//! Modules depend on each other in one direction only: none depends, through others, on itself.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{code, sources};

/// The folders whose modules are checked, each with the path by which code names it.
const FOLDERS: [(&str, &str); 14] = [
    ("broker/src/", "crate"),
    ("broker/engine/src/", "crate"),
    ("broker/engine/src/log/", "crate::log"),
    ("broker/engine/src/shard/", "crate::shard"),
    ("broker/journal/src/", "crate"),
    ("broker/journal/src/checkpoint/", "crate::checkpoint"),
    ("broker/journal/src/local/", "crate::local"),
    ("broker/journal/src/nats/", "crate::nats"),
    ("broker/journal/src/store/", "crate::store"),
    ("broker/engine/src/shard/conn/", "crate::shard::conn"),
    ("broker/engine/src/shard/follows/", "crate::shard::follows"),
    ("broker/identity/src/", "crate"),
    ("broker/clients/rust/src/", "crate"),
    ("broker/clients/rust/src/book/", "crate::book"),
];

/// The only circle, which the crate's documentation explains: topics count themselves in the budgets, and the budgets
/// know the topics that hold most.
const ALLOWED: [(&str, &str); 1] = [("budget", "topic")];

/// Returns, for each module directly in a folder, the sibling modules that its code names.
fn modules(folder: &str, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sources: Vec<_> = sources().into_iter().filter(|(name, _)| name.starts_with(folder)).collect();
    let module = |name: &str| name[folder.len()..].trim_end_matches(".rs").split('/').next().map(str::to_owned);
    for (name, _) in &sources {
        modules.entry(module(name).unwrap()).or_default();
    }
    // The folder's own file is its map and names everything.
    modules.retain(|name, _| name != "mod" && name != "lib" && name != "tests");
    let names: BTreeSet<String> = modules.keys().cloned().collect();
    for (name, text) in &sources {
        let rest = &name[folder.len()..];
        let own = module(name).unwrap();
        if rest.contains("tests") || !names.contains(&own) {
            continue;
        }
        // `super` is the folder itself in one of its files, and `super::super` in a file of a subfolder.
        let supers = rest.trim_end_matches("/mod.rs").matches('/').count() + 1;
        let beginnings = [format!("{path}::"), format!("{}::", vec!["super"; supers].join("::"))];
        let code: String = text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().map(code).collect();
        for beginning in &beginnings {
            for (at, _) in code.match_indices(beginning.as_str()) {
                let before = code[..at].chars().next_back();
                if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':') {
                    continue;
                }
                let after = &code[at + beginning.len()..];
                let to = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                if names.contains(to) && to != own {
                    modules.get_mut(&own).unwrap().insert(to.to_owned());
                }
            }
        }
    }
    modules
}

/// Returns the modules in a circle: those that are left when modules without dependencies are removed repeatedly.
fn circle(mut modules: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let ground: BTreeSet<String> =
            modules.iter().filter(|(_, below)| below.is_empty()).map(|(name, _)| name.clone()).collect();
        if ground.is_empty() {
            return modules;
        }
        modules.retain(|name, _| !ground.contains(name));
        modules.values_mut().for_each(|below| below.retain(|name| !ground.contains(name)));
    }
}

#[test]
fn no_module_depends_on_itself() {
    for (folder, path) in FOLDERS {
        let mut modules = modules(folder, path);
        assert!(modules.len() > 2, "{folder} has {} modules only", modules.len());
        assert!(modules.values().any(|below| !below.is_empty()), "no module in {folder} names a sibling");
        for (one, other) in ALLOWED {
            if let Some(below) = modules.get_mut(one) {
                below.remove(other);
            }
        }
        let circle = circle(modules);
        assert!(circle.is_empty(), "in {folder} these depend on themselves, or on modules that do: {circle:?}");
    }
}

#[test]
fn a_circle_is_found() {
    let below = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let mut modules = BTreeMap::from([
        ("a".to_owned(), below(&["b"])),
        ("b".to_owned(), below(&["c"])),
        ("c".to_owned(), below(&[])),
    ]);
    assert!(circle(modules.clone()).is_empty());
    modules.insert("c".to_owned(), below(&["a"]));
    assert_eq!(circle(modules).len(), 3);
}

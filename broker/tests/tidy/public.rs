//! No function is public only for tests. The check reads the sources as text: a function has no caller if its name
//! occurs only once in all code other than tests, benchmarks, examples, fuzz targets and `use` declarations. A function
//! that shares its name with something else, or that its own module calls as well, is not noticed.

use std::collections::{BTreeSet, HashMap};

use super::tree::{code, sources};

/// Functions that only tests may call, and why.
const ALLOWED: [(&str, &str); 3] = [
    ("has_pending", "the simulation has to know when a shard is at rest"),
    ("of_bytes", "the counterpart of `open` for a recording in memory"),
    ("plant", "faults are planted by a test, with a feature that no normal build has"),
];

/// Crates whose public functions are called by other people's programs.
const LIBRARIES: [&str; 1] = ["broker/clients/rust/"];

fn is_for_tests(name: &str) -> bool {
    let folders = ["tests/", "benches/", "examples/", "fuzz/"];
    folders.iter().any(|folder| name.contains(folder)) || name.ends_with("tests.rs")
}

/// Returns the lines of code of a source, without its module of tests and its `use` declarations.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let mut in_use = false;
    text[..tests].lines().map(code).filter(move |line| {
        let (begun, first) = (in_use, line.trim_start());
        let is_use = begun || first.starts_with("use ") || (first.starts_with("pub") && first.contains(" use "));
        in_use = is_use && !line.contains(';');
        !is_use
    })
}

/// Returns the name of the public function that a line declares.
fn declared(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
    let (modifiers, rest) = rest.split_once("fn ")?;
    let plain = modifiers.split_whitespace().all(|word| matches!(word, "const" | "async"));
    // A name that a macro makes is none that could be looked for.
    rest.split(|sign: char| !sign.is_alphanumeric() && sign != '_').next().filter(|name| plain && !name.is_empty())
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|sign: char| !sign.is_alphanumeric() && sign != '_').filter(|word| !word.is_empty())
}

#[test]
fn no_function_is_public_only_for_tests() {
    let sources: Vec<_> = sources().into_iter().filter(|(name, _)| !is_for_tests(name)).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    sources
        .iter()
        .flat_map(|(_, text)| lines(text))
        .flat_map(words)
        .for_each(|word| *counts.entry(word).or_default() += 1);
    let (mut unused, mut allowed) = (Vec::new(), BTreeSet::new());
    for (name, text) in sources.iter().filter(|(name, _)| !LIBRARIES.iter().any(|library| name.starts_with(library))) {
        let mut before = "";
        for line in lines(text) {
            let function = declared(line).filter(|function| counts[function] == 1 && before.trim() != "#[cfg(test)]");
            before = line;
            match function {
                Some(function) if ALLOWED.iter().any(|(known, _)| *known == function) => _ = allowed.insert(function),
                Some(function) => unused.push(format!("{name}: {function}")),
                None => {}
            }
        }
    }
    assert!(unused.is_empty(), "only tests call these, or nothing does: {unused:#?}");
    let known: BTreeSet<_> = ALLOWED.iter().map(|(function, _)| *function).collect();
    assert_eq!(allowed, known, "these have callers by now, or are gone: remove them from the list");
}

#[test]
fn a_declaration_is_found() {
    for (line, function) in [
        ("pub fn one(a: u8) -> u8 {", Some("one")),
        ("    pub(super) const fn two<T>() {", Some("two")),
        ("pub(crate) async fn three()", Some("three")),
        ("fn four() {}", None),
        ("pub fn $name(&self)", None),
        ("pub struct Five(fn (u8));", None),
        ("publish(fn ())", None),
    ] {
        assert_eq!(declared(line), function, "{line}");
    }
}

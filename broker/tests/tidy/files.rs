//! Files: where they are, how long they are, and what none of them contains.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use super::tree::{code, files, read, sources};

/// Everything that is at the top level, so that a newcomer sees the whole at a glance.
const TOP: &[&str] = &[
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "broker",
    "clippy.toml",
    "dashboards",
    "deploy",
    "feed-sim",
    "loadgen",
    "rustfmt.toml",
];

/// A longer file cannot be read in one sitting. Most have a quarter of that.
const LINES_MAX: usize = 600;

#[test]
fn the_top_level_is_as_agreed() {
    let files = files();
    let top: BTreeSet<&str> = files.iter().map(|name| name.split('/').next().unwrap_or(name)).collect();
    let agreed: BTreeSet<&str> = TOP.iter().copied().collect();
    assert_eq!(top.difference(&agreed).collect::<Vec<_>>(), [&""; 0], "not agreed: it belongs into one of the folders");
    assert_eq!(agreed.difference(&top).collect::<Vec<_>>(), [&""; 0], "missing");
}

#[test]
fn no_file_is_too_long() {
    let written = [".rs", ".toml", ".md", ".cjs", ".mjs", ".js", ".py", ".sh", ".svg", ".html", ".css"];
    for name in files() {
        if written.iter().any(|ending| name.ends_with(ending)) {
            let lines = read(&name).lines().count();
            assert!(lines <= LINES_MAX, "{name} has {lines} lines, at most {LINES_MAX} are agreed: one idea each");
        }
    }
}

/// A file that was moved and left behind, or that nobody names, is not even compiled.
#[test]
fn every_source_is_a_module_of_something() {
    let sources: BTreeMap<String, String> = sources().into_iter().collect();
    // Cargo finds these by their places.
    let roots = ["lib.rs", "main.rs", "build.rs"];
    let root_folders = ["tests", "examples", "benches", "fuzz_targets", "bin"];
    let manifests = files().into_iter().filter(|name| name.ends_with("Cargo.toml")).map(|name| read(&name));
    let texts: Vec<String> = sources.values().cloned().chain(manifests).collect();
    let by_path: Vec<&str> =
        texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains("path = ")).collect();
    for name in sources.keys() {
        let path = Path::new(name);
        let file = path.file_name().and_then(OsStr::to_str).unwrap();
        let folder = path.parent().unwrap();
        if roots.contains(&file) || file != "mod.rs" && root_folders.iter().any(|root| folder.ends_with(root)) {
            continue;
        }
        let (module, above) = match file {
            "mod.rs" => (folder.file_name().and_then(OsStr::to_str).unwrap(), folder.parent().unwrap()),
            _ => (file.trim_end_matches(".rs"), folder),
        };
        let owners = ["mod.rs", "lib.rs", "main.rs"].map(|file| above.join(file));
        let mut owners = owners.iter().cloned().chain([above.with_extension("rs")]);
        let declared = format!("mod {module};");
        let is_declared = owners.any(|owner| {
            let text = sources.get(owner.to_str().unwrap());
            text.is_some_and(|text| text.lines().map(code).any(|line| line.trim().ends_with(&declared)))
        });
        let of_module = if file == "mod.rs" { format!("{module}/{file}\"") } else { format!("{file}\"") };
        let ends = [format!("/{of_module}"), format!("\"{of_module}")];
        let is_named = by_path.iter().any(|line| ends.iter().any(|end| line.contains(end.as_str())));
        // A folder of tests has several programs, and any of them may declare it.
        let mut beside = sources.iter().filter(|(other, _)| Path::new(other).parent() == Some(above));
        let is_shared = beside.any(|(_, text)| text.lines().map(code).any(|line| line.trim().ends_with(&declared)));
        assert!(is_declared || is_named || is_shared, "{name} is no module of anything: remove it, or declare it");
    }
}

#[test]
fn no_source_is_unsafe() {
    // The compiler forbids it in every crate that takes the workspace's lints, and another test checks that all do.
    let forms = ["{", "fn ", "impl ", "trait ", "extern "].map(|form| format!("{}safe {form}", "un"));
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            assert!(!forms.iter().any(|form| code(line).contains(form)), "{name}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn no_command_panics_when_its_output_is_not_read() {
    // These macros panic if the reader is gone or the disk is full. `say.rs` and the log write without them.
    let forms = ["print", "println", "eprint", "eprintln"].map(|form| format!("{form}!("));
    for (name, text) in sources() {
        let is_product = ["broker/src/", "broker/clients/rust/src/", "loadgen/src/"];
        let is_feed_sim = name.starts_with("feed-sim/") && name.contains("/src/");
        if !is_feed_sim && !is_product.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let word = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
            let found = forms.iter().any(|form| code(line).find(form.as_str()).is_some_and(word));
            assert!(!found, "{name}:{}: {line}", number + 1);
        }
    }
}

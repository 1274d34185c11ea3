//! `--to FILE`: writes the bytes of a seed, never replaces a file by accident, and reports when it cannot write.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use feed_formats::find;
use flate2::read::GzDecoder;
use serde_json::Value;

fn feed_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_feed-sim"))
        .args(args)
        .env_remove("FEED_SIM_TO")
        .env_remove("RUST_LOG")
        .output()
        .expect("it starts")
}

fn record(path: &Path, more: &[&str]) -> Output {
    let mut args = vec!["run", "demo", "--rate", "max", "--updates", "20000", "--to", path.to_str().expect("UTF-8")];
    args.extend(more);
    feed_sim(&args)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_same_seed_is_the_same_bytes_compressed_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["1.ndjson", "2.ndjson", "1.ndjson.gz", "2.ndjson.gz", "1.ndjson.zst", "2.ndjson.zst"];
    let files = files.map(|name| folder.path().join(name));
    for (path, batch) in files.iter().zip(["512", "3", "512", "7", "500", "2"]) {
        let output = record(path, &["--batch", batch]);
        assert!(output.status.success(), "{}", stderr(&output));
        let published = format!("published     20000 to {}", path.display());
        assert!(stderr(&output).contains(&published), "{}", stderr(&output));
    }
    let read = |path: &Path| std::fs::read(path).expect("it was written");
    let [plain, plain_again, gzip, gzip_again, zstd, zstd_again] = files.map(|path| read(&path));
    assert!(plain == plain_again && gzip == gzip_again && zstd == zstd_again, "batches change nothing");
    let mut text = String::new();
    GzDecoder::new(&gzip[..]).read_to_string(&mut text).expect("it is whole");
    assert_eq!(text.as_bytes(), plain);
    assert_eq!(zstd::decode_all(&zstd[..]).expect("it is whole"), plain);
    assert!(gzip.len() < plain.len() / 3 && zstd.len() < plain.len() / 3);

    let mut due_us = 0;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let fields: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, ["topic", "kind", "data", "due_us"]);
        let next_us = line["due_us"].as_u64().expect("a number");
        assert!(next_us >= due_us, "the feed's clock never goes back");
        due_us = next_us;
    }
    assert!(due_us > 1_000_000, "the feed's own clock runs at any pace");
}

/// Publications and times are the same: the feed's own clock begins at the same time.
#[test]
fn a_file_replays_to_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["first.ndjson.zst", "again.ndjson.zst"].map(|name| folder.path().join(name));
    let [first, again] = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
    for scenario in ["demo", "stocks", "game"] {
        for (args, to) in [
            (&["run", scenario, "--rate", "max", "--updates", "20000"][..], first),
            (&["replay", "ndjson", first, "--speed", "max"], again),
        ] {
            let output = feed_sim(&[args, &["--to", to, "--force"]].concat());
            assert!(
                output.status.success() && stderr(&output).contains("published     20000 to "),
                "{}",
                stderr(&output)
            );
        }
        let [first, again] = paths.each_ref().map(|path| std::fs::read(path).expect("it was written"));
        let text = zstd::decode_all(&first[..]).expect("it is whole");
        assert!(text == zstd::decode_all(&again[..]).expect("it is whole"), "{scenario}");
        let mut feed = find("ndjson").expect("a format").of_bytes(first).expect("it opens");
        let mut made = feed_scenarios::find(scenario).expect("in the catalogue").build(1, None);
        for number in 0..20_000 {
            assert_eq!(feed.next(), Some(Ok(made.next())), "{scenario}, update {number}");
        }
        assert_eq!(feed.next(), None);
    }
}

#[test]
fn an_existing_file_stays_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.ndjson");
    std::fs::write(&path, "precious\n").expect("it is written");
    let output = record(&path, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it already exists (--force replaces it)"), "{}", stderr(&output));
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious\n");
    let output = record(&path, &["--force"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(&path).expect("UTF-8");
    assert!(text.starts_with('{') && text.lines().count() == 20_000);
}

/// `/dev/full` is a disk without room.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["full.ndjson", "full.ndjson.gz", "full.ndjson.zst"] {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let output = record(&path, &["--force", "--summary", "json"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("No space left on device"), "{}", stderr(&output));
        let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let count = |name: &str| summary[name].as_u64().expect("a number");
        assert!(count("published") > 0 && count("acknowledged") == 0, "{summary}");
        assert_eq!(count("published"), count("unanswered"), "{summary}");
    }
}

//! The program, called from the command line.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn feed_sim(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_feed-sim"));
    command.args(args).env_remove("FEED_SIM_TO").env_remove("RUST_LOG");
    command
}

fn output(args: &[&str]) -> (Output, String) {
    let output = feed_sim(args).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

#[test]
fn list_and_describe_know_the_same_names() {
    let (list, _) = output(&["list"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for name in ["stocks", "football", "demo", "binance", "nba"] {
        assert!(list.contains(name), "{list}");
        let (described, stderr) = output(&["describe", name]);
        assert!(described.status.success() && described.stdout.len() > 80, "{stderr}");
    }
}

#[test]
fn an_impossible_request_is_reported_before_anything_runs() {
    for (args, reason) in [
        (&["run", "socks"][..], "there is no scenario \"socks\""),
        (&["replay", "bnance", "x"], "there is no format"),
        (&["replay", "binance", "/nowhere/at/all"], "cannot replay"),
        (&["run", "stocks", "--to", "http://x"], "neither a WebSocket URL"),
        (&["run", "stocks", "--to", "ws://127.0.0.1:1/v1/ws"], "cannot publish to"),
        (&["run", "stocks", "--rate", "0"], "number above 0"),
        (&["run", "stocks", "--fault", "gap=0"], "it is written gap=RATE[:RUN]"),
        (&["run", "stocks", "--fault", "gip=1%"], "there are silence, gap"),
        (&["run", "stocks", "--to", "null", "--fault", "gap=1%", "--fault", "gap=1%"], "is given twice"),
        (&["run", "stocks", "--to", "null", "--fault-topic", "a.*"], "but no fault"),
        (&["run", "stocks", "--to", "null", "--fault-seed", "1"], "has no effect without --fault"),
        (&["run", "stocks", "--fault", "gap=1%", "--fault-topic", "a..b"], "segment 2"),
        (&["stats", "stocks", "socks"], "neither a scenario nor FORMAT:FILE"),
        (&["stats", "binance:"], "neither a scenario nor FORMAT:FILE"),
        (&["stats", "binance:/nowhere/at/all"], "cannot read /nowhere/at/all"),
        (&["stats"], "SCENARIO|FORMAT:FILE"),
        (&["run", "stocks", "--to", "/nowhere/at/all.ndjson"], "cannot write /nowhere/at/all.ndjson"),
        (&["run", "stocks", "--to", "stocks.csv"], "whose name ends in .ndjson"),
        (&["run", "stocks", "--producers", "0"], "1..=256"),
    ] {
        let (output, stderr) = output(args);
        assert!(!output.status.success() && stderr.contains(reason), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_run_of_a_number_of_updates() {
    let args = ["run", "demo", "--to", "stdout", "--rate", "max", "--updates", "1000", "--seed", "5"];
    let (first, stderr) = output(&args);
    assert!(first.status.success(), "{stderr}");
    assert_eq!(first.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1_000);
    assert!(stderr.contains("published     1000 to stdout"), "{stderr}");
    assert_eq!(output(&args).0.stdout, first.stdout);
}

#[test]
fn the_faults_of_a_seed() {
    let run = |seed| {
        let args = ["run", "stocks", "--to", "stdout", "--rate", "max", "--updates", "2000"];
        let faults = ["--fault", "duplicate=5%", "--fault", "gap=5%", "--fault-seed", seed];
        output(&[&args[..], &faults].concat())
    };
    let (first, stderr) = run("7");
    assert!(stderr.contains(" from the feed, - ") && stderr.contains(" left out"), "{stderr}");
    assert_eq!(run("7").0.stdout, first.stdout);
    assert_ne!(run("8").0.stdout, first.stdout);
    let (listed, _) = output(&["faults"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("clock-skew=RATE[:OFFSET]"));
}

#[test]
fn statistics_side_by_side() {
    let (shown, stderr) = output(&["stats", "stocks", "football", "--duration", "5", "--instruments", "2"]);
    assert!(shown.status.success(), "{stderr}");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let heads: Vec<&str> = shown.lines().next().unwrap_or_default().split('|').map(str::trim).collect();
    assert_eq!(heads, ["", "figure", "unit", "stocks", "football", ""], "{shown}");
    let (json, _) = output(&["stats", "stocks", "--duration", "5", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(json[0]["figures"]["messages"].as_f64() > Some(100.0), "{json}");
}

#[test]
fn strict_fails_at_a_record_that_is_otherwise_only_reported() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(file, "1 {{\"stream\":\"x@trade\",\"data\":{{\"s\":\"XY\"}}}}\nbroken").expect("it is written");
    let path = file.path().to_str().expect("UTF-8");
    for (strict, code) in [(None, 0), (Some("--strict"), 1)] {
        let mut args = vec!["replay", "binance", path, "--to", "stdout", "--speed", "max"];
        args.extend(strict);
        let (output, stderr) = output(&args);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
        assert!(stderr.contains("line 2") && stderr.contains("2 read, 1 bad"), "{stderr}");
    }
}

#[test]
fn an_interrupt_ends_it_with_the_summary() {
    let mut child = feed_sim(&["run", "stocks", "--to", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = String::new();
    stdout.read_line(&mut lines).expect("a first line");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is ours");
    stdout.read_to_string(&mut lines).expect("UTF-8");
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
    assert!(child.wait().expect("it ended").success(), "{stderr}");
    assert!(stderr.contains(&format!("published     {} to stdout", lines.lines().count())), "{stderr}");
}

/// The exit code and standard error of a command whose output goes to `out`.
fn ends(args: &[&str], out: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = feed_sim(args).stdout(out).output().expect("it starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_reader_that_closes_the_pipe_ends_it_quietly() {
    for args in [&["list"][..], &["describe", "stocks"], &["describe", "binance"], &["faults"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(ends(args, writer), (Some(0), String::new()), "{args:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let (code, stderr) = ends(args, full);
        assert!(code == Some(1) && stderr.contains("standard output cannot be written"), "{args:?}: {code:?} {stderr}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_dropped_silently() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = feed_sim(&["run", "stocks", "--to", "null", "--updates", "10", "--rate", "max"])
        .env("RUST_LOG", "debug")
        .stderr(writer)
        .status();
    assert_eq!(status.expect("it starts").code(), Some(0));
}

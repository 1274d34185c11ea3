//! `--summary`: the result of a run, as text and as JSON.

use std::io::Write;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn feed_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_feed-sim"))
        .args(args)
        .env_remove("FEED_SIM_TO")
        .env_remove("RUST_LOG")
        .output()
        .expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_goes_where_the_updates_do_not() {
    let football = ["run", "football", "--rate", "max", "--summary", "json", "--quiet"];
    let output = feed_sim(&[&football[..], &["--updates", "100", "--to", "null"]].concat());
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert_eq!((&summary["published"], &summary["rejected"]), (&100.into(), &json!({})));
    assert!(summary["elapsed_ms"].is_u64() && summary["lag"]["lag_max_ms"].is_u64(), "{summary}");

    let output = feed_sim(&[&football[..], &["--updates", "3", "--to", "stdout"]].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
    assert!(stderr(&output).contains("\"published\":3"), "{}", stderr(&output));
}

/// Every count of the text has a name in JSON, and the same value.
#[test]
fn both_forms_agree() {
    let mut recording = tempfile::NamedTempFile::new().expect("a temporary file");
    let trade = |id: u64| {
        format!(r#"{{"type":"match","trade_id":{id},"side":"buy","size":"1","price":"1","product_id":"A-B"}}"#)
    };
    // A gap, a duplicate trade, a bad line, and a trade of another symbol.
    let other = trade(1).replace("A-B", "C-D");
    for line in [trade(1), trade(2), trade(5), trade(5), "{".to_owned(), other, trade(6), trade(7)] {
        writeln!(recording, "11 {line}").expect("it is written");
    }
    let path = recording.path().to_str().expect("UTF-8");
    let replay = ["replay", "coinbase", path, "--speed", "max", "--to", "null", "--quiet", "--symbol", "A-B"];
    let faults = ["--fault", "duplicate=50%", "--fault-seed", "3"];
    let json = feed_sim(&[&replay[..], &faults, &["--summary", "json"]].concat());
    let text = feed_sim(&[&replay[..], &faults].concat());
    assert!(json.status.success() && text.status.success(), "{}{}", stderr(&json), stderr(&text));
    let summary: Value = serde_json::from_slice(&json.stdout).expect("JSON on standard output");
    let text = stderr(&text);

    let Value::Object(read) = &summary["read"] else { panic!("{summary}") };
    let counts = json!({"records": 8, "bad": 1, "superseded": 1, "venue_gaps": 1, "left_out": 1, "images": 0});
    assert_eq!(Value::Object(read.clone()), counts);
    let (published, faults) = (&summary["published"], &summary["faults"]);
    assert_eq!(faults["from_feed"], 5);
    assert_eq!(published.as_u64(), Some(5 + faults["duplicates"].as_u64().expect("a count")));
    assert!(published.as_u64() > Some(5), "{summary}");
    assert_eq!(
        (&summary["acknowledged"], &summary["unanswered"], &summary["reconnects"]),
        (published, &0.into(), &0.into())
    );
    assert_eq!(summary["states_again"], json!({"sent": 0, "known": 0, "refused": 0, "unanswered": 0}));
    for line in [
        format!("published     {published} to nowhere in "),
        format!("acknowledged  {published}\n"),
        "rejected      0\n".to_owned(),
        "records       8 read, 1 bad, 1 superseded, 1 gaps in the venue's sequence\n".to_owned(),
        "left out      1 updates outside the requested part; 0 states added for topics to begin with\n".to_owned(),
        format!("faults        5 from the feed, - 0 left out, - 0 silenced, + {} duplicates", faults["duplicates"]),
        format!(
            "lag           {} ms at most, {} updates",
            summary["lag"]["lag_max_ms"], summary["lag"]["late_updates"]
        ),
    ] {
        assert!(text.contains(&line), "{line} is not in:\n{text}");
    }
}

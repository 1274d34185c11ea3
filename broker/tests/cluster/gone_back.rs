//! A log that has lost what brokers had read: its server's store is replaced by an older copy of it. Everything gets new
//! epochs, and nobody goes on under an old one with what is no longer the same.

use std::path::Path;

use serde_json::json;

use crate::common::nats::{CURRENT, Options, Servers};
use crate::link::post;
use crate::node::{Node, patiently};

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn an_older_copy_is_put_back_while_brokers_run() {
    let Some(mut servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let flags = ["--journal-unavailable-ms", "1000"];
    let mut nodes = ["a", "b"].map(|name| Node::start(&servers.url(), name, &flags));
    let (old, _) = nodes[0].publish("t", r#"{"n":1}"#);
    for n in 2..=5 {
        nodes[1].publish("t", &format!("{{\"n\":{n}}}"));
    }
    // A backup of a server that is stopped for it; brokers wait meanwhile, and go on.
    servers[0].term();
    let backup = tempfile::tempdir().unwrap();
    copy(&servers[0].store_dir(), backup.path());
    servers[0].start_again();
    for n in 6..=20 {
        let path = format!("POST /v1/topics/t?kind=event&source=s&source_seq={n}");
        patiently("it to be taken", || nodes[0].http(&path, &format!("{{\"n\":{n}}}")).status == 200);
    }
    nodes.iter().for_each(|node| node.until_seq("t", 20));
    assert_eq!(nodes[0].epoch("t"), old);

    servers[0].term();
    let store = servers[0].store_dir();
    std::fs::remove_dir_all(&store).unwrap();
    copy(backup.path(), &store);
    servers[0].start_again();
    // Somebody publishes all the time. What is taken has another epoch, or a place that the old one had not yet.
    let mut taken = [0; 2];
    patiently("both brokers to go on", || {
        for (node, taken) in nodes.iter().zip(&mut taken) {
            let answer = post(node.address, "/v1/topics/t?kind=event", "application/json", r#"{"other":true}"#);
            let Some(json) = answer.ok().filter(|answer| answer.status == 200).map(|answer| answer.json()) else {
                continue;
            };
            assert!(json["epoch"] != *old, "{json} is another update than before");
            *taken += 1;
        }
        taken.iter().all(|taken| *taken > 0)
    });
    for node in &mut nodes {
        // The same process: whoever supervises it sees nothing.
        assert!(node.process().runs());
        node.process().until_logged("the broker starts again");
        node.process().until_logged("\"serving\"");
        node.until_readiness(200);
    }
    let new = nodes[0].epoch("t");
    assert_ne!(new, old);
    nodes[0].until_seq("t", nodes[1].seq("t"));
    nodes[1].until_seq("t", nodes[0].seq("t"));
    assert_eq!(nodes[0].history("t"), nodes[1].history("t"));
    // What the copy had is there, and what it had not is lost.
    let history = nodes[0].history("t");
    let has = |n: u64| history["updates"].as_array().unwrap().iter().any(|update| update["data"]["n"] == n);
    assert!((1..=5).all(has) && !(6..=20).any(has), "{history}");
    for node in &nodes {
        let mut client = node.client();
        client.say(&format!(r#"{{"op":"subscribe","topics":[{{"topic":"t","epoch":"{old}","seq":20}}]}}"#));
        let subscribed = client.expect("subscribed");
        let start = &subscribed["topics"][0];
        assert_eq!((&start["start"], &start["epoch"]), (&json!("reset"), &json!(new)), "{subscribed:?}");
        assert_eq!(node.metric("tickcast_journal_differing_total"), 0.0);
    }
}

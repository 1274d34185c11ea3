//! The documents say what is: what they list is what the broker has, and their links lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use broker::{Broker, config};
use broker_protocol::{CloseReason, ErrorCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tree::{files, read, root};

/// The rows of a document's tables, cell by cell, without the marks around code.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |").map(str::to_owned));
    lines.map(|line| line.split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()).collect()
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

async fn start() -> Broker {
    let flags = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("shards", "1"), ("drain_ms", "0")];
    let flags = flags.map(|(name, value)| (name, value.into()));
    let loaded = config::resolve(&flags, [], None).unwrap_or_else(|error| panic!("{error}"));
    Broker::start(loaded.config).await.unwrap()
}

#[tokio::test]
async fn every_metric_is_listed_and_every_listed_one_is_there() {
    let broker = start().await;
    let text = get(broker.admin_listen(), "/metrics").await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let shown: BTreeSet<(String, String)> = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let documented = rows("broker/docs/operating.md")
        .into_iter()
        .filter(|row| row.len() == 4 && (row[0].starts_with("tickcast_") || row[0].starts_with("process_")));
    let documented: BTreeSet<(String, String)> = documented.map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(shown, documented);
    broker.stop().await;
}

#[tokio::test]
async fn every_field_of_the_brokers_own_topic_is_listed() {
    let broker = start().await;
    // It is published as soon as its task first runs.
    let image = loop {
        let image: serde_json::Value =
            serde_json::from_str(&get(broker.listen(), "/v1/topics/$SYS.stats").await).unwrap();
        if image["op"] == "image" {
            break image;
        }
        tokio::task::yield_now().await;
    };
    let shown: BTreeSet<&str> = image["data"].as_object().unwrap().keys().map(String::as_str).collect();
    let text = read("broker/docs/operating.md");
    let section = text.split_once("## `$SYS.stats`").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let fields = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let listed = fields.flat_map(|(cell, _)| cell.split(", ").map(|name| name.trim_matches('`')));
    assert_eq!(shown, listed.collect());
    broker.stop().await;
}

#[test]
fn every_code_is_listed() {
    let rows = rows("broker/docs/protocol.md");
    let listed: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    for code in ErrorCode::ALL {
        assert!(listed.contains(code.as_str()), "the error code {code} is in no table of protocol.md");
    }
    for reason in CloseReason::ALL {
        let code = reason.code().to_string();
        assert!(listed.contains(code.as_str()), "the close code {reason} is in no table of protocol.md");
    }
}

#[test]
fn links_lead_somewhere() {
    for name in files().into_iter().filter(|name| name.ends_with(".md")) {
        let text = read(&name);
        let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let elsewhere = ["http://", "https://", "#"].iter().any(|start| link.starts_with(start));
            let path = link.split('#').next().unwrap_or_default();
            assert!(elsewhere || root().join(folder).join(path).exists(), "{name}: {link} leads nowhere");
        }
    }
}

//! The documents are true: they list what the broker has, and their links work.

use std::collections::BTreeSet;
use std::path::Path;

use broker::config::SETTINGS;
use broker::{Broker, config};
use broker_protocol::{CloseReason, ErrorCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tree::{files, read, root};

/// Returns the rows of a document's tables, cell by cell, without the backticks around code.
pub(super) fn rows(document: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |").map(str::to_owned));
    lines.map(|line| line.split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()).collect()
}

pub(super) async fn get(address: std::net::SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\n"), "").await
}

async fn post(address: std::net::SocketAddr, path: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    exchange(address, &head, body).await
}

async fn exchange(address: std::net::SocketAddr, head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Starts a broker that has everything which may be switched on, so that it has all metrics. Its journal is in the
/// directory.
pub(super) async fn start() -> (Broker, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["md.example".to_owned()]).unwrap();
    let [cert, key] = ["cert", "key"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let journal = folder.path().join("journal").to_str().unwrap().to_owned();
    let flags = [
        ("listen", "127.0.0.1:0"),
        ("admin_listen", "127.0.0.1:0"),
        ("shards", "1"),
        ("drain_ms", "0"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_cert", &cert),
        ("tls_key", &key),
        ("journal", "local"),
        ("journal_dir", &journal),
    ];
    let flags = flags.map(|(name, value)| (name, value.into()));
    let loaded = config::resolve(&flags, [], None).unwrap_or_else(|error| panic!("{error}"));
    let broker = Broker::start(loaded.config, Box::new(move || config::resolve(&flags, [], None))).await.unwrap();
    (broker, folder)
}

/// What only a broker has whose journal is in NATS.
const NATS_METRICS: [&str; 10] = [
    "tickcast_journal_connected",
    "tickcast_journal_stale",
    "tickcast_journal_silent_seconds",
    "tickcast_journal_lag_records",
    "tickcast_journal_settings_differ",
    "tickcast_journal_in_doubt",
    "tickcast_journal_in_total",
    "tickcast_journal_differing_total",
    "tickcast_journal_resent_total",
    "tickcast_journal_dropped_total",
];

#[tokio::test]
async fn every_metric_is_listed_and_every_listed_metric_exists() {
    let (broker, _journal) = start().await;
    let text = get(broker.admin_listen(), "/metrics").await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let shown: BTreeSet<[String; 3]> =
        types.map(|(name, kind)| [name.to_owned(), kind.to_owned(), labels(&text, name)]).collect();
    let documented = rows("broker/docs/metrics.md").into_iter().filter(|row| row.len() == 6 && row[0].contains('_'));
    let (of_nats, documented): (Vec<_>, Vec<_>) = documented.partition(|row| NATS_METRICS.contains(&&*row[0]));
    let documented: BTreeSet<[String; 3]> =
        documented.into_iter().map(|row| [row[0].clone(), row[1].clone(), row[3].replace('–', "")]).collect();
    assert_eq!(shown, documented);
    // This broker's journal is not in NATS, which would need a server: so the metrics of one that is are those of the source.
    let documented: BTreeSet<&str> = of_nats.iter().map(|row| &*row[0]).collect();
    let source = read("broker/src/metrics/nats.rs");
    let words = source.split('"').filter(|word| word.starts_with("tickcast_"));
    assert_eq!(words.collect::<BTreeSet<_>>(), documented);
    assert_eq!(documented, NATS_METRICS.into_iter().collect());
    let reasons = read("broker/docs/metrics.md");
    for reason in text.lines().filter_map(|line| line.strip_prefix("tickcast_closed_total{reason=\"")?.split_once('"'))
    {
        assert!(reasons.contains(&format!("`{}`", reason.0)), "metrics.md does not say what {} means", reason.0);
    }
    broker.stop().await;
}

/// Returns the names of a family's labels, except for the bounds of a histogram's buckets.
fn labels(text: &str, family: &str) -> String {
    let series = text.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{')?.split_once('}'));
    let names: BTreeSet<&str> =
        series.flat_map(|(labels, _)| labels.split(',').filter_map(|label| Some(label.split_once('=')?.0))).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

/// No label contains the name of a topic or a client, so the number of series does not depend on them.
#[tokio::test]
async fn topics_and_clients_add_no_series() {
    let (broker, _journal) = start().await;
    let series = async || {
        let text = get(broker.admin_listen(), "/metrics").await;
        let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        names.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>()
    };
    let before = series().await;
    for number in 0..50 {
        let body = post(broker.listen(), &format!("/v1/topics/many.{number}"), "1").await;
        assert!(body.contains("epoch"), "{body}");
        assert!(post(broker.listen(), "/v1/topics/no..name", "1").await.contains("bad_topic"));
    }
    assert_eq!(before, series().await);
    let text = get(broker.admin_listen(), "/metrics").await;
    assert!(text.contains("tickcast_publish_errors_total{code=\"bad_topic\"} 50\n"), "{text}");
    broker.stop().await;
}

#[tokio::test]
async fn every_field_of_the_brokers_own_topic_is_listed() {
    let (broker, _journal) = start().await;
    // The topic is published as soon as its task first runs.
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
fn every_setting_is_listed_with_what_a_change_of_it_needs() {
    let text = read("broker/docs/operating.md");
    let section = text.split_once("## Reloading").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let mut documented: BTreeSet<(String, String)> = BTreeSet::new();
    for (area, rest) in rows {
        let names =
            rest.split_once(" | ").map_or("", |(names, _)| names).split(", ").map(|name| name.trim_matches('`'));
        documented.extend(names.map(|name| (area.trim_matches('`').to_owned(), name.to_owned())));
    }
    let area = |setting: &config::Setting| match setting.applies {
        config::Applies::Restart => "needs a restart".to_owned(),
        config::Applies::Reload(area) => area.name().to_owned(),
    };
    let settings = SETTINGS.iter().map(|setting| (area(setting), setting.name.to_owned()));
    let tables = [("topics", "[[topics]]"), ("roles", "[[roles]]"), ("tokens", "[[tokens]]")];
    let others =
        [("area", "settings")].into_iter().chain(tables).map(|(area, name)| (area.to_owned(), name.to_owned()));
    assert_eq!(documented, settings.chain(others).collect());
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
fn links_work() {
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

/// A table of threats is worth as much as the tests that it names.
#[test]
fn the_tests_that_defend_exist() {
    let name = "broker/docs/security.md";
    let mut found = 0;
    for row in read(name).lines().filter(|line| line.starts_with("| ")) {
        // `[file](path): `test`, `test`; [file](path) …`
        for (path, rest) in row.split("](").skip(1).filter_map(|part| part.split_once(')')) {
            let tests = rest.split('[').next().unwrap_or_default().split('`').skip(1).step_by(2);
            for test in tests {
                let text = std::fs::read_to_string(root().join("broker/docs").join(path)).unwrap_or_default();
                let attack = path.contains("/torture/attacks/").then(|| format!("name: \"{test}\","));
                let forms = ["fn", "def"].map(|word| format!("{word} {test}("));
                let defined = forms.iter().chain(&attack).any(|form| text.contains(form));
                assert!(defined, "{name}: {path} has no test {test}");
                found += 1;
            }
        }
    }
    assert!(found > 40, "only {found} tests are named");
}

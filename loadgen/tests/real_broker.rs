//! Every shipped scenario, shortened, against the real broker: nothing is lost silently, and the scenario's particular
//! events do happen.
//!
//! `loadgen` depends on no server, so the broker is the binary beside it: `cargo test --workspace` builds both.

mod fixture;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use fixture::{Front, PATIENCE, loadgen, not_run};

/// Small enough for a debug build on a busy machine.
const SUBSCRIBERS: i64 = 40;
const RATE: f64 = 300.0;
/// The rate with conflation, which delivers few of the updates: several updates of each topic within an interval.
const RATE_CONFLATED: f64 = 2000.0;
/// The number of concurrent runs.
const AT_ONCE: usize = 4;

/// A broker's process, which is ended when it is dropped.
struct Broker {
    process: Child,
    url: String,
}

impl Broker {
    /// Starts the broker; `None` if there is no binary.
    fn start() -> Option<Self> {
        let binary = Path::new(env!("CARGO_BIN_EXE_loadgen")).with_file_name("tickcast");
        if !binary.exists() {
            not_run(&format!("needs the broker's binary {} (`cargo build -p broker` builds it)", binary.display()));
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI builds the broker before it tests loadgen");
            return None;
        }
        let mut process = Command::new(binary)
            .args(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker's binary runs");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let (found, address) = crossbeam_channel::bounded(1);
        // Reads to the end: a full pipe would stop the broker.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let line: Value =
                    serde_json::from_str(&line).unwrap_or_else(|_| panic!("invalid JSON in the log: {line}"));
                if let Some(listen) = line["listen"].as_str() {
                    let _ = found.try_send(listen.to_owned());
                }
            }
        });
        let listen = address.recv_timeout(PATIENCE).expect("the broker logs where it listens");
        Some(Self { process, url: format!("ws://{listen}") })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same scenario, shortened to a second.
fn shortened(text: &str) -> toml::Table {
    let mut all: toml::Table = text.parse().expect("a scenario");
    let whole = |table: &toml::Table, key: &str, default: f64| {
        table.get(key).and_then(toml::Value::as_float).unwrap_or(default)
    };
    let (seconds, warm_up) = (whole(&all, "seconds", 10.0), whole(&all, "warm_up_seconds", 1.0));
    let scale = 1.2 / (seconds + warm_up);
    all.insert("seconds".to_owned(), 1.0.into());
    all.insert("warm_up_seconds".to_owned(), 0.2.into());
    fn table<'a>(all: &'a mut toml::Table, name: &str) -> Option<&'a mut toml::Table> {
        all.get_mut(name).and_then(toml::Value::as_table_mut)
    }
    let mut rate_most = RATE;
    if let Some(subscribers) = table(&mut all, "subscribers") {
        if subscribers.contains_key("conflate_ms") {
            rate_most = RATE_CONFLATED;
        }
        subscribers.insert("count".to_owned(), SUBSCRIBERS.into());
    }
    if let Some(publish) = table(&mut all, "publish") {
        if let Some(rate) = publish.get_mut("rate") {
            *rate = rate.as_float().expect("a number").min(rate_most).into();
        }
        for pair in publish.get_mut("ramp").and_then(toml::Value::as_array_mut).into_iter().flatten() {
            pair[0] = (pair[0].as_float().expect("seconds") * scale).into();
        }
    }
    if let Some(churn) = table(&mut all, "churn") {
        churn.insert("per_second".to_owned(), 20.0.into());
    }
    for (name, key) in [("slow", "until_seconds"), ("storm", "at_seconds")] {
        if let Some(moment) = table(&mut all, name).and_then(|table| table.get_mut(key)) {
            *moment = (moment.as_float().expect("seconds") * scale).into();
        }
    }
    all
}

#[track_caller]
fn check(name: &str, url: &str, scenario: &toml::Table) {
    check_with(name, &["--target", url], scenario);
}

#[track_caller]
fn check_with(name: &str, args: &[&str], scenario: &toml::Table) {
    let text = format!("\n{scenario}");
    let (outcome, report) = loadgen(&text).args(["--verify"]).args(args.iter().copied()).report();
    let (continuity, connections) = (&report["continuity"], &report["connections"]);
    assert_eq!(outcome.code, Some(0), "{name}: {continuity:#} {connections:#} {}", outcome.stderr);
    assert_eq!(report["ended_early"], Value::Null, "{name}");
    for what in ["failed", "ended", "refused"] {
        assert_eq!(connections[what], serde_json::json!({}), "{name}: {what}");
    }
    assert_eq!(connections["subscribers"], SUBSCRIBERS, "{name}");
    let count = |of: &Value| of.as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    assert!(count(&continuity["delivered"]) > 0, "{name}: {continuity:#}");
    let has = |table: &str| scenario.contains_key(table);
    // A subscriber that stays slow to the end does not have everything by then.
    let stays_slow = scenario.get("slow").is_some_and(|slow| slow.get("until_seconds").is_none());
    if !stays_slow {
        assert_eq!(continuity["missing"], 0, "{name}: {continuity:#}");
    }
    if scenario["subscribers"].get("conflate_ms").is_some() {
        assert!(count(&continuity["skipped"]) > 0, "{name}: {continuity:#}");
    } else {
        assert_eq!(continuity["skipped"], 0, "{name}: events are not merged");
    }
    if has("storm") {
        let share = scenario["storm"]["share"].as_float().expect("a number");
        let left = (SUBSCRIBERS as f64 * share).round() as i64;
        assert_eq!(connections["reconnect"]["count"], left, "{name}: all came back");
        assert_eq!(connections["closed"], left, "{name}");
    }
    if has("churn") {
        assert!(count(&connections["closed"]) > 0, "{name}: nobody left");
    }
    if scenario["subscribers"].get("conflate_ms").is_none() && !stays_slow {
        assert_eq!((&continuity["announced"], report["delivery"]["reach"].as_f64()), (&0.into(), Some(1.0)), "{name}");
    }
}

#[test]
fn every_shipped_scenario_loses_nothing_silently() {
    let Some(broker) = Broker::start() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenarios: Vec<(String, toml::Table)> = std::fs::read_dir(folder)
        .expect("the shipped scenarios")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a scenario");
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), shortened(&text))
        })
        .collect();
    scenarios.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert!(scenarios.len() > 10);
    for some in scenarios.chunks(AT_ONCE) {
        std::thread::scope(|threads| {
            for (name, scenario) in some {
                threads.spawn(|| check(name, &broker.url, scenario));
            }
        });
    }
}

/// Large messages, slow readers, connections that come back, and updates as fast as possible.
#[test]
fn over_tls_with_certificates_of_both_sides_nothing_is_lost_either() {
    let Some(broker) = Broker::start() else { return };
    let front = Front::start(broker.url["ws://".len()..].parse().expect("an address"), true);
    let args = ["--target", &front.url, "--ca", &front.ca, "--client-cert", &front.cert, "--client-key", &front.key];
    for name in ["steady", "saturated-5000", "slow-mix", "churn", "reconnect-storm"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("toml");
        let text = std::fs::read_to_string(path).expect("a shipped scenario");
        check_with(name, &args, &shortened(&text));
    }
}

#[test]
fn a_topic_with_patches_begins_with_a_state() {
    let Some(broker) = Broker::start() else { return };
    let text = "[subscribers]\ncount = 40\ntopics = 10\neach = 10\n[publish]\nrate = 300.0\nkind = \"patch\"\n";
    check("patches", &broker.url, &shortened(text));
}

#[test]
fn several_addresses_have_to_have_the_same_topics() {
    let (Some(one), Some(two)) = (Broker::start(), Broker::start()) else { return };
    let text = "drain_seconds = 1.0\n[subscribers]\ncount = 40\ntopics = 4\neach = 2\n\
                [publish]\nrate = 300.0\npublishers = 2\n";
    let scenario = shortened(text);
    let again = one.url.replace("127.0.0.1", "localhost");
    check("one broker by two names", &format!("{},{again}", one.url), &scenario);
    // Two brokers with topics of their own: half of the updates are at the other one.
    let targets = format!("{},{}", one.url, two.url);
    let (outcome, report) = loadgen(&format!("\n{scenario}")).args(["--verify", "--target", &targets]).report();
    let undelivered = report["continuity"]["undelivered"].as_u64();
    assert!(outcome.code == Some(1) && undelivered > Some(0), "{:?} {:#}", outcome.code, report["continuity"]);
}

//! Reading the configuration again: on SIGHUP, and on request.

use std::ffi::OsStr;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use super::configured::{Configured, JSON};
use crate::common::{Client, ask, command_with_files, until};

const QUIET: &str = "drain_ms = 0\n";

#[test]
fn a_thousand_connections_stay_open_and_miss_nothing() {
    const CONNECTIONS: usize = 1000;
    let broker = Configured::start(QUIET);
    let mut clients: Vec<Client> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = broker.process.client();
            client.subscribe(&["ticks"]);
            client
        })
        .collect();
    for round in 1..=5 {
        broker.write(&format!("{QUIET}topics_max = {}\nretain_updates = {}\n", 100 + round, 5 + round));
        broker.publish("ticks", &round.to_string());
        if round % 2 == 0 {
            broker.process.signal(Signal::HUP);
            until("the reload", || broker.process.metric("tickcast_topics_max") == f64::from(100 + round));
        } else {
            assert_eq!(broker.post_reload().status, 200);
        }
    }
    broker.publish("ticks", "6");
    for client in &mut clients {
        client.expect("topic");
        for round in 1..=6 {
            client.expect_has(json!({"op":"update","seq":round,"data":round}));
        }
    }
    assert_eq!(broker.process.metric("tickcast_connections"), CONNECTIONS as f64);
}

#[test]
fn a_broken_file_changes_nothing() {
    let mut broker = Configured::start(&format!("{QUIET}topics_max = 7\n"));
    let broken = "topics_max = 8\ntopic_max = 9\nretain_ms = \"soon\"\n";
    let contradicts = "topics_max = 8\nbehind_bytes = \"1GiB\"\n";
    let no_toml = "topics_max = ";
    for (file, problems) in [
        (broken, &["topic_max", "retain_ms", "no such setting"][..]),
        (contradicts, &["behind_bytes", "ring_bytes"]),
        (no_toml, &["is not TOML"]),
    ] {
        broker.write(file);
        let answer = broker.post_reload();
        assert_eq!((answer.status, answer.code()), (422, "bad_config".to_owned()), "{answer:?}");
        assert!(problems.iter().all(|problem| answer.body.contains(problem)), "{answer:?}");
        assert_eq!(broker.process.metric("tickcast_topics_max"), 7.0);
        broker.process.signal(Signal::HUP);
    }
    std::fs::remove_file(broker.path("tickcast.toml")).unwrap();
    let answer = broker.post_reload();
    assert!(answer.status == 422 && answer.body.contains("cannot be read"), "{answer:?}");
    assert_eq!(broker.process.metric("tickcast_topics_max"), 7.0);
    // What was wrong does not keep it from reading a good file.
    assert_eq!(broker.reload(&format!("{QUIET}topics_max = 10\n")), [""; 0]);
    assert_eq!(broker.process.metric("tickcast_topics_max"), 10.0);
    let lines = broker.end();
    let refused = |line: &&serde_json::Value| line["message"].as_str().unwrap().starts_with("nothing was reloaded");
    assert!(lines.iter().filter(refused).count() >= 4, "{lines:?}");
    assert!(lines.iter().filter(refused).any(|line| line["message"].as_str().unwrap().contains("topic_max")));
}

#[test]
fn what_needs_a_restart_is_named_in_the_answer_and_in_the_log() {
    let mut broker = Configured::start(QUIET);
    let file = format!("{QUIET}pin = true\nheartbeat_ms = 1000\nsys_topics_public = true\nring_bytes = \"16MiB\"\n");
    // What would contradict a setting that stays has to wait for it.
    let file = format!("{file}behind_bytes = \"12MiB\"\ntopics_max = 12\n");
    let needs_restart = ["sys_topics_public", "pin", "heartbeat_ms", "behind_bytes", "ring_bytes"];
    assert_eq!(broker.reload(&file), needs_restart);
    assert_eq!(broker.process.metric("tickcast_topics_max"), 12.0);
    assert_eq!(broker.process.client().hello["heartbeat_ms"], 25_000);
    assert_eq!(broker.process.client().hello["limits"]["behind_bytes"], 65_536);
    // It stays named until the file says what is in force.
    assert_eq!(broker.reload(&file), needs_restart);
    assert_eq!(broker.reload(QUIET), [""; 0]);
    let lines = broker.end();
    let reloads: Vec<_> = lines.iter().filter(|line| line["message"] == "the configuration was read again").collect();
    assert_eq!(reloads.len(), 3, "{lines:?}");
    assert_eq!(reloads[0]["needs_restart"], needs_restart.join(", "));
    assert_eq!(reloads[2]["needs_restart"], "");
}

#[test]
fn too_few_open_files_are_reported_again_only_with_other_numbers() {
    let few = |command: &mut Command| {
        let args: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        *command = command_with_files(300, &args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>());
    };
    let mut broker = Configured::with(QUIET, few);
    for max in [100_000, 100_000, 90_000, 90_000] {
        broker.reload(&format!("{QUIET}connections_max = {max}\n"));
    }
    let lines = broker.end();
    let messages = lines.iter().filter_map(|line| line["message"].as_str());
    let warnings: Vec<&str> = messages.filter(|text| text.starts_with("connections_max = ")).collect();
    assert!(matches!(warnings[..], [one] if one.starts_with("connections_max = 90000 ")), "{warnings:?}");
}

#[test]
fn topics_take_on_how_much_is_kept_and_new_ones_their_kind() {
    let broker = Configured::start(QUIET);
    let oldest = |topic: &str| {
        let answer = broker.http(&format!("GET /v1/topics/{topic}/history?last=1000"), "");
        answer.json()["oldest"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
    };
    for number in 0..50 {
        ["a.old", "b.old"].iter().for_each(|topic| broker.publish(topic, &number.to_string()));
    }
    assert_eq!((oldest("a.old"), oldest("b.old")), (1, 1));
    let rule = "[[topics]]\npattern = \"a.*\"\nkind = \"state\"\nretain_updates = 4\n";
    broker.reload(&format!("{QUIET}retain_updates = 20\n{rule}"));
    assert_eq!((oldest("a.old"), oldest("b.old")), (47, 31));
    // Its kind remains, and what it keeps from now on is what the rule says.
    broker.publish("a.old", "50");
    assert_eq!(oldest("a.old"), 48);
    broker.publish("a.new", "{}");
    let listed = broker.http("GET /v1/topics?match=a.*", "").json();
    assert_eq!((&listed["topics"][0]["kind"], &listed["topics"][1]["kind"]), (&json!("state"), &json!("event")));
    // The housekeeping, which a broker without lifetimes has no need of, begins with one.
    broker.reload(&format!("{QUIET}topic_idle_ms = 100\n"));
    until("idle topics to end", || broker.http("GET /v1/topics", "").json()["topics"].as_array().unwrap().is_empty());
}

#[test]
fn who_may_connect() {
    let broker = Configured::start(QUIET);
    let status = |header: &str| ask(broker.process.listen, "GET /v1/topics", &[header], b"").status;
    let (page, name) = ("Origin: https://desk.example.com", "Host: feed.example.com");
    let other = "Origin: https://md-2.example.com";
    let policy = || broker.http("GET /", "").header("content-security-policy").unwrap().to_owned();
    assert_eq!((status(page), status(name), status(other)), (403, 403, 403));
    let lists = "allow_origin = [\"https://desk.example.com\"]\nallow_host = [\"feed.example.com\"]\n\
                 brokers = [\"https://md-2.example.com\"]\n";
    broker.reload(&format!("{QUIET}{lists}"));
    assert_eq!((status(page), status(name), status(other)), (200, 200, 200));
    assert!(policy().contains("https://md-2.example.com") && !policy().contains("desk"), "{}", policy());
    broker.reload(QUIET);
    assert_eq!((status(page), status(name), status(other)), (403, 403, 403));
    assert!(!policy().contains("md-2"), "{}", policy());
}

#[test]
fn the_admin_listeners_token() {
    // The digest of "abc" (FIPS 180-2, appendix B.1).
    const DIGEST: &str = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    let broker = Configured::start(QUIET);
    let admin = broker.process.admin;
    assert_eq!(broker.admin("/metrics").status, 200);
    broker.reload(&format!("{QUIET}admin_token_sha256 = \"{DIGEST}\"\n"));
    for (path, without) in [("/metrics", 401), ("/", 401), ("/none", 401), ("/healthz", 200), ("/readyz", 200)] {
        let answer = broker.admin(path);
        assert_eq!(answer.status, without, "{path}: {answer:?}");
        assert_eq!(answer.header("WWW-Authenticate"), (without == 401).then_some("Bearer"), "{path}");
        let given = ask(admin, &format!("GET {path}"), &["Authorization: Bearer abc"], b"").status;
        assert_eq!(given, if path == "/none" { 404 } else { 200 }, "{path}");
    }
    assert_eq!(broker.post_reload().code(), "bad_token");
    let health = std::process::Command::new(crate::common::PROGRAM)
        .args(["health", "--admin-listen", &admin.to_string()])
        .status()
        .unwrap();
    assert!(health.success());
    // A token in place of its digest is a mistake that no message may repeat.
    broker.write(&format!("{QUIET}admin_token_sha256 = \"s3cret-token\"\n"));
    let answer = ask(admin, "POST /v1/reload", &[JSON, "Authorization: Bearer abc"], b"");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("admin_token_sha256") && !answer.body.contains("s3cret"), "{answer:?}");
}

#[test]
fn sighup_during_a_reload_is_not_lost_and_a_stop_does_not_wait() {
    let mut broker = Configured::start(QUIET);
    for topics_max in 20..40 {
        broker.write(&format!("{QUIET}topics_max = {topics_max}\n"));
        broker.process.signal(Signal::HUP);
    }
    until("the last one", || broker.process.metric("tickcast_topics_max") == 39.0);
    // The file is a pipe that nobody writes to: reading it takes for ever.
    std::fs::remove_file(broker.path("tickcast.toml")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(broker.path("tickcast.toml")).status().unwrap();
    assert!(made.success());
    broker.process.signal(Signal::HUP);
    let mut client = broker.process.client();
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");
    drop(client);
    broker.end();
}

//! The table of settings is true: what it says a reload changes is changed by a reload, setting by setting.

use broker::config::{Applies, SETTINGS};
use serde_json::json;

use super::configured::Configured;
use crate::common::{CONTINUATION, End, FIN, TEXT, ask, exchange, until};

/// Settings that a metric shows: the metric, and another value.
const IN_METRICS: [(&str, &str, u64); 17] = [
    ("topics_max", "tickcast_topics_max", 77),
    ("retain_bytes_max", "tickcast_history_bytes_max", 7 << 20),
    ("images_bytes_max", "tickcast_image_bytes_max", 7 << 20),
    ("connections_max", "tickcast_connections_max", 77),
    ("http_connections_max", "tickcast_http_connections_max", 77),
    ("behind_bytes_max", BUDGET, 77 << 10),
    ("bodies_bytes_max", BUDGET, 77 << 20),
    ("buffers_bytes_max", BUDGET, 77 << 10),
    ("images_encoded_bytes_max", BUDGET, 77 << 10),
    ("images_partial_bytes_max", BUDGET, 77 << 10),
    ("names_waited_bytes_max", BUDGET, 77 << 10),
    ("publishers_bytes_max", BUDGET, 77 << 10),
    ("sources_bytes_max", BUDGET, 77 << 10),
    ("subscriptions_bytes_max", BUDGET, 77 << 10),
    // Of these `hello` tells a client.
    ("subscriptions", HELLO, 77),
    ("image_bytes", HELLO, 77 << 10),
    ("stall_ms", HELLO, 7777),
];
const BUDGET: &str = "tickcast_budget_bytes_max";
const HELLO: &str = "hello";

/// Settings with a test of their own: here, in the tests of reloads, and in those of tokens and quotas.
const OTHERS: [&str; 35] = [
    "allow_host",
    "allow_origin",
    "admin_token_sha256",
    "audit_log",
    "auth_ms",
    "behind_bytes",
    "brokers",
    "connections_per_address_max",
    "connections_per_user_max",
    "connects_per_address_per_s",
    "drain_ms",
    "fragments_max",
    "handshake_ms",
    "header_bytes_max",
    "log_level",
    "ndjson_bytes_max",
    "publish_bytes_per_s",
    "publishes_per_s",
    "quota_dry_run",
    "requests_per_s",
    "retain_bytes",
    "retain_ms",
    "retain_updates",
    "subscribes_per_s",
    "token_algorithms",
    "token_audience",
    "token_bytes_max",
    "token_claim",
    "token_issuer",
    "token_leeway_ms",
    "token_lifetime_max_ms",
    "token_revoked_file",
    "token_roles_claim",
    "token_secret_file",
    "topic_idle_ms",
];

/// Where keys come from and when: the tests of tokens change these in a running broker.
const KEYS: [&str; 5] = ["token_key_file", "token_jwks_url", "jwks_refresh_ms", "jwks_cooldown_ms", "jwks_stale_ms"];

/// Where certificates are: the tests of TLS reload these under other names.
const CERTIFICATES: [&str; 3] = ["tls_cert", "tls_key", "tls_client_ca"];

/// Settings of which nothing outside the broker shows the effect.
const UNSEEN: [&str; 5] =
    ["answers_bytes_max", "notsent_lowat_bytes", "send_buffer_bytes", "turn_bytes_max", "write_gap_ms"];

#[test]
fn every_setting_that_a_reload_changes_is_tested() {
    let mut tested: Vec<&str> =
        IN_METRICS.iter().map(|(name, ..)| *name).chain(OTHERS).chain(KEYS).chain(CERTIFICATES).chain(UNSEEN).collect();
    tested.sort_unstable();
    let reloadable = SETTINGS.iter().filter(|setting| setting.applies != Applies::Restart);
    let mut names: Vec<&str> = reloadable.map(|setting| setting.name).collect();
    names.sort_unstable();
    assert_eq!(tested, names);
}

#[test]
fn limits_in_metrics_and_in_hello() {
    let broker = Configured::start("drain_ms = 0\n");
    let value = |name: &str, metric: &str| match metric {
        HELLO => broker.process.client().hello["limits"][name].as_f64().unwrap(),
        BUDGET => broker.process.metric(&format!("{BUDGET}{{budget=\"{name}\"}}")),
        metric => broker.process.metric(metric),
    };
    for (name, metric, other) in IN_METRICS {
        let before = value(name, metric);
        assert_ne!(before, other as f64, "{name}");
        assert_eq!(broker.reload(&format!("drain_ms = 0\n{name} = {other}\n")), [""; 0]);
        assert_eq!(value(name, metric), other as f64, "{name}");
        broker.reload("drain_ms = 0\n");
        assert_eq!(value(name, metric), before, "{name}");
    }
}

#[test]
fn what_a_client_may_hold_and_send() {
    let broker = Configured::start("drain_ms = 0\n");
    let listen = broker.process.listen;
    let mut client = broker.process.client();
    broker.reload("drain_ms = 0\nfragments_max = 3\nsubscriptions = 2\nndjson_bytes_max = 70000\nbehind_bytes = 5\n");
    // A connection that was open before.
    let subscribed = client.subscribe(&["a", "b", "c"]);
    assert_eq!(subscribed["errors"][0]["code"], "limit", "{subscribed:?}");
    assert_eq!(broker.process.client().hello["limits"]["behind_bytes"], 5);
    client.frame(TEXT, b"{\"op\"");
    for part in ["", ":", "\"ping\"", "}"] {
        client.frame(CONTINUATION | if part == "}" { FIN } else { 0 }, part.as_bytes());
    }
    assert!(matches!(client.end(), End::Close(Some(_))));
    let lines = "{\"topic\":\"a\",\"data\":1}\n".repeat(5000);
    let many = || ask(listen, "POST /v1/publish", &["Content-Type: application/x-ndjson"], lines.as_bytes()).status;
    assert_eq!(many(), 413);
    broker.reload("drain_ms = 0\n");
    assert_eq!(many(), 200);
}

#[test]
fn what_a_connection_that_speaks_http_may_do() {
    let broker = Configured::start("drain_ms = 0\n");
    let listen = broker.process.listen;
    let long = format!("X-Long: {}", "x".repeat(20_000));
    let status = || ask(listen, "GET /v1/topics", &[&long], b"").status;
    assert_eq!(status(), 431);
    broker.reload("drain_ms = 0\nheader_bytes_max = 65536\nhandshake_ms = 100\n");
    assert_eq!(status(), 200);
    // Within a tenth of a second it has to say something.
    let answer = exchange(listen, b"GET /v1/topics HTTP/1.1\r\n");
    assert!(answer.status == 0 || answer.status == 408, "{answer:?}");
}

#[test]
fn histories_shrink_by_bytes_and_by_age() {
    let broker = Configured::start("drain_ms = 0\n");
    for number in 0..50 {
        broker.publish("a", &number.to_string());
    }
    let kept = || {
        let answer = broker.http("GET /v1/topics/a/history?last=1000", "");
        answer.json()["updates"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(kept(), 50);
    broker.reload("drain_ms = 0\nretain_bytes = 1000\n");
    assert!((1..50).contains(&kept()), "{}", kept());
    broker.reload("drain_ms = 0\nretain_ms = 1\n");
    until("the rest to be too old", || kept() == 0);
}

#[test]
fn the_log_and_the_time_to_drain() {
    let mut broker = Configured::start("drain_ms = 3600000\n");
    broker.reload("drain_ms = 0\nlog_level = \"debug\"\n");
    exchange(broker.process.listen, b"nonsense\r\n\r\n");
    broker.process.until_logged("\"level\":\"DEBUG\"");
    broker.reload("drain_ms = 0\nlog_level = \"off\"\n");
    let mut client = broker.process.client();
    let lines = {
        broker.process.signal(rustix::process::Signal::TERM);
        client.skip_to(json!({"op":"goaway","after_ms":0}));
        assert_eq!(client.end(), End::Close(Some(1001)));
        drop(client);
        assert_eq!(broker.process.wait().code(), Some(0));
        broker.process.logged()
    };
    assert!(lines.iter().all(|line| line["message"] != "going away"), "{lines:?}");
}

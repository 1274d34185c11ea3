//! Configurations as an operator types them, and their results.

mod refused;

use std::ffi::OsString;
use std::path::Path;

use broker_protocol::kind::Kind;

use super::{ConfigError, Loaded, SETTINGS, resolve, show};

type Pairs<'a> = &'a [(&'static str, &'static str)];

fn os(pairs: Pairs<'_>) -> Vec<(&'static str, OsString)> {
    pairs.iter().map(|(name, value)| (*name, value.into())).collect()
}

fn run(flags: Pairs<'_>, environment: Pairs<'_>, file: &str) -> Result<Loaded, ConfigError> {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    resolve(&os(flags), environment, Some((Path::new("broker.toml"), file)))
}

fn refusal(flags: Pairs<'_>, environment: Pairs<'_>, file: &str) -> String {
    match run(flags, environment, file) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_defaults_run() {
    let loaded = run(&[], &[], "").unwrap();
    assert_eq!(loaded.config.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(loaded.config.retain_updates, 1024);
    assert!(loaded.config.shards_count() >= 1);
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let file = "retain_updates = 5\nretain_ms = 5\nretain_bytes = 5";
    let loaded = run(
        &[("retain_updates", "7")],
        &[("TICKCAST_RETAIN_UPDATES", "6"), ("TICKCAST_RETAIN_MS", "6"), ("TICKCAST_SHARDS", "")],
        file,
    )
    .unwrap();
    let config = &loaded.config;
    assert_eq!((config.retain_updates, config.retain_ms, config.retain_bytes, config.shards), (7, 6, 5, 0));
    let sources =
        ["retain_updates", "retain_ms", "retain_bytes", "shards"].map(|name| loaded.raw.source(name).to_string());
    assert_eq!(
        sources,
        ["from flag --retain-updates", "from environment TICKCAST_RETAIN_MS", "from file broker.toml", "default",]
    );
}

#[test]
fn beyond_loopback_with_the_setting_that_says_so() {
    let loaded = run(&[("listen", "0.0.0.0:9000"), ("open_publish", "true")], &[], "").unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    let named = [("listen", "0.0.0.0:9000"), ("open_publish", "true"), ("allow_host", "feed.example.com")];
    assert_eq!(run(&named, &[], "").unwrap().warnings, [""; 0]);
    assert!(refusal(&[("listen", "[::1]:9000")], &[], "").is_empty());
}

#[test]
fn localhost_is_loopback() {
    let config = run(&[("listen", "localhost:9100"), ("admin_listen", "localhost:0")], &[], "").unwrap().config;
    assert_eq!(
        (config.listen.to_string(), config.admin_listen.to_string()),
        ("127.0.0.1:9100".into(), "127.0.0.1:0".into())
    );
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let variables = [("TICKCAST_RETAIN_UPDATE", "1"), ("TICKCAST_SERVICE_HOST", "10.0.0.1"), ("TICKCAST_CONFIG", "x")];
    let warnings = run(&[], &variables, "").unwrap().warnings;
    assert_eq!(warnings, ["TICKCAST_RETAIN_UPDATE is set, but there is no such setting"]);
}

#[test]
fn bytes_have_units_and_lists_have_commas() {
    let file = "ring_bytes = \"16 MiB\"\nallow_host = [\"a.example\", \"B.example\"]";
    let config = run(&[("allow_origin", "https://a.example, http://b.example:81")], &[], file).unwrap().config;
    assert_eq!(config.ring_bytes, 16 << 20);
    assert_eq!(config.allow_host.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!(config.allow_origin.len(), 2);
}

#[test]
fn rules_go_to_the_engine_in_the_files_order() {
    let file = "retain_updates = 7\nretain_bytes = 5000\n[[topics]]\npattern = \"stocks.AAPL.trade\"\nretain_updates = 9\n\
                [[topics]]\npattern = \"stocks.*.trade\"\nkind = \"event\"\nretain_bytes = \"1KiB\"";
    let rules = run(&[], &[], file).unwrap().config.engine_limits().topics;
    let found = rules.iter().map(|rule| (rule.pattern.as_str(), rule.kind, rule.retain.updates, rule.retain.bytes));
    // What a rule does not set is as for all topics.
    let expected = [("stocks.AAPL.trade", None, 9, 5000), ("stocks.*.trade", Some(Kind::Event), 7, 1024)];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn the_defaults_are_those_of_the_engine() {
    let (ours, engines) = (run(&[], &[], "").unwrap().config.engine_limits(), broker_engine::Limits::default());
    assert_eq!(format!("{ours:?}"), format!("{engines:?}"));
}

#[test]
fn what_a_rule_does_not_set_is_as_for_all_topics() {
    let file = "retain_ms = 7\n[[topics]]\npattern = \"a.>\"\nretain_updates = 9";
    let limits = run(&[], &[], file).unwrap().config.engine_limits();
    let retain = broker_engine::Retain { updates: 9, bytes: 1 << 20, ms: 7 };
    assert_eq!((limits.topics[0].retain, limits.retain.updates), (retain, 1024));
}

#[test]
fn the_printed_settings_are_a_file_that_gives_the_same() {
    let flags = [("allow_origin", "https://a.example"), ("log_level", "info,broker=debug"), ("listen", "[::1]:9000")];
    let loaded = run(&flags, &[], "[[topics]]\npattern = \"a.>\"\nkind = \"patch\"\nretain_ms = 5").unwrap();
    let shown = show(&loaded);
    for setting in SETTINGS {
        assert!(
            shown.contains(setting.meaning) && shown.contains(&format!("\n{} = ", setting.name)),
            "{}",
            setting.name
        );
    }
    assert!(shown.contains("default 127.0.0.1:9000; this is from flag --listen\nlisten = \"[::1]:9000\"\n"), "{shown}");
    assert!(shown.contains("# updates, 0 to 1000000000; 1024 (default)\nretain_updates = 1024\n"), "{shown}");
    assert_eq!(run(&[], &[], &shown).unwrap().config, loaded.config);
}

/// A file with everything that is about tokens.
const TOKENS: &str = r#"
token_key_file = "/etc/tickcast/keys.pem"
token_jwks_url = "https://id.example.com/.well-known/jwks.json?x=1"
token_algorithms = ["EdDSA", "ES256"]
token_issuer = "https://id.example.com/"
token_claim = "https://desk.example.com/tickcast"
token_roles_claim = "realm_access.roles"
token_revoked_file = "/etc/tickcast/revoked"
[[roles]]
name = "trader"
sub = ["stocks.>", "users.{sub}.>"]
pub = ["chat.>"]
deny = ["stocks.*.internal"]
client_cert = ["feed-a.internal", "spiffe://desk/feed"]
admin = true
conflate_ms_min = 1000
connections_max = 4
subscriptions = 9
requests_per_s = 0
subscribes_per_s = 5
publishes_per_s = 6
publish_bytes_per_s = "64KiB"
[[roles]]
name = "feed"
[[tokens]]
name = "feed-a"
sha256 = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
roles = ["feed", "trader"]
"#;

#[test]
fn the_printed_roles_and_tokens_are_a_file_that_gives_the_same() {
    let loaded = run(&[], &[], TOKENS).unwrap();
    let (roles, quotas) = (&loaded.config.roles, loaded.config.roles[0].quotas);
    assert_eq!((roles.len(), roles[0].sub.len(), roles[0].conflate_ms_min), (2, 2, Some(1000)));
    assert_eq!(
        (quotas.connections_max, quotas.requests_per_s, quotas.publish_bytes_per_s),
        (Some(4), Some(0), Some(65536))
    );
    assert_eq!(loaded.config.tokens[0].roles, ["feed", "trader"]);
    let shown = show(&loaded);
    assert_eq!(run(&[], &[], &shown).unwrap().config, loaded.config);
}

#[test]
fn tokens_replace_open_publish() {
    let beyond = ("listen", "0.0.0.0:9000");
    let known = [beyond, ("allow_host", "a.example"), ("token_key_file", "a"), ("cleartext_tokens", "true")];
    let warnings = run(&known, &[], "").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("tokens come in without TLS"), "{warnings:?}");
    assert!(refusal(&[beyond], &[], "").contains("--open-publish"));
    assert!(!run(&[], &[], "").unwrap().config.asks_for_tokens());
}

#[test]
fn a_secret_is_for_hs256_alone() {
    let algorithms = |flags: Pairs<'_>| run(flags, &[], "").unwrap().config.token_rules().algorithms;
    assert_eq!(algorithms(&[("token_secret_file", "a")]), [broker_identity::Algorithm::Hs256]);
    assert_eq!(algorithms(&[("token_key_file", "a"), ("token_algorithms", "RS256,HS256")]).len(), 2);
}

#[test]
fn oddities_of_tokens_are_warnings() {
    let warnings = |flags: Pairs<'_>, file| run(flags, &[], file).unwrap().warnings.join("; ");
    assert!(warnings(&[("token_in_url", "true")], "").contains("token_in_url is true"));
    assert!(warnings(&[("token_revoked_file", "a")], "").contains("no key that verifies tokens"));
    assert!(warnings(&[], "[[roles]]\nname = \"a\"").contains("nobody can have one"));
    assert_eq!(warnings(&[], "[[roles]]\nname = \"anonymous\""), "");
    assert_eq!(
        warnings(&[], TOKENS),
        "a role has client_cert, but tls_client_auth is off: no client shows a certificate"
    );
}

//! Configurations as an operator types them, and their results.

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
fn an_error_names_the_setting_the_value_and_its_source() {
    let cases: &[(Pairs<'_>, Pairs<'_>, &str, &str)] = &[
        (
            &[("shards", "many")],
            &[],
            "",
            "shards = \"many\" (from flag --shards): expected a whole number from 0 to 64",
        ),
        (&[("shards", "-1")], &[], "", "from 0 to 64"),
        (&[("shards", "65")], &[], "", "from 0 to 64"),
        (&[], &[("TICKCAST_PIN", "yes")], "", "pin = \"yes\" (from environment TICKCAST_PIN): expected true or false"),
        (
            &[],
            &[],
            "behind_bytes = \"2TiB\"",
            "behind_bytes = \"2TiB\" (from file broker.toml): expected a number of bytes",
        ),
        (&[], &[], "heartbeat_ms = 2.5", "heartbeat_ms = \"2.5\" (from file broker.toml): expected a single value"),
        (&[], &[], "heartbeat = 2", "heartbeat (from file broker.toml): there is no such setting"),
        (&[], &[], "config = \"other.toml\"", "config (from file broker.toml): there is no such setting"),
        (&[], &[], "shards = ", "broker.toml is not TOML"),
        (&[("listen", "localhost")], &[], "", "expected an IP address or localhost, and a port"),
        (&[("listen", "somewhere.example:9000")], &[], "", "expected an IP address or localhost, and a port"),
        (&[("log_level", "inof")], &[], "", "log_level = \"inof\""),
        (&[("allow_origin", "example.com")], &[], "", "expected origins as a browser sends them"),
        (
            &[("allow_origin", "https://a.example/x")],
            &[],
            "",
            "the path /x is not part of an origin: write https://a.example",
        ),
        (
            &[("allow_origin", "https://ok.example,https://a.example:8443/")],
            &[],
            "",
            "the trailing slash is not part of an origin: write https://a.example:8443",
        ),
        (&[("brokers", "ws://a.example")], &[], "", "brokers: ws://a.example is no address of a broker"),
        (&[("allow_host", "https://a.example")], &[], "", "expected host names"),
        // An overridden value is checked as well.
        (&[("shards", "1")], &[("TICKCAST_SHARDS", "x")], "", "shards = \"x\" (from environment TICKCAST_SHARDS)"),
        // Together.
        (&[("listen", "0.0.0.0:9000")], &[], "", "--open-publish"),
        (&[("listen", "127.0.0.1:9001")], &[], "", "they need different ports"),
        (&[("ring_bytes", "64KiB"), ("behind_bytes", "1024")], &[], "", "expected at least 266240"),
        (&[("behind_bytes", "9MiB")], &[], "", "behind_bytes = 9437184 is above ring_bytes"),
        (
            &[("message_bytes", "2MiB"), ("ring_bytes", "64MiB")],
            &[],
            "",
            "message_bytes = 2097152 is above image_bytes",
        ),
        // The journal.
        #[cfg(not(feature = "nats"))]
        (
            &[("journal", "nats")],
            &[],
            "",
            "journal = \"nats\" (from flag --journal): expected none or local; this program was built without the feature nats",
        ),
        (&[], &[], "journal = true", "journal = \"true\" (from file broker.toml): expected none"),
        (&[("journal", "local")], &[], "", "journal = \"local\" needs journal_dir"),
        (&[("journal_sync_ms", "10001")], &[], "", "from 0 to 10000"),
        (&[("journal_bytes_max", "63MiB")], &[], "", "a number of bytes from 67108864"),
        (&[("journal_record_bytes", "4095")], &[], "", "a number of bytes from 4096 to 1048576"),
        (&[("journal_unavailable_ms", "99")], &[], "", "from 100 to 600000"),
        (
            &[("journal", "local"), ("journal_dir", "j"), ("journal_queue_bytes", "1048575")],
            &[],
            "",
            "journal_queue_bytes = 1048575 is too small for journal_record_bytes = 262144 and message_bytes = 65536: \
             expected at least 1048576",
        ),
        // A record takes at least one message.
        (
            &[("journal", "local"), ("journal_dir", "j"), ("message_bytes", "1MiB"), ("journal_queue_bytes", "4MiB")],
            &[],
            "",
            "journal_queue_bytes = 4194304 is too small for journal_record_bytes = 262144 and message_bytes = 1048576: \
             expected at least 4198400",
        ),
        (
            &[("journal", "local"), ("journal_dir", "j"), ("message_bytes", "16MiB"), ("journal_bytes_max", "64MiB")],
            &[],
            "",
            "journal_bytes_max = 67108864 is too small",
        ),
        // A journal in NATS. Its addresses may have a password in them, so they are not repeated.
        (
            &[],
            &[],
            "journal_nats = \"127.0.0.1:4222\"",
            "journal_nats = \"(not shown)\" (from file broker.toml): expected addresses of NATS servers with commas",
        ),
        (&[("journal_nats", "nats://a:4222,http://b:4222")], &[], "", "journal_nats = \"(not shown)\" (from flag"),
        (&[("journal_nats", "nats://user:secret@")], &[], "", "journal_nats = \"(not shown)\" (from flag"),
        (&[("journal_name", "a.b")], &[], "", "expected at most 64 letters, digits, dashes and underscores"),
        (
            &[("journal_node", "md 1")],
            &[],
            "",
            "journal_node = \"md 1\" (from flag --journal-node): expected at most 64",
        ),
        (&[("journal_replicas", "6")], &[], "", "from 1 to 5"),
        (&[("journal_in_flight", "65")], &[], "", "from 1 to 64"),
        (&[("journal_ack_ms", "49")], &[], "", "from 50 to 10000"),
        // The servers say every half second that they are there, and one of these may be late.
        (&[("journal_stale_ms", "1499")], &[], "", "from 1500 to 600000"),
        (&[("journal_unready_ms", "1499")], &[], "", "from 1500 to 600000"),
        // Topics.
        (&[], &[], "topics = 3", "expected [[topics]] tables"),
        (&[], &[], "[[topics]]\nkind = \"state\"", "topics[0].pattern = \"\""),
        (&[], &[], "[[topics]]\npattern = \"a..b\"", "topics[0].pattern = \"a..b\""),
        (&[], &[], "[[topics]]\npattern = \"a.>\"\nkind = \"stat\"", "topics[0].kind = \"stat\""),
        (&[], &[], "[[topics]]\npattern = \"a.>\"\nretain_ms = -1", "topics[0].retain_ms = \"-1\""),
        (&[], &[], "[[topics]]\npattern = \"a.>\"\nretain = 1", "topics[0].retain (from file broker.toml)"),
        // Tokens.
        (&[("token_algorithms", "ES256,none")], &[], "", "expected one or more of ES256, EdDSA, RS256 and HS256"),
        (&[("token_algorithms", "es256")], &[], "", "token_algorithms = \"es256\""),
        (&[("token_claim", "a..b")], &[], "", "expected the name of a claim"),
        (
            &[("token_jwks_url", "http://id.example.com/")],
            &[],
            "",
            "this machine only (127.0.0.1, [::1], localhost): use https",
        ),
        (
            &[("token_secret_file", "a"), ("token_key_file", "b")],
            &[],
            "",
            "token_secret_file and token_key_file are both given",
        ),
        (
            &[("token_secret_file", "a"), ("token_jwks_url", "https://id.example.com/")],
            &[],
            "",
            "token_secret_file and token_jwks_url are both given",
        ),
        (&[("token_secret_file", "a"), ("token_algorithms", "ES256")], &[], "", "does not contain HS256"),
        (&[("token_key_file", "a"), ("token_algorithms", "HS256")], &[], "", "needs a token_secret_file"),
        (&[("token_bytes_max", "16KiB"), ("header_bytes_max", "8KiB")], &[], "", "token_bytes_max = 16384 is above"),
        (&[("listen", "0.0.0.0:9000"), ("token_key_file", "a")], &[], "", "--cleartext-tokens"),
        (&[("listen", "0.0.0.0:9000"), ("open_publish", "true")], &[], "[[roles]]\nname = \"a\"", "--cleartext-tokens"),
        // Roles and static tokens.
        (&[], &[], "roles = 3", "expected [[roles]] tables"),
        (&[], &[], "[[roles]]\nsub = [\"a\"]", "roles[0].name = \"\" (from file broker.toml): expected a string"),
        (
            &[],
            &[],
            "[[roles]]\nname = \"a\"\nsub = \"a.>\"",
            "roles[\"a\"].sub = \"a.>\" (from file broker.toml): expected a list of strings",
        ),
        (
            &[],
            &[],
            "[[roles]]\nname = \"a\"\npub = [\"a..b\"]",
            "roles[\"a\"].pub = \"a..b\" (from file broker.toml): expected a pattern (segment 2 of \"a..b\" is empty)",
        ),
        (
            &[],
            &[],
            "[[roles]]\nname = \"a\"\ndeny = [\"x{sub}\"]",
            "expected a pattern ({sub} and {tenant} stand for whole segments, as in users.{sub}.>)",
        ),
        (
            &[],
            &[],
            "[[roles]]\nname = \"a\"\nsubs = [\"a\"]",
            "roles[\"a\"].subs (from file broker.toml): there is no such",
        ),
        (
            &[],
            &[],
            "[[roles]]\nname = \"a\"\nadmin = 1",
            "roles[\"a\"].admin = \"1\" (from file broker.toml): expected true or false",
        ),
        (&[], &[], "[[roles]]\nname = \"a\"\nclient_cert = [\"\"]", "expected a DNS name or a URI"),
        (&[], &[], "[[roles]]\nname = \"a\"\nconflate_ms_min = -1", "roles[\"a\"].conflate_ms_min = \"-1\""),
        (&[], &[], "[[roles]]\nname = \"a\"\npublishes_per_s = 1.5", "roles[\"a\"].publishes_per_s = \"1.5\""),
        (&[], &[], "[[roles]]\nname = \"a\"\nconnections_per_address_max = 5", "about addresses, which have no role"),
        (&[], &[], "[[roles]]\nname = \"a\"\nconnects_per_address_per_s = 5", "about addresses, which have no role"),
        (&[], &[], "[[roles]]\nname = \"a\"\nconnections_per_user_max = 5", "in a role it is called connections_max"),
        (&[], &[], "[[roles]]\nname = \"a\"\n[[roles]]\nname = \"a\"", "two roles are called \"a\""),
        (
            &[],
            &[],
            "[[tokens]]\nname = \"a\"",
            "tokens[\"a\"].sha256 = \"\" (from file broker.toml): expected the SHA-256",
        ),
        (&[], &[], "[[tokens]]\nname = \"a\"\nsha256 = \"abc\"", "tokens[\"a\"].sha256 = \"(not shown)\""),
        (&[], &[], "[[tokens]]\nname = \"a\"\ntoken = \"abc\"", "tokens[\"a\"].token (from file broker.toml)"),
    ];
    for (flags, environment, file, part) in cases {
        let refusal = refusal(flags, environment, file);
        assert!(refusal.contains(part), "{flags:?} {environment:?} {file:?}\n  gave {refusal:?}\n  not  {part:?}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let refusal = refusal(&[("shards", "x")], &[("TICKCAST_PIN", "y")], "retain_ms = \"z\"\nnope = 1");
    assert_eq!(refusal.lines().count(), 5, "{refusal}");
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

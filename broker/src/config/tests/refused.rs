//! What is refused, and what the operator is told.

use super::*;

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

//! What clients may send, and the errors for everything else.

mod subscribe;
mod updates;

use broker_protocol::request::{From, OnSlow, SubscribeEntry, parse, parse_line};
use broker_protocol::{ErrorCode, Kind, Request};
use proptest::prelude::*;

use self::updates::compact;

fn good(message: &str) -> Request<'_> {
    parse(message).unwrap_or_else(|(_, refusal)| panic!("{message}: {refusal:?}"))
}

/// Checks the refusal of a message: its id, its code, and what its sentence contains.
fn check_refused(message: &str, id: Option<&str>, code: ErrorCode, sentence: &str) {
    let (got_id, refusal) = parse(message).map(|request| format!("{request:?}")).expect_err(message);
    assert_eq!(got_id.map(|id| id.as_str()), id, "the id of {message}");
    assert_eq!(refusal.code, code, "{message}: {}", refusal.message);
    assert!(refusal.message.contains(sentence), "{message}: {}", refusal.message);
    assert!(refusal.message.len() < 300, "a sentence is bounded: {}", refusal.message);
}

#[test]
fn the_examples_of_the_protocol() {
    let message = r#"{"op":"subscribe","id":1,
        "topics":["stocks.AAPL.quote","sports.*.score",{"topic":"stocks.AAPL.trade","epoch":"k9","seq":893}],
        "from":"image","conflate_ms":0,"on_slow":"conflate"}"#;
    let Request::Subscribe(request) = good(message) else { panic!("subscribe") };
    assert_eq!(request.id.map(|id| id.as_bytes()), Some(&b"1"[..]));
    assert_eq!((request.from, request.conflate_ms, request.on_slow), (From::Image, 0, OnSlow::Conflate));
    assert_eq!(
        request.entries,
        [
            SubscribeEntry::Plain("stocks.AAPL.quote".into()),
            SubscribeEntry::Plain("sports.*.score".into()),
            SubscribeEntry::Resume { topic: "stocks.AAPL.trade".into(), epoch: "k9".into(), seq: 893 },
        ]
    );

    let message = r#"{"op":"publish","id":3,"topic":"stocks.AAPL.trade","kind":"event","data":{"px": "189.10","qty":"100"},
        "source":"nyse-a","source_seq":88123,"source_ts":1732270000119000}"#;
    let Request::Publish { id: Some(_), update } = good(message) else { panic!("publish") };
    assert_eq!((&*update.topic, update.kind), ("stocks.AAPL.trade", Some(Kind::Event)));
    assert_eq!((update.source, update.source_ts), (Some(("nyse-a".into(), 88123)), Some(1732270000119000)));

    let message =
        r#"{"op":"publish","id":4,"batch":[{"topic":"a","kind":"state","data":{}},{"topic":"b","data":[1, 2]}]}"#;
    let Request::Batch { updates, .. } = good(message) else { panic!("batch") };
    let updates: Vec<_> = updates.into_iter().map(|update| update.expect("good")).collect();
    assert_eq!(updates.iter().map(compact).collect::<Vec<_>>(), ["{}", "[1,2]"]);

    let message = r#"{"op":"unsubscribe","id":2,"topics":["stocks.AAPL.quote",{"topic":"t","epoch":"e","seq":1}]}"#;
    let Request::Unsubscribe { entries, .. } = good(message) else { panic!("unsubscribe") };
    assert_eq!(entries, ["stocks.AAPL.quote", "t"]);

    assert!(
        matches!(good(r#"{"op":"auth","id":5,"token":"secret"}"#), Request::Auth { token, .. } if token == "secret")
    );
    assert!(matches!(good(r#"{"op":"list","id":6}"#), Request::List { id: Some(_) }));
    assert!(matches!(good(r#" {"op" : "p\u0069ng"} "#), Request::Ping { id: None }));
}

#[test]
fn the_id_is_found_wherever_it_is() {
    let bad = ErrorCode::BadRequest;
    let longest = format!("\"{}\"", "x".repeat(64));
    let escaped = format!("\"{}\"", "\\u0061".repeat(64));
    let digits = "1".repeat(64);
    for id in ["0", "-1.5e+300", "\"\"", "\"\\ud800\"", &longest, &escaped, &digits] {
        let message = format!(r#"{{"op":"ping","id":{id}}}"#);
        assert!(matches!(good(&message), Request::Ping { id: Some(got) } if got.as_str() == id), "{id}");
        check_refused(&format!(r#"{{"id":{id},"op":"pong"}}"#), Some(id), ErrorCode::UnknownOp, "\"pong\"");
        check_refused(&format!(r#"{{"op":"list","x":[],"id":{id}}}"#), Some(id), bad, "\"x\" is not a field of list");
        check_refused(&format!(r#"{{"id":{id},"op":"#), Some(id), ErrorCode::BadJson, "invalid JSON");
        check_refused(&format!(r#"{{"op":"publish","data":tru,"id":{id}}}"#), None, ErrorCode::BadJson, "at byte");
    }
    let long = format!("\"{}\"", "x".repeat(65));
    let long_number = "1".repeat(65);
    for id in ["null", "true", "[1]", "{\"a\":1}", &long, &long_number] {
        let sentence = "\"id\" must be a number or a string of at most 64 bytes";
        check_refused(&format!(r#"{{"op":"ping","id":{id}}}"#), None, bad, sentence);
    }
    // A number that may have been truncated is not an id; a number followed by something is.
    check_refused(r#"{"op":"ping","id":12"#, None, ErrorCode::BadJson, "at byte 20");
    check_refused(r#"{"op":"ping","id":12 ,"#, Some("12"), ErrorCode::BadJson, "at byte 22");
    check_refused(r#"{"id":1,"op":"ping","id":2}"#, Some("1"), bad, "\"id\" is given twice");
}

#[test]
fn errors_of_messages() {
    let bad = ErrorCode::BadRequest;
    let deep = format!(r#"{{"op":"publish","topic":"t","data":{}{},"id":9}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let hostile = format!(r#"{{"op":"ping","{}":1}}"#, "k".repeat(60_000));
    let hostile_op = format!(r#"{{"op":"{}"}}"#, "k".repeat(60_000));
    let table = [
        ("", ErrorCode::BadJson, "at byte 0"),
        ("{", ErrorCode::BadJson, "at byte 1"),
        ("hello", ErrorCode::BadJson, "at byte 0"),
        (r#"{"op":"ping"}x"#, ErrorCode::BadJson, "at byte 13"),
        (r#"{"op":"ping",}"#, ErrorCode::BadJson, "at byte 13"),
        (r#"{"op":"ping"}{"op":"ping"}"#, ErrorCode::BadJson, "at byte 13"),
        (&"[".repeat(60_000), ErrorCode::BadJson, "at byte 60000"),
        ("[]", bad, "a message must be a JSON object"),
        ("17", bad, "a message must be a JSON object"),
        (r#""ping""#, bad, "a message must be a JSON object"),
        ("{}", bad, "\"op\" is missing"),
        (r#"{"op":1}"#, bad, "\"op\" must be a string"),
        (r#"{"op":null}"#, bad, "\"op\" must be a string"),
        (r#"{"op":"ping","op":"ping"}"#, bad, "\"op\" is given twice"),
        (r#"{"op":"ping","o\u0070":"ping"}"#, bad, "\"op\" is given twice"),
        (r#"{"op":"Ping"}"#, ErrorCode::UnknownOp, "there is no operation \"Ping\""),
        (r#"{"op":"","x":1}"#, ErrorCode::UnknownOp, "there is no operation \"\""),
        (r#"{"op":"ping","ts":1}"#, bad, "\"ts\" is not a field of ping"),
        (r#"{"op":"list","topics":[]}"#, bad, "\"topics\" is not a field of list"),
        (r#"{"op":"auth"}"#, bad, "\"token\" is missing"),
        (r#"{"op":"auth","token":1}"#, bad, "\"token\" must be a string"),
        (r#"{"op":"unsubscribe"}"#, bad, "\"topics\" is missing"),
        (r#"{"op":"unsubscribe","topics":[],"from":"live"}"#, bad, "\"from\" is not a field of unsubscribe"),
        (&hostile, bad, "kkk…\" is not a field of ping"),
        (&hostile_op, ErrorCode::UnknownOp, "kkk…\""),
    ];
    for (message, code, sentence) in table {
        check_refused(message, None, code, sentence);
    }
    check_refused(&deep, Some("9"), bad, "nested 10000 levels deep");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut anywhere, or with a byte changed: no panic, and `bad_json` exactly if an independent parser rejects it.
    #[test]
    fn broken_messages(which in 0..MESSAGES.len(), cut in any::<prop::sample::Index>(), byte in "[ -~]", what in 0..3) {
        let message = MESSAGES[which];
        let at = cut.index(message.len());
        let broken = match what {
            0 => message[..at].to_owned(),
            1 => format!("{}{byte}{}", &message[..at], &message[at..]),
            _ => format!("{}{byte}{}", &message[..at], &message[at + 1..]),
        };
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&broken).is_ok();
        match parse(&broken) {
            Ok(_) => prop_assert!(is_json, "{}", broken),
            Err((_, refusal)) => prop_assert_eq!(refusal.code == ErrorCode::BadJson, !is_json, "{}: {:?}", broken, refusal),
        }
        let _ = parse_line(&broken);
    }
}

const MESSAGES: &[&str] = &[
    r#"{"op":"subscribe","id":"x","topics":["a.*",{"topic":"t","epoch":"k","seq":3}],"from":{"last":5},"conflate_ms":9}"#,
    r#"{"op":"subscribe","topics":[],"ready":true,"positions":false,"resume":"1795404341365597"}"#,
    r#"{"op":"publish","topic":"t","kind":"patch","data":{"a":[1.5e3,"\u00e9\n"],"b":{}},"source":"s","source_seq":1}"#,
    r#"{"op":"publish","batch":[{"topic":"t","data":null},{"topic":"u","kind":"event","data":"x"}],"id":-1.0}"#,
];

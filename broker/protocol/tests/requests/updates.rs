//! Updates: alone, in a batch, on a line.

use broker_protocol::request::{Publication, parse_line};
use broker_protocol::{ErrorCode, Kind, Request};

use super::{check_refused, good};

pub(super) fn compact(publication: &Publication<'_>) -> String {
    let mut out = Vec::new();
    publication.data.append_compact(&mut out);
    String::from_utf8(out).expect("text")
}

/// Errors of an update are the same in `publish`, in a batch and on a line.
#[test]
fn errors_of_updates() {
    let table = [
        (r#""data":1"#, "\"topic\" is missing"),
        (r#""topic":7,"data":1"#, "\"topic\" must be a string"),
        (r#""topic":"\ud800","data":1"#, "\"topic\" must be a string"),
        (r#""topic":"t""#, "\"data\" is missing"),
        (r#""topic":"t","data":1,"kind":"quote""#, "\"kind\" must be"),
        (r#""topic":"t","data":1,"kind":null"#, "\"kind\" must be"),
        (r#""topic":"t","data":1,"kind":"patch""#, "must be an object"),
        (r#""topic":"t","data":{"a":1,"a":2},"kind":"patch""#, "is given twice in an object of a patch"),
        (r#""topic":"t","data":1,"source":"s""#, "\"source\" needs a \"source_seq\""),
        (r#""topic":"t","data":1,"source_seq":1"#, "\"source_seq\" needs a \"source\""),
        (r#""topic":"t","data":1,"source":1,"source_seq":1"#, "\"source\" must be a string"),
        (r#""topic":"t","data":1,"source":"s","source_seq":"1""#, "\"source_seq\" must be a whole number"),
        (r#""topic":"t","data":1,"source":"s","source_seq":9007199254740992"#, "\"source_seq\" must be below 2^53"),
        (r#""topic":"t","data":1,"source_ts":1.0"#, "\"source_ts\" must be a whole number"),
        (r#""topic":"t","data":1,"source_ts":99999999999999999999"#, "\"source_ts\" must be below 2^53"),
        (r#""topic":"t","data":1,"data":1"#, "\"data\" is given twice"),
        (r#""topic":"t","data":1,"seq":1"#, "\"seq\" is not a field of "),
        (r#""topic":"t","data":1,"ts":1"#, "\"ts\" is not a field of "),
    ];
    for (fields, sentence) in table {
        check_refused(&format!(r#"{{"op":"publish",{fields}}}"#), None, ErrorCode::BadRequest, sentence);
        let line = parse_line(&format!("{{{fields}}}")).map(|_| ()).expect_err(fields);
        assert!(line.code == ErrorCode::BadRequest && line.message.contains(sentence), "{fields}: {line:?}");
        let message =
            format!(r#"{{"op":"publish","batch":[{{"topic":"a","data":0}}, {{{fields}}},{{"topic":"b","data":0}}]}}"#);
        let Request::Batch { updates, .. } = good(&message) else { panic!("batch") };
        let [Ok(_), Err(refusal), Ok(_)] = &updates[..] else { panic!("{message}: {updates:?}") };
        assert!(refusal.message.contains(sentence), "{message}: {refusal:?}");
    }
    let source = "x".repeat(65);
    let message = format!(r#"{{"op":"publish","topic":"t","data":1,"source":"{source}","source_seq":1}}"#);
    check_refused(&message, None, ErrorCode::BadRequest, "\"source\" must be at most 64 bytes long");
}

#[test]
fn batches_and_lines() {
    let bad = ErrorCode::BadRequest;
    let sentence = "is not a field of publish with a batch";
    check_refused(r#"{"op":"publish","batch":[],"topic":"t"}"#, None, bad, sentence);
    check_refused(r#"{"op":"publish","data":1,"topic":"t","id":1,"batch":[]}"#, Some("1"), bad, sentence);
    check_refused(r#"{"op":"publish","batch":{}}"#, None, bad, "\"batch\" must be an array");
    check_refused(r#"{"op":"publish","batch":[],"batch":[]}"#, None, bad, "\"batch\" is given twice");
    check_refused(r#"{"op":"ping","batch":[]}"#, None, bad, "\"batch\" is not a field of ping");
    check_refused(r#"{"op":"publish","id":1,"batch":[{"topic":}]}"#, Some("1"), ErrorCode::BadJson, "at byte");
    let message = r#"{"op":"publish","batch":[1,"a",null,[],{}, {"topic":"t","batch":[],"data":1},{"op":"publish","topic":"t","data":1}]}"#;
    let Request::Batch { updates, .. } = good(message) else { panic!("batch") };
    assert_eq!(updates.len(), 7);
    assert!(updates.iter().all(|update| update.as_ref().is_err_and(|refusal| refusal.code == bad)), "{updates:?}");
    assert!(matches!(good(r#"{"op":"publish","batch":[ ]}"#), Request::Batch { updates, .. } if updates.is_empty()));

    let update = parse_line("{\"topic\":\"t\",\"kind\":\"patch\",\"data\":{ \"a\" : 1.0 }}\r").expect("good");
    assert_eq!((compact(&update), update.kind), (r#"{"a":1.0}"#.to_owned(), Some(Kind::Patch)));
    for (line, code) in [("", ErrorCode::BadJson), ("[]", bad), ("{\"topic\":\"t\",\"data\":1}}", ErrorCode::BadJson)] {
        assert_eq!(parse_line(line).map(|_| ()).map_err(|refusal| refusal.code), Err(code), "{line}");
    }
    let line = r#"{"op":"publish","topic":"t","data":1}"#;
    assert!(parse_line(line).is_err_and(|refusal| refusal.message == "\"op\" is not a field of a line"));
}

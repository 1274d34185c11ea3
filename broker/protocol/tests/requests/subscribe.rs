//! `subscribe`: its options, and invalid entries.

use broker_protocol::request::{CONFLATE_LADDER_MS, From, OnSlow, SubscribeEntry};
use broker_protocol::{ErrorCode, Request};

use super::{check_refused, good};

fn subscribe(fields: &str) -> String {
    format!(r#"{{"op":"subscribe","topics":[]{fields}}}"#)
}

#[test]
fn options_of_subscribe() {
    let table = [
        ("", From::Image, 0, OnSlow::Conflate),
        (r#","from":"live","on_slow":"retain""#, From::Live, 0, OnSlow::Retain),
        (r#","from":{"last":0},"on_slow":"disconnect""#, From::Last(0), 0, OnSlow::Disconnect),
        (r#","from":{"last":18446744073709551615}"#, From::Last(u64::MAX), 0, OnSlow::Conflate),
        (r#","from":{"last":99999999999999999999999}"#, From::Last(u64::MAX), 0, OnSlow::Conflate),
        (r#","conflate_ms":1"#, From::Image, 10, OnSlow::Conflate),
        (r#","conflate_ms":10"#, From::Image, 10, OnSlow::Conflate),
        (r#","conflate_ms":11"#, From::Image, 20, OnSlow::Conflate),
        (r#","conflate_ms":60000"#, From::Image, 60_000, OnSlow::Conflate),
        (r#","conflate_ms":60001"#, From::Image, 60_000, OnSlow::Conflate),
        (r#","conflate_ms":99999999999999999999999999"#, From::Image, 60_000, OnSlow::Conflate),
    ];
    for (fields, from, conflate_ms, on_slow) in table {
        let message = subscribe(fields);
        let Request::Subscribe(request) = good(&message) else { panic!("subscribe") };
        assert_eq!((request.from, request.conflate_ms, request.on_slow), (from, conflate_ms, on_slow), "{fields}");
        assert!(request.entries.is_empty());
    }
    assert!(CONFLATE_LADDER_MS.is_sorted());
    let wrong = [
        (r#","from":"now""#, "\"from\" must be"),
        (r#","from":null"#, "\"from\" must be"),
        (r#","from":{}"#, "\"last\" is missing"),
        (r#","from":{"last":-1}"#, "\"last\" must be a whole number"),
        (r#","from":{"last":1.5}"#, "\"last\" must be a whole number"),
        (r#","from":{"last":1,"x":2}"#, "\"x\" is not a field of \"from\""),
        (r#","conflate_ms":-1"#, "\"conflate_ms\" must be a whole number"),
        (r#","conflate_ms":0.5"#, "\"conflate_ms\" must be"),
        (r#","conflate_ms":"10""#, "\"conflate_ms\" must be"),
        (r#","conflate_ms":null"#, "\"conflate_ms\" must be"),
        (r#","on_slow":"drop""#, "\"on_slow\" must be"),
        (r#","on_slow":1"#, "\"on_slow\" must be"),
        (r#","topics":[]"#, "\"topics\" is given twice"),
        (r#","kind":"state""#, "\"kind\" is not a field of subscribe"),
        (r#","conflate":1"#, "\"conflate\" is not a field of subscribe"),
    ];
    for (fields, sentence) in wrong {
        check_refused(&subscribe(fields), None, ErrorCode::BadRequest, sentence);
    }
    check_refused(r#"{"op":"subscribe","id":1}"#, Some("1"), ErrorCode::BadRequest, "\"topics\" is missing");
    check_refused(r#"{"op":"subscribe","topics":"a"}"#, None, ErrorCode::BadRequest, "\"topics\" must be an array");
}

#[test]
fn ready_positions_and_resume() {
    let table = [
        ("", false, false, None),
        (r#","ready":true"#, true, false, None),
        (r#","positions":true"#, false, true, None),
        (r#","ready":false,"positions":false"#, false, false, None),
        (r#","resume":"1795404341365597","ready":true,"positions":true"#, true, true, Some(1_795_404_341_365_597)),
        (r#","resume":"0""#, false, false, Some(0)),
        (r#","resume":"9007199254740991""#, false, false, Some((1 << 53) - 1)),
        (r#","resume":"\u0031""#, false, false, Some(1)),
    ];
    for (fields, ready, positions, resume) in table {
        let message = subscribe(fields);
        let Request::Subscribe(request) = good(&message) else { panic!("subscribe") };
        assert_eq!((request.ready, request.positions, request.resume), (ready, positions, resume), "{fields}");
        assert_eq!(request.from, From::Image, "{fields}");
    }
    let flags = "must be true or false";
    let id = "\"resume\" must be a whole number below 2^53, in a string";
    let wrong = [
        (r#","ready":null"#, flags),
        (r#","ready":1"#, flags),
        (r#","ready":"true""#, flags),
        (r#","positions":0"#, flags),
        (r#","positions":[]"#, flags),
        (r#","resume":1795404341365597"#, "\"resume\" must be a string"),
        (r#","resume":null"#, "\"resume\" must be a string"),
        (r#","resume":"""#, id),
        (r#","resume":"-1""#, id),
        (r#","resume":"+1""#, id),
        (r#","resume":" 1""#, id),
        (r#","resume":"1.0""#, id),
        (r#","resume":"0x1f""#, id),
        (r#","resume":"9007199254740992""#, id),
        (r#","resume":"99999999999999999999999999""#, id),
        (r#","resume":"1","from":"image""#, "\"from\" and \"resume\""),
        (r#","resume":"1","from":{"last":1}"#, "\"from\" and \"resume\""),
        (r#","ready":true,"ready":true"#, "\"ready\" is given twice"),
    ];
    for (fields, sentence) in wrong {
        check_refused(&subscribe(fields), None, ErrorCode::BadRequest, sentence);
    }
    let unsubscribe = r#"{"op":"unsubscribe","topics":[],"ready":true}"#;
    check_refused(unsubscribe, None, ErrorCode::BadRequest, "\"ready\" is not a field of unsubscribe");
}

#[test]
fn an_invalid_entry_affects_no_other() {
    let table = [
        (r#"{"topic":"t","epoch":null}"#, Ok("t")),
        (r#"{"topic":"t","epoch":null,"seq":0}"#, Ok("t")),
        (r#"{"topic":"t.*"}"#, Ok("t.*")),
        (r#""\u0074""#, Ok("t")),
        (r#""""#, Ok("")),
        (r#"{"topic":"t","epoch":"k"}"#, Err(("t", "\"seq\" is missing"))),
        (r#"{"topic":"t","seq":5}"#, Err(("t", "\"epoch\" is missing"))),
        (r#"{"topic":"t","epoch":"k","seq":9007199254740992}"#, Err(("t", "\"seq\" must be below 2^53"))),
        (r#"{"topic":"t","epoch":"k","seq":-1}"#, Err(("t", "\"seq\" must be a whole number"))),
        (r#"{"topic":"t","epoch":"k","seq":null}"#, Err(("t", "\"seq\" must be a whole number"))),
        (r#"{"topic":"t","epoch":7,"seq":1}"#, Err(("t", "\"epoch\" must be a string"))),
        (r#"{"topic":"t","from":"live"}"#, Err(("t", "\"from\" is not a field of an entry"))),
        (r#"{"topic":"t","zzz":"live"}"#, Err(("t", "\"zzz\" is not a field of an entry"))),
        (r#"{"topic":"t","topic":"u"}"#, Err(("t", "\"topic\" is given twice"))),
        (r#"{"epoch":"k","seq":1}"#, Err((r#"{"epoch":"k","seq":1}"#, "\"topic\" is missing"))),
        (r#"{"topic":5}"#, Err((r#"{"topic":5}"#, "\"topic\" must be a string"))),
        ("5", Err(("5", "not \"5\""))),
        ("null", Err(("null", "a string or an object"))),
        (r#"["t"]"#, Err((r#"["t"]"#, "a string or an object"))),
    ];
    for (entry, expected) in table {
        let message = format!(r#"{{"op":"subscribe","topics":["first",{entry},"last"]}}"#);
        let Request::Subscribe(request) = good(&message) else { panic!("subscribe") };
        let [first, entry, last] = &request.entries[..] else { panic!("three entries: {message}") };
        assert_eq!((first, last), (&SubscribeEntry::Plain("first".into()), &SubscribeEntry::Plain("last".into())));
        match (entry, expected) {
            (SubscribeEntry::Plain(name), Ok(expected)) => assert_eq!(name, expected),
            (SubscribeEntry::Bad { entry, refusal }, Err((expected, sentence))) => {
                assert_eq!((&**entry, refusal.code), (expected, ErrorCode::BadRequest));
                assert!(refusal.message.contains(sentence), "{message}: {}", refusal.message);
            }
            _ => panic!("{message}: {entry:?}"),
        }
    }
    let long = format!(r#"{{"op":"subscribe","topics":[[{}]]}}"#, "1,".repeat(500) + "1");
    let Request::Subscribe(request) = good(&long) else { panic!("subscribe") };
    assert!(matches!(&request.entries[..], [SubscribeEntry::Bad { entry, .. }] if entry.len() == 64));
    // No answer lists the invalid entries of `unsubscribe`: there they make the whole message invalid.
    check_refused(r#"{"op":"unsubscribe","topics":["a",1]}"#, None, ErrorCode::BadRequest, "an entry");
}

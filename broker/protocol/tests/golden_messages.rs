//! Golden bytes: every message of PROTOCOL §4, field by field in order, and the HTTP bodies.

use broker_protocol::message::{self, *};
use broker_protocol::{ErrorCode, Kind, OnSlow, Pattern, Permissions};

fn check(write: impl FnOnce(&mut Vec<u8>), golden: &str) {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), format!("before{golden}"));
    assert!(serde_json::from_str::<serde_json::Value>(golden).is_ok(), "{golden}");
}

const LIMITS: Limits = Limits {
    subscriptions: 1024,
    message_bytes: 65536,
    image_bytes: 1048576,
    behind_bytes: 65536,
    retain_updates: 1024,
    stall_ms: 60000,
};

#[test]
fn hello_contains_the_limits() {
    check(
        |out| message::hello(out, Server { version: "tickcast/0.1.0", node: None }, "s-1", 25000, None, &[], &LIMITS),
        concat!(
            r#"{"op":"hello","protocol":"tickcast.v1","server":"tickcast/0.1.0","session":"s-1","heartbeat_ms":25000,"#,
            r#""features":[],"limits":{"subscriptions":1024,"message_bytes":65536,"image_bytes":1048576,"#,
            r#""behind_bytes":65536,"retain_updates":1024,"stall_ms":60000}}"#
        ),
    );
    for (auth, word) in [(Auth::Required, "required"), (Auth::Optional, "optional")] {
        let mut out = Vec::new();
        message::hello(&mut out, Server { version: "t", node: Some("n") }, "s", 1, Some(auth), &["auth"], &LIMITS);
        assert!(String::from_utf8_lossy(&out).contains(r#""server":"t","node":"n","session":"s""#));
        let fields = format!(r#""features":["auth"],"auth":"{word}","limits""#);
        assert!(String::from_utf8_lossy(&out).contains(&fields));
    }
}

#[test]
fn subscribed_always_has_its_three_lists() {
    let quote = TopicStart {
        topic: "stocks.AAPL.quote",
        kind: Some(Kind::State),
        epoch: Some("k9"),
        seq: 880,
        oldest: 857,
        start: Start::Image,
        conflate_ms: 0,
    };
    let waiting =
        TopicStart { topic: "a", kind: None, epoch: None, seq: 0, oldest: 1, start: Start::Live, conflate_ms: 100 };
    let scores = PatternStart { pattern: "sports.*.score", matched: 12, conflate_ms: 0 };
    let wrong = EntryError {
        topic: "a..b",
        is_pattern: false,
        code: ErrorCode::BadTopic,
        message: "segment 2 of \"a..b\" is empty",
    };
    let full = EntryError { topic: "x.>", is_pattern: true, code: ErrorCode::Limit, message: "full" };
    check(
        |out| message::subscribed(out, Some(b"1"), &[quote, waiting], &[scores, scores], &[wrong, full]),
        concat!(
            r#"{"op":"subscribed","id":1,"topics":["#,
            r#"{"topic":"stocks.AAPL.quote","kind":"state","epoch":"k9","seq":880,"oldest":857,"start":"image","conflate_ms":0},"#,
            r#"{"topic":"a","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"live","conflate_ms":100}],"#,
            r#""patterns":[{"pattern":"sports.*.score","matched":12,"conflate_ms":0},"#,
            r#"{"pattern":"sports.*.score","matched":12,"conflate_ms":0}],"#,
            r#""errors":[{"topic":"a..b","code":"bad_topic","message":"segment 2 of \"a..b\" is empty","retry":false},"#,
            r#"{"topic":"x.>","code":"limit","message":"full","retry":true}]}"#
        ),
    );
    check(
        |out| message::subscribed(out, None, &[], &[], &[]),
        r#"{"op":"subscribed","topics":[],"patterns":[],"errors":[]}"#,
    );
}

#[test]
fn everything_has_begun() {
    check(|out| message::ready(out, Some(b"1")), r#"{"op":"ready","id":1}"#);
    check(|out| message::ready(out, None), r#"{"op":"ready"}"#);
    check(|out| message::position(out, 1795404341365597), r#"{"op":"position","id":"1795404341365597"}"#);
}

#[test]
fn a_topic_starts() {
    let mut start = TopicStart {
        topic: "sports.match7.score",
        kind: Some(Kind::State),
        epoch: Some("m2"),
        seq: 17,
        oldest: 1,
        start: Start::Image,
        conflate_ms: 0,
    };
    let table = [
        (Start::Image, Kind::State, "image", "state"),
        (Start::Live, Kind::Event, "live", "event"),
        (Start::History, Kind::Patch, "history", "patch"),
        (Start::Resumed, Kind::State, "resumed", "state"),
        (Start::Reset, Kind::State, "reset", "state"),
    ];
    for (starts, kind, starts_word, kind_word) in table {
        (start.start, start.kind) = (starts, Some(kind));
        let golden = format!(
            concat!(
                r#"{{"op":"topic","topic":"sports.match7.score","kind":"{kind}","epoch":"m2","seq":17,"oldest":1,"#,
                r#""start":"{start}","conflate_ms":0}}"#
            ),
            kind = kind_word,
            start = starts_word
        );
        check(|out| message::topic(out, &start), &golden);
    }
}

#[test]
fn the_stream_of_a_topic() {
    let ts = 1732270000123456;
    let data = |out: &mut Vec<u8>| out.extend_from_slice(br#"{"bid":"189.11"}"#);
    check(
        |out| message::image(out, "stocks.AAPL.quote", "k9", 880, ts, None, br#"{"bid":"189.10"}"#),
        r#"{"op":"image","topic":"stocks.AAPL.quote","epoch":"k9","seq":880,"ts":1732270000123456,"data":{"bid":"189.10"}}"#,
    );
    check(
        |out| message::image(out, "q", "k9", 9007199254740991, ts, Some(1732270000119000), b"null"),
        r#"{"op":"image","topic":"q","epoch":"k9","seq":9007199254740991,"ts":1732270000123456,"source_ts":1732270000119000,"data":null}"#,
    );
    check(
        |out| message::update(out, Kind::State, "stocks.AAPL.quote", 881, None, ts, None, data),
        r#"{"op":"update","topic":"stocks.AAPL.quote","seq":881,"ts":1732270000123456,"data":{"bid":"189.11"}}"#,
    );
    check(
        |out| message::update(out, Kind::Event, "t", 1, None, ts, Some(0), data),
        r#"{"op":"update","topic":"t","seq":1,"ts":1732270000123456,"source_ts":0,"data":{"bid":"189.11"}}"#,
    );
    check(
        |out| message::update(out, Kind::Patch, "stocks.AAPL.book", 4211, Some(4200), ts, Some(7), data),
        r#"{"op":"patch","topic":"stocks.AAPL.book","seq":4211,"from":4200,"ts":1732270000123456,"source_ts":7,"data":{"bid":"189.11"}}"#,
    );
    check(
        |out| message::gap(out, "stocks.AAPL.trade", 894, 1009, GapReason::Slow),
        r#"{"op":"gap","topic":"stocks.AAPL.trade","from":894,"to":1009,"reason":"slow"}"#,
    );
    check(
        |out| message::gap(out, "t", 1, 1, GapReason::Expired),
        r#"{"op":"gap","topic":"t","from":1,"to":1,"reason":"expired"}"#,
    );
    check(|out| message::closed(out, "sports.match7.score"), r#"{"op":"closed","topic":"sports.match7.score"}"#);
}

#[test]
fn answers_echo_the_id_byte_for_byte() {
    check(
        |out| message::unsubscribed(out, Some(b"2.0e0"), &["stocks.AAPL.quote", "sports.*.score"]),
        r#"{"op":"unsubscribed","id":2.0e0,"topics":["stocks.AAPL.quote","sports.*.score"]}"#,
    );
    check(
        |out| message::published(out, Some(br#""\u0061""#), "stocks.AAPL.trade", "k9", 894, false),
        r#"{"op":"published","id":"\u0061","topic":"stocks.AAPL.trade","epoch":"k9","seq":894}"#,
    );
    check(
        |out| message::published(out, None, "t", "k9", 894, true),
        r#"{"op":"published","topic":"t","epoch":"k9","seq":894,"duplicate":true}"#,
    );
    let rejected = [(0, ErrorCode::BadTopic, "no \"name\"".to_owned()), (7, ErrorCode::TooLarge, "big".to_owned())];
    check(
        |out| message::published_batch(out, Some(b"4"), 2, 0, &rejected[..1], None),
        r#"{"op":"published","id":4,"accepted":2,"rejected":[{"index":0,"code":"bad_topic","message":"no \"name\""}]}"#,
    );
    check(
        |out| message::published_batch(out, None, 5, 3, &rejected, Some(240)),
        concat!(
            r#"{"op":"published","accepted":5,"duplicates":3,"rejected":["#,
            r#"{"index":0,"code":"bad_topic","message":"no \"name\""},{"index":7,"code":"too_large","message":"big"}],"retry_ms":240}"#
        ),
    );
    let row = |name, conflate_ms, on_slow| SubscriptionRow { name, conflate_ms, on_slow };
    check(
        |out| {
            let topics = [row("a", 0, OnSlow::Conflate), row("b", 60000, OnSlow::Disconnect)];
            message::subscriptions(out, Some(b"6"), &topics, &[row("a.>", 50, OnSlow::Retain)]);
        },
        concat!(
            r#"{"op":"subscriptions","id":6,"topics":[{"topic":"a","conflate_ms":0,"on_slow":"conflate"},"#,
            r#"{"topic":"b","conflate_ms":60000,"on_slow":"disconnect"}],"#,
            r#""patterns":[{"pattern":"a.>","conflate_ms":50,"on_slow":"retain"}]}"#
        ),
    );
    let pattern = |text| Pattern::parse(text).expect("a pattern");
    let permissions = Permissions::new(vec![pattern("b"), pattern("a.>")], vec![], vec![pattern("a.*.x")]);
    check(
        |out| message::authenticated(out, Some(b"5"), "user-42", Some(1732273600000000), &permissions),
        concat!(
            r#"{"op":"authenticated","id":5,"sub":"user-42","expires_ts":1732273600000000,"#,
            r#""allow":{"sub":["a.>","b"],"pub":[],"deny":["a.*.x"]}}"#
        ),
    );
    check(
        |out| message::authenticated(out, None, "feed \"a\"", None, &Permissions::default()),
        concat!(
            r#"{"op":"authenticated","sub":"feed \"a\"","expires_ts":null,"#,
            r#""allow":{"sub":[],"pub":[],"deny":[]}}"#
        ),
    );
    check(|out| message::reauth(out, 1732273600000000), r#"{"op":"reauth","expires_ts":1732273600000000}"#);
    check(
        |out| message::subscription_error(out, "a.*", ErrorCode::Forbidden, "no"),
        r#"{"op":"error","pattern":"a.*","code":"forbidden","message":"no","retry":false}"#,
    );
    check(
        |out| message::subscription_error(out, "a.b", ErrorCode::Limit, "full"),
        r#"{"op":"error","topic":"a.b","code":"limit","message":"full","retry":true}"#,
    );
    check(|out| message::pong(out, Some(b"7"), 1732270000125000), r#"{"op":"pong","id":7,"ts":1732270000125000}"#);
    check(
        |out| message::error(out, Some(b"9"), ErrorCode::UnknownOp, "there is no operation \"x\"\n"),
        r#"{"op":"error","id":9,"code":"unknown_op","message":"there is no operation \"x\"\n","retry":false}"#,
    );
    check(
        |out| message::error(out, None, ErrorCode::RateLimited, "later"),
        r#"{"op":"error","code":"rate_limited","message":"later","retry":true}"#,
    );
    check(
        |out| message::rate_limited(out, Some(b"9"), "later", 240),
        r#"{"op":"error","id":9,"code":"rate_limited","message":"later","retry":true,"retry_ms":240}"#,
    );
}

#[test]
fn signs_of_life_and_goaway() {
    check(|out| message::heartbeat(out, 1732270025123456), r#"{"op":"heartbeat","ts":1732270025123456}"#);
    check(|out| message::goaway(out, "shutdown", 5000), r#"{"op":"goaway","reason":"shutdown","after_ms":5000}"#);
}

#[test]
fn http_bodies() {
    check(
        |out| message::http_error(out, ErrorCode::NotFound, "there is no topic \"x\""),
        r#"{"error":{"code":"not_found","message":"there is no topic \"x\""}}"#,
    );
    check(|out| message::published_body(out, "t", "k9", 3, false), r#"{"topic":"t","epoch":"k9","seq":3}"#);
    check(
        |out| message::published_body(out, "t", "k9", 3, true),
        r#"{"topic":"t","epoch":"k9","seq":3,"duplicate":true}"#,
    );
    let lines = |rejected: &[u64], accepted, duplicates| {
        let (mut out, mut list) = (Vec::new(), Vec::new());
        rejected.iter().for_each(|line| message::rejected_line(&mut list, *line, ErrorCode::BadJson, "m"));
        message::published_lines_begin(&mut out, accepted, duplicates);
        out.extend_from_slice(&list);
        message::published_lines_end(&mut out, (duplicates > 0).then_some(240));
        out
    };
    check(
        |out| out.extend_from_slice(&lines(&[2, 7], 1, 0)),
        r#"{"accepted":1,"rejected":[{"line":2,"code":"bad_json","message":"m"},{"line":7,"code":"bad_json","message":"m"}]}"#,
    );
    check(
        |out| out.extend_from_slice(&lines(&[], 4, 1)),
        r#"{"accepted":4,"duplicates":1,"rejected":[],"retry_ms":240}"#,
    );
    for (things, next, text) in
        [(&["1", "2"][..], Some("q"), r#"{"images":[1,2],"next":"q"}"#), (&[], None, r#"{"images":[],"next":null}"#)]
    {
        let page = |out: &mut Vec<u8>| {
            message::page_begin(out, "images");
            out.extend_from_slice(things.join(",").as_bytes());
            message::page_end(out, next);
        };
        check(page, text);
    }
}

use super::*;
use crate::authenticated::Allow;
use crate::{Kind, Start};

#[track_caller]
fn check(text: &str, expected: Incoming<'_>) {
    read(text, |came| assert_eq!(came, expected)).unwrap();
}

/// The protocol's own examples.
#[test]
fn every_message_is_read() {
    read(
        r#"{"op":"hello","protocol":"tickcast.v1","server":"tickcast/0.1.0","session":"s1","heartbeat_ms":25000,
           "features":[],"limits":{"subscriptions":7,"message_bytes":65536,"image_bytes":1048576,"behind_bytes":65536,"retain_updates":1024,"stall_ms":60000}}"#,
        |came| {
            let Incoming::Hello(hello) = came else { panic!("{came:?}") };
            assert_eq!((hello.session.as_str(), hello.heartbeat_ms, hello.limits.subscriptions), ("s1", 25_000, 7));
        },
    )
    .unwrap();
    let quote = TopicStart {
        topic: "stocks.AAPL.quote".into(),
        kind: Some(Kind::State),
        epoch: Some("k9".into()),
        seq: 880,
        oldest: 857,
        start: Start::Image,
        conflate_ms: 0,
    };
    check(
        r#"{"op":"subscribed","id":1,"topics":[{"topic":"stocks.AAPL.quote","kind":"state","epoch":"k9","seq":880,"oldest":857,"start":"image","conflate_ms":0}],
            "patterns":[{"pattern":"sports.*.score","matched":12,"conflate_ms":0}],
            "errors":[{"topic":"a..b","code":"bad_topic","message":"segment 2 of \"a..b\" is empty","retry":false}]}"#,
        Incoming::Subscribed {
            id: 1,
            topics: vec![quote.clone()],
            patterns: vec![("sports.*.score".into(), 12)],
            errors: vec![EntryError {
                entry: "a..b".into(),
                code: ErrorCode::BadTopic,
                message: r#"segment 2 of "a..b" is empty"#.into(),
                retry: false,
            }],
        },
    );
    check(
        r#"{"op":"topic","topic":"stocks.AAPL.quote","kind":"state","epoch":"k9","seq":880,"oldest":857,"start":"image","conflate_ms":0}"#,
        Incoming::Topic(quote),
    );
    check(
        r#"{"op":"subscribed","id":2,"topics":[{"topic":"new","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"live","conflate_ms":0}],"patterns":[],"errors":[]}"#,
        Incoming::Subscribed {
            id: 2,
            topics: vec![TopicStart {
                topic: "new".into(),
                kind: None,
                epoch: None,
                seq: 0,
                oldest: 1,
                start: Start::Live,
                conflate_ms: 0,
            }],
            patterns: vec![],
            errors: vec![],
        },
    );
    check(
        r#"{"op":"image","topic":"a","epoch":"k9","seq":880,"ts":17,"data":{"bid":"189.10" , "x":1.0e+00}}"#,
        Incoming::Image {
            topic: "a",
            epoch: "k9",
            seq: 880,
            ts: 17,
            source_ts: None,
            data: r#"{"bid":"189.10" , "x":1.0e+00}"#,
        },
    );
    check(
        r#"{"op":"update","topic":"a","seq":881,"from":880,"ts":17,"source_ts":16,"data":12345678901234567890123.10}"#,
        Incoming::Update {
            patch: false,
            topic: "a",
            seq: 881,
            from: Some(880),
            ts: 17,
            source_ts: Some(16),
            data: "12345678901234567890123.10",
        },
    );
    check(
        r#"{"op":"update","topic":"a","seq":1,"ts":1,"data":null}"#,
        Incoming::Update { patch: false, topic: "a", seq: 1, from: None, ts: 1, source_ts: None, data: "null" },
    );
    check(
        r#"{"op":"patch","topic":"a","seq":4211,"ts":1,"data":{"bids":{"189.10":null}}}"#,
        Incoming::Update {
            patch: true,
            topic: "a",
            seq: 4211,
            from: None,
            ts: 1,
            source_ts: None,
            data: r#"{"bids":{"189.10":null}}"#,
        },
    );
    check(
        r#"{"op":"gap","topic":"a","from":894,"to":1009,"reason":"slow"}"#,
        Incoming::Gap { topic: "a", from: 894, to: 1009, reason: GapReason::Slow },
    );
    check(r#"{"op":"closed","topic":"a\/b"}"#, Incoming::Closed { topic: "a/b" });
    check(r#"{"op":"unsubscribed","id":2,"topics":["a"]}"#, Incoming::Unsubscribed { id: 2 });
    check(
        r#"{"op":"published","id":3,"topic":"a","epoch":"k9","seq":894,"duplicate":true}"#,
        Incoming::Published { id: 3, topic: "a".into(), epoch: "k9".into(), seq: 894, duplicate: true },
    );
    check(
        r#"{"op":"published","id":4,"accepted":2,"rejected":[{"index":0,"code":"bad_topic","message":"…"}],"retry_ms":40}"#,
        Incoming::PublishedBatch {
            id: 4,
            accepted: 2,
            duplicates: 0,
            rejected: vec![Rejected { index: 0, code: ErrorCode::BadTopic, message: "…".into() }],
            retry_ms: Some(40),
        },
    );
    check(
        r#"{"op":"subscriptions","id":6,"topics":[{"topic":"a","conflate_ms":0,"on_slow":"conflate"}],"patterns":[{"pattern":">","conflate_ms":10,"on_slow":"retain"}]}"#,
        Incoming::Subscriptions {
            id: 6,
            rows: vec![
                Listed { entry: "a".into(), conflate_ms: 0, on_slow: "conflate".into() },
                Listed { entry: ">".into(), conflate_ms: 10, on_slow: "retain".into() },
            ],
        },
    );
    check(r#"{"op":"pong","id":7,"ts":5}"#, Incoming::Pong { id: 7, ts: 5 });
    check(r#"{"op":"heartbeat","ts":5}"#, Incoming::Heartbeat);
    check(
        r#"{"op":"error","id":9,"code":"unknown_op","message":"m","retry":false}"#,
        error(Some(9), ErrorCode::UnknownOp, "m", false, None, None),
    );
    for (field, entry) in [("topic", "a.b"), ("pattern", "a.*")] {
        check(
            &format!(r#"{{"op":"error","{field}":"{entry}","code":"forbidden","message":"m","retry":false}}"#),
            error(None, ErrorCode::Forbidden, "m", false, None, Some(entry)),
        );
    }
    check(
        r#"{"op":"error","id":9,"code":"rate_limited","message":"m","retry":true,"retry_ms":240}"#,
        error(Some(9), ErrorCode::RateLimited, "m", true, Some(240), None),
    );
    let allow = Allow { sub: vec!["a.>".into()], publish: vec!["b".into()], deny: vec!["a.c".into()] };
    check(
        r#"{"op":"authenticated","id":5,"sub":"user-42","expires_ts":17,"allow":{"sub":["a.>"],"pub":["b"],"deny":["a.c"]}}"#,
        Incoming::Authenticated {
            id: Some(5),
            who: Authenticated { sub: "user-42".into(), expires_ts: Some(17), allow },
        },
    );
    check(
        r#"{"op":"authenticated","sub":"feed","expires_ts":null,"allow":{}}"#,
        Incoming::Authenticated {
            id: None,
            who: Authenticated { sub: "feed".into(), expires_ts: None, allow: Allow::default() },
        },
    );
    check(r#"{"op":"reauth","expires_ts":17}"#, Incoming::Reauth);
    check(
        r#"{"op":"goaway","reason":"shutdown","after_ms":5000}"#,
        Incoming::GoAway { reason: "shutdown".into(), after_ms: 5_000 },
    );
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    check(r#"{"op":"weather","topic":5,"seq":"x"}"#, Incoming::Unknown);
    check(r#"{"op":"weather"}"#, Incoming::Unknown);
    check(r#"{"op":"closed","topic":"a","why":{"new":[1]}}"#, Incoming::Closed { topic: "a" });
    check(
        r#"{"op":"error","code":"out_of_tea","message":"m","retry":true}"#,
        error(None, ErrorCode::BadRequest, r#"m (code "out_of_tea")"#, true, None, None),
    );
}

fn error(
    id: Option<u64>,
    code: ErrorCode,
    message: &str,
    retry: bool,
    retry_ms: Option<u64>,
    entry: Option<&str>,
) -> Incoming<'static> {
    Incoming::Error { id, code, message: message.into(), retry, retry_ms, entry: entry.map(str::to_owned) }
}

#[test]
fn garbage_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "17",
        "null",
        r#"{"op":5}"#,
        r#"{"topic":"a"}"#,
        r#"{"op":"update","topic":"a","seq":1,"ts":1}"#,
        r#"{"op":"update","topic":"a","seq":-1,"ts":1,"data":1}"#,
        r#"{"op":"update","topic":"a","seq":9007199254740992,"ts":1,"data":1}"#,
        r#"{"op":"update","topic":"a","seq":1,"ts":1,"data":1} x"#,
        r#"{"op":"update","topic":7,"seq":1,"ts":1,"data":1}"#,
        r#"{"op":"topic","topic":"a","kind":"mood","epoch":"k","seq":1,"oldest":1,"start":"live"}"#,
        r#"{"op":"topic","topic":"a","kind":"state","epoch":"k","seq":1,"oldest":1,"start":"late"}"#,
        r#"{"op":"subscribed","id":1,"topics":7}"#,
        r#"{"op":"hello","protocol":"tickcast.v2","heartbeat_ms":1}"#,
    ] {
        assert!(read(text, |_| ()).is_err(), "{text}");
    }
}

#[test]
fn deep_data_is_carried() {
    let data = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    let text = format!(r#"{{"op":"update","topic":"a","seq":1,"ts":1,"data":{data}}}"#);
    read(&text, |came| {
        let Incoming::Update { data: came, .. } = came else { panic!("{came:?}") };
        assert_eq!(came, data);
    })
    .unwrap();
}

//! The broker's own topics.

use serde_json::json;

use crate::common::{Running, until, with_journal};

#[test]
fn statistics_come_once_a_second() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["$SYS.stats"]);
    let mut seq = 0;
    let mut uptimes = Vec::new();
    while uptimes.len() < 3 {
        let message = client.message();
        if message.op() == "topic" {
            continue;
        }
        let next = message.num("seq");
        assert!(seq == 0 || next == seq + 1, "{message:?}");
        seq = next;
        uptimes.push(message["data"]["uptime_s"].as_u64().unwrap());
        if message.op() == "update" && uptimes.len() > 1 {
            assert!(message["data"]["connections"].as_u64().unwrap() >= 1, "{message:?}");
        }
    }
    assert!(uptimes.is_sorted() && uptimes[2] >= 1, "{uptimes:?}");
    assert_eq!(broker.http("GET /v1/topics/$SYS.stats", "").json()["op"], "image");
    assert_eq!(broker.http("GET /v1/topics?match=$SYS.%3E", "").json()["topics"][0]["kind"], "state");
}

#[test]
fn only_patterns_that_name_the_first_segment_match_them() {
    let broker = Running::start();
    broker.publish("app.stats", "state", "1");
    // Wait until it exists.
    let mut client = broker.client();
    client.subscribe(&["$SYS.stats"]);
    client.skip_to(json!({"topic":"$SYS.stats","seq":1}));
    for (pattern, matched) in [(">", 1), ("*.stats", 1), ("*.*", 1), ("$SYS.>", 1), ("$SYS.*", 1), ("$SYS.stats.>", 0)]
    {
        let answer = broker.client().subscribe(&[pattern]);
        assert_eq!(answer["patterns"][0]["matched"], matched, "{pattern}: {answer:?}");
    }
    let all = broker.http("GET /v1/topics", "").json();
    assert_eq!(all["topics"].as_array().unwrap().len(), 1, "{all}");
    let mut all = broker.client();
    all.subscribe(&[">"]);
    all.expect_has(json!({"op":"topic","topic":"app.stats"}));
    all.expect_has(json!({"op":"image","topic":"app.stats"}));
    client.skip_to(json!({"topic":"$SYS.stats","op":"update"}));
    client.skip_to(json!({"topic":"$SYS.stats","op":"update"}));
    broker.publish("app.stats", "state", "2");
    all.expect_has(json!({"op":"update","topic":"app.stats","seq":2}));
}

#[test]
fn no_client_publishes_to_them_or_ends_them() {
    let broker = Running::start();
    let mut client = broker.client();
    for topic in ["$SYS.stats", "$SYS.other", "$own", "$"] {
        client.say(&json!({"op":"publish","id":1,"topic":topic,"kind":"state","data":1}).to_string());
        assert_eq!(client.expect_error("forbidden")["retry"], false);
        client.say(&json!({"op":"publish","id":1,"batch":[{"topic":topic,"data":1}]}).to_string());
        client.expect_has(json!({"accepted":0,"rejected":[{"index":0,"code":"forbidden"}]}));
        let answer = broker.http(&format!("POST /v1/topics/{topic}?kind=state"), "1");
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
        let answer = broker.http(&format!("DELETE /v1/topics/{topic}"), "");
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    }
}

#[test]
fn they_are_served_beyond_loopback_only_if_configured() {
    // Another address of this machine. Connecting a UDP socket only looks up a route and sends nothing.
    let route = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let address = match route {
        Ok(address) if !address.ip().is_loopback() => address.ip(),
        other => {
            crate::common::not_run(&format!("needs an address of this machine other than loopback ({other:?})"));
            return;
        }
    };
    for (public, served) in [("false", false), ("true", true)] {
        let settings = [("listen", "0.0.0.0:0"), ("open_publish", "true"), ("sys_topics_public", public)];
        let broker = Running::with(&settings);
        let beyond = std::net::SocketAddr::new(address, broker.listen.port());
        let mut client = crate::common::Client::connect(beyond);
        for entry in ["$SYS.stats", "$SYS.>"] {
            client.say(&json!({"op":"subscribe","topics":[entry]}).to_string());
            let answer = client.skip_to(json!({"op":"subscribed"}));
            let errors = answer["errors"].as_array().unwrap();
            assert_eq!(errors.is_empty(), served, "{answer:?}");
            assert!(errors.iter().all(|error| error["code"] == "forbidden"), "{answer:?}");
        }
        for path in ["/v1/topics/$SYS.stats", "/v1/topics/$SYS.stats/history", "/v1/topics?match=$SYS.%3E"] {
            let answer = crate::common::ask(beyond, &format!("GET {path}"), &[], b"");
            assert!(if served { [200, 404] } else { [403, 403] }.contains(&answer.status), "{path}: {answer:?}");
        }
        // A pattern that matches everything never includes them.
        client.say(r#"{"op":"subscribe","topics":[">"]}"#);
        client.skip_to(json!({"op":"subscribed"}));
        let kind = ["Content-Type: application/json"];
        let answer = crate::common::ask(beyond, "POST /v1/topics/mine", &kind, b"1");
        assert_eq!(answer.status, 200, "{answer:?}");
        let mine = client.skip_to(json!({"op":"update","topic":"mine"}));
        assert_eq!(mine["seq"], 1);
    }
}

#[test]
fn the_duration_of_rounds_covers_what_the_shard_does_after_a_sleep() {
    if with_journal() {
        // There the work of a batch is divided into rounds that are too short to be recorded.
        return;
    }
    let broker = Running::with(&[("shards", "1")]);
    let mut client = broker.client();
    // Less than a round may do, so that nothing is left for the rounds after it.
    let batch = vec![json!({"topic":"busy","kind":"event","data":1}); 150];
    let request = json!({"op":"publish","id":1,"batch":batch}).to_string();
    let (busy, rounds) = ("tickcast_shard_busy_seconds_total{shard=\"0\"}", "tickcast_round_seconds_sum");
    let before = (broker.metric(busy), broker.metric(rounds));
    for _ in 0..100 {
        // The shard sleeps when it is no busier than a moment ago.
        let mut last = f64::NAN;
        until("the shard to sleep", || std::mem::replace(&mut last, broker.metric(busy)) == last);
        client.say(&request);
        client.expect_has(json!({"op":"published","accepted":150}));
    }
    let (busy, rounds) = (broker.metric(busy) - before.0, broker.metric(rounds) - before.1);
    assert!(rounds * 2.0 >= busy, "busy for {busy} s, of which rounds tell of {rounds} s");
}

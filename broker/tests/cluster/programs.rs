//! Programs that publish to the log without a broker: all brokers take it alike, also one that starts later, and refuse alike
//! what is not valid.

use serde_json::json;

use crate::common::nats::{CURRENT, OLDEST, Options, Servers, Wire};
use crate::node::{Node, get, patiently};

/// Publishes as a program does that waits for JetStream. Whoever publishes is told of no refusal.
#[track_caller]
fn publish(wire: &mut Wire, topic: &str, headers: &[(&str, &str)], data: &[u8]) {
    let answer = wire.request_with(&format!("tickcast.in.{topic}"), headers, data).unwrap();
    assert_eq!(answer["stream"], "tickcast_LOG", "{answer}");
}

/// What programs have published, as a broker counts it: what came to nothing else is not listed.
fn count(node: &Node, result: &str) -> f64 {
    let name = format!("tickcast_journal_in_total{{result=\"{result}\"}} ");
    let metrics = get(node.admin, "/metrics").unwrap().body;
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0.0)
}

/// Waits until a broker has taken so many, and refused so many in all.
#[track_caller]
fn until_counted(node: &Node, taken: f64, duplicates: f64, refused: &[(&str, f64)]) {
    let all: f64 = taken + duplicates + refused.iter().map(|(_, times)| times).sum::<f64>();
    let results = || ["published", "duplicate"].into_iter().chain(refused.iter().map(|(code, _)| *code));
    patiently("a broker to read what was published", || {
        results().map(|result| count(node, result)).sum::<f64>() >= all
    });
    assert_eq!((count(node, "published"), count(node, "duplicate")), (taken, duplicates));
    for (code, times) in refused {
        assert_eq!(count(node, code), *times, "{code}");
    }
}

fn programs(version: &str) {
    let Some(servers) = Servers::start(version, 1, Options::default()) else { return };
    let flags = ["--journal-in", "--topics-max", "40", "--message-bytes", "1024"];
    let one = Node::start(&servers.url(), "one", &flags);
    // This one does not ask for it, and takes part all the same.
    let mut two = Node::start(&servers.url(), "two", &flags[1..]);
    let mut wire = servers.wire(0);

    let mut client = two.client();
    client.say(r#"{"op":"subscribe","topics":["s","e.>"]}"#);
    client.skip_to(json!({ "op": "subscribed" }));
    let state = [("Tickcast-Kind", "state"), ("Tickcast-Source-Ts", "77")];
    publish(&mut wire, "s", &state, br#"{"a": 1, "b": 2.50}"#);
    publish(&mut wire, "s", &[("Tickcast-Kind", "patch")], br#"{"a":null}"#);
    let numbered = |seq| [("Tickcast-Source", "feed"), ("Tickcast-Source-Seq", seq)];
    publish(&mut wire, "e.x", &numbered("7"), b"7");
    publish(&mut wire, "e.x", &numbered("7"), b"7");
    publish(&mut wire, "e.x", &numbered("8"), b"8");
    // Nothing of this is taken.
    publish(&mut wire, "e.x", &[("Tickcast-Kind", "state")], b"9");
    publish(&mut wire, "e.x", &[("Tickcast-Kind", "other")], b"9");
    publish(&mut wire, "e.x", &[], b"{");
    publish(&mut wire, "e.x", &[], &[b'9'; 2000]);
    publish(&mut wire, "$SYS.x", &[], b"9");
    let mut refused =
        vec![("kind_mismatch", 1.0), ("bad_request", 1.0), ("bad_json", 1.0), ("too_large", 1.0), ("forbidden", 1.0)];
    for node in [&one, &two] {
        until_counted(node, 4.0, 1.0, &refused);
    }

    // They come to clients as anything else.
    let first = client.skip_to(json!({ "op": "update", "topic": "s" }));
    assert_eq!(
        (first.op(), first.data(), first.num("source_ts")),
        ("update", r#"{"a":1,"b":2.50}"#.into(), 77),
        "{first:?}"
    );
    let patch = client.skip_to(json!({ "op": "patch", "topic": "s" }));
    assert_eq!((patch.op(), patch.data()), ("patch", r#"{"a":null}"#.into()), "{patch:?}");
    for seq in 1..=2 {
        let update = client.skip_to(json!({ "op": "update", "topic": "e.x" }));
        assert_eq!((update.num("seq"), update.data()), (seq, (6 + seq).to_string()), "{update:?}");
    }
    // What a broker publishes stands in the same order, and knows the same sources.
    let again = two.http("POST /v1/topics/e.x?source=feed&source_seq=8", "8").json();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &json!(2)), "{again}");
    assert_eq!(one.publish("e.x", "10").1, 3);

    // As many topics as may be: no broker takes another one from a program.
    one.publish("e.y", "1");
    one.publish("e.z", "1");
    for n in 0..50 {
        publish(&mut wire, &format!("more.{n}"), &[], b"1");
    }
    publish(&mut wire, "e.z", &[], b"2");
    refused.push(("limit", 14.0));
    for node in [&one, &two] {
        until_counted(node, 41.0, 1.0, &refused);
    }

    // A broker that starts again, or for the first time, comes to the same.
    two.end();
    publish(&mut wire, "s", &[("Tickcast-Kind", "patch")], br#"{"c":3}"#);
    two.go();
    let three = Node::start(&servers.url(), "three", &[]);
    for node in [&one, &two, &three] {
        node.until_seq("s", 3);
        assert!(node.http("GET /v1/topics/s", "").body.contains(r#""data":{"b":2.50,"c":3}"#));
        assert_eq!(node.http("GET /v1/topics/more.x", "").status, 404);
        assert_eq!(node.metric("tickcast_journal_differing_total"), 0.0);
        for topic in ["s", "e.x", "e.z"] {
            assert_eq!(node.history(topic), one.history(topic), "{topic}");
        }
    }
    until_counted(&three, 42.0, 1.0, &refused);
}

#[test]
fn programs_publish_without_a_broker() {
    programs(CURRENT);
}

#[test]
#[ignore = "the same with another version: make cluster-test"]
fn programs_publish_without_a_broker_with_the_oldest_version() {
    programs(OLDEST);
}

#[test]
fn a_stream_without_the_subject_is_refused_and_said() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let mut one = Node::start(&servers.url(), "one", &[]);
    one.publish("t", "1");
    // Nobody listens there.
    assert!(servers.wire(0).request("tickcast.in.t", b"2").is_err());
    one.end();
    one.add_flags(&["--journal-in"]);
    let output = one.command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("it lacks the subject tickcast.in.>: add it"), "{said}");
}

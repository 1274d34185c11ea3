//! What one connection asks for is done in the order in which it was asked, although publishes wait for the log meanwhile.

use serde_json::{Value, json};

use crate::common::{Client, FIN, Message, Running, TEXT, masked, with_journal};
use crate::kept::Kept;

/// With an answer at once, and with one that waits for the disk.
const SYNCS: [&[&str]; 2] = [&[], &["--journal-sync-ms", "0"]];

/// Sends requests in one piece.
fn send(client: &mut Client, requests: &[Value]) {
    let frames = requests.iter().flat_map(|request| masked(FIN | TEXT, request.to_string().as_bytes()));
    client.raw(&frames.collect::<Vec<u8>>());
}

fn publish(id: u64, topic: &str, data: Value) -> Value {
    json!({ "op": "publish", "id": id, "topic": topic, "kind": "event", "data": data })
}

/// Reads messages up to the answer with this id. Returns the answers; what is delivered meanwhile goes to `delivered`.
fn answers_to(client: &mut Client, last: u64, delivered: &mut Vec<Message>) -> Vec<Message> {
    let mut answers = Vec::new();
    loop {
        let message = client.message();
        match message.op() {
            "update" | "topic" | "image" => delivered.push(message),
            _ => answers.push(message),
        }
        if answers.last().is_some_and(|answer| answer["id"] == last) {
            return answers;
        }
    }
}

#[test]
fn hello_says_that_there_is_a_journal() {
    // Also the first of all clients is told the limits that are in force.
    let hello = Kept::start(&["--image-bytes", "70000"]).client().hello;
    assert_eq!((&hello["features"], &hello["limits"]["image_bytes"]), (&json!(["journal"]), &json!(70_000)));
    if !with_journal() {
        assert_eq!(Running::start().client().hello["features"], json!([]));
    }
}

#[test]
fn answers_come_in_order_and_only_pongs_overtake() {
    for flags in SYNCS {
        let kept = Kept::start(flags);
        let mut client = kept.client();
        let mut requests: Vec<Value> = (1..=30).map(|id| publish(id, "a", json!(id))).collect();
        requests.push(json!({ "op": "subscribe", "id": 31, "topics": ["a"], "from": { "last": 100 } }));
        requests.extend((32..=40).map(|id| publish(id, "a", json!(id))));
        requests.push(json!({ "op": "ping", "id": 41 }));
        requests.push(json!({ "op": "publish", "id": 42, "batch": [{ "topic": "a", "data": 42 }, { "topic": "b..c", "data": 1 }] }));
        requests.push(json!({ "op": "list", "id": 43 }));
        requests.push(publish(44, "a..b", json!(0)));
        requests.push(publish(45, "a", json!(45)));
        requests.push(json!({ "op": "unsubscribe", "id": 46, "topics": ["a"] }));
        requests.push(publish(47, "a", json!(47)));
        requests.push(json!({ "op": "sing", "id": 48 }));
        requests.push(json!({ "op": "list", "id": 49 }));
        send(&mut client, &requests);
        let mut delivered = Vec::new();
        let mut answers = answers_to(&mut client, 49, &mut delivered);
        let pong = answers.iter().position(|answer| answer.op() == "pong").expect("a pong");
        answers.remove(pong);
        let ids: Vec<u64> = answers.iter().map(|answer| answer.num("id")).collect();
        assert_eq!(ids, (1..=49).filter(|id| *id != 41).collect::<Vec<_>>());
        let of = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
        for id in 1..=30 {
            assert_eq!((of(id).op(), of(id).num("seq")), ("published", id));
        }
        // The subscription saw what was published before it.
        assert_eq!(of(31)["topics"][0]["seq"], 30, "{:?}", of(31));
        assert_eq!((of(40).num("seq"), of(45).num("seq"), of(47).num("seq")), (39, 41, 42));
        assert_eq!((of(42)["accepted"].clone(), of(42)["rejected"][0]["index"].clone()), (json!(1), json!(1)));
        assert_eq!(of(43)["topics"][0]["topic"], "a");
        assert_eq!((of(44)["code"].clone(), of(48)["code"].clone()), (json!("bad_topic"), json!("unknown_op")));
        assert_eq!(of(49)["topics"], json!([]));
        // Everything up to the end of the subscription, in order, and nothing after it.
        let seqs: Vec<u64> = delivered.iter().map(|update| update.num("seq")).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        assert!(seqs.len() <= 41 && seqs.len() >= 30, "{seqs:?}");
    }
}

#[test]
fn a_topic_that_begins_with_the_publish_before_is_there_for_the_subscription() {
    for flags in SYNCS {
        let kept = Kept::start(flags);
        for number in 0..20 {
            let (topic, pattern) = (format!("new.t{number}"), format!("new.t{number}.>"));
            let mut client = kept.client();
            send(
                &mut client,
                &[
                    json!({ "op": "publish", "id": 1, "topic": topic, "kind": "state", "data": { "n": 1 } }),
                    json!({ "op": "publish", "id": 2, "topic": format!("{topic}.below"), "kind": "event", "data": 1 }),
                    json!({ "op": "subscribe", "id": 3, "topics": [topic, pattern] }),
                    json!({ "op": "publish", "id": 4, "topic": topic, "kind": "patch", "data": { "n": 2 } }),
                ],
            );
            client.expect_has(json!({ "op": "published", "id": 1, "seq": 1 }));
            client.expect_has(json!({ "op": "published", "id": 2, "seq": 1 }));
            let answer = client.expect("subscribed");
            assert_eq!((&answer["topics"][0]["start"], &answer["topics"][0]["seq"]), (&json!("image"), &json!(1)));
            assert_eq!(answer["patterns"][0]["matched"], 1);
            let mut delivered = Vec::new();
            let answers = answers_to(&mut client, 4, &mut delivered);
            assert_eq!(answers[0].num("seq"), 2, "{answers:?}");
        }
    }
}

#[test]
fn a_publish_without_an_id_counts_too() {
    let mut kept = Kept::start(&[]);
    let mut client = kept.client();
    let silent = |n: u64| json!({ "op": "publish", "topic": "a", "kind": "event", "data": n });
    let mut requests: Vec<Value> = (1..=100).map(silent).collect();
    // Its end is awaited by what follows. A pong would not wait.
    requests.push(json!({ "op": "list", "id": 1 }));
    send(&mut client, &requests);
    client.expect_has(json!({ "op": "subscriptions", "id": 1 }));
    assert_eq!(kept.history("a", 1)["seq"], 100);
    // An error is told without an id as well.
    send(&mut client, &[json!({ "op": "publish", "topic": "a", "kind": "state", "data": 1 })]);
    client.expect_error("kind_mismatch");
    kept.kill_and_go();
    assert_eq!(kept.history("a", 1)["seq"], 100);
}

#[test]
fn what_a_connection_may_is_judged_in_its_place() {
    const TOKEN: &str = "the-token-of-a-writer";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TOKEN.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut kept = Kept::new(&[]);
    let file = kept.folder.path().join("tickcast.toml");
    let text = format!(
        "[[roles]]\nname = \"anonymous\"\nsub = [\">\"]\n[[roles]]\nname = \"writer\"\npub = [\">\"]\n\
         [[tokens]]\nname = \"w\"\nsha256 = \"{digest}\"\nroles = [\"writer\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    kept.set_flags(&["--config", file.to_str().unwrap()]);
    kept.go();
    let mut client = kept.client();
    let auth = |id: u64| json!({ "op": "auth", "id": id, "token": TOKEN });
    let publish = |id: u64| publish(id, "a", json!(id));
    send(&mut client, &[publish(1), auth(2), publish(3), publish(4), auth(5), publish(6)]);
    let got: Vec<String> = (1..=6).map(|id| client.expect_has(json!({ "id": id })).op().to_owned()).collect();
    assert_eq!(got, ["error", "authenticated", "published", "published", "authenticated", "published"]);
    assert_eq!(kept.http("GET /v1/topics/a/history", "").json()["seq"], 3);
}

#[test]
fn the_end_of_a_topic_is_in_the_journal_when_it_is_answered() {
    for flags in SYNCS {
        let mut kept = Kept::start(flags);
        let mut client = kept.client();
        client.subscribe(&["a"]);
        kept.publish("a", "event", "1");
        let epoch = client.expect("topic").str("epoch");
        client.expect("update");
        let ended = kept.http("DELETE /v1/topics/a", "");
        assert_eq!(
            (ended.status, ended.json()["seq"].clone(), ended.json()["epoch"].clone()),
            (200, json!(1), json!(epoch))
        );
        assert_eq!(kept.http("DELETE /v1/topics/a", "").status, 404);
        assert_eq!(kept.http("GET /v1/topics/a/history", "").status, 404);
        client.expect("closed");
        kept.kill_and_go();
        assert_eq!(kept.http("GET /v1/topics/a/history", "").status, 404);
        assert_eq!(kept.publish("a", "event", "2"), 1);
        assert_ne!(kept.history("a", 1)["epoch"], epoch);
    }
}

//! `data` is carried byte for byte.

use crate::common::Running;

const VALUES: [&str; 19] = [
    "189.10",
    "-0",
    "-0.0",
    "1E+02",
    "1e-7",
    "123456789012345678901234567890.123456789012345678901234567890",
    "0.10000000000000000000000000000000000000000000001",
    "1e400",
    r#""\u00e4\/\b\ud834\udd1e\u0000""#,
    r#""ä𝄞  spaces   stay 	""#,
    r#"{"b":1,"a":2,"b2":3}"#,
    r#"{"":{"":[]}}"#,
    r#"[[],{},"",0,null,true,false]"#,
    r#"{"\u0061":1,"b\\":2}"#,
    "null",
    "true",
    r#""""#,
    r#"{"op":"close","seq":7,"topic":"other"}"#,
    r#""</script><script>alert(1)</script>""#,
];

#[test]
fn data_is_the_same_for_every_way_of_publishing_and_reading() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["d.ws", "d.http"]);
    let mut publisher = broker.client();
    for (index, value) in VALUES.iter().enumerate() {
        let value = value.replace('\t', "\\t");
        let value = value.as_str();
        publisher.say(&format!(r#"{{"op":"publish","topic":"d.ws","kind":"state","data":{value}}}"#));
        if index == 0 {
            client.expect("topic");
        }
        let update = client.expect("update");
        assert_eq!(update.data(), value);
        broker.publish("d.http", "state", value);
        if index == 0 {
            client.expect("topic");
        }
        assert_eq!(client.expect("update").data(), value);
        for topic in ["d.ws", "d.http"] {
            let mut late = broker.client();
            late.subscribe(&[topic]);
            assert_eq!(late.expect("image").data(), value);
            let image = broker.http(&format!("GET /v1/topics/{topic}"), "");
            assert!(image.body.contains(&format!(r#""data":{value}}}"#)), "{value}: {image:?}");
            let history = broker.http(&format!("GET /v1/topics/{topic}/history?last=1"), "");
            assert!(history.body.contains(&format!(r#""data":{value}}}"#)), "{value}: {history:?}");
        }
    }
    // In a batch and in NDJSON.
    client.subscribe(&["d.batch", "d.lines"]);
    for value in VALUES {
        let value = value.replace('\t', "\\t");
        publisher.say(&format!(r#"{{"op":"publish","batch":[{{"topic":"d.batch","kind":"event","data":{value}}}]}}"#));
        assert_eq!(client.skip_to(serde_json::json!({"op":"update","topic":"d.batch"})).data(), value);
        let line = format!("{{\"topic\":\"d.lines\",\"kind\":\"event\",\"data\":{value}}}\r\n");
        let kind = ["Content-Type: application/x-ndjson"];
        let answer = crate::common::ask(broker.listen, "POST /v1/publish", &kind, line.as_bytes());
        assert_eq!(answer.json()["accepted"], 1, "{answer:?}");
        assert_eq!(client.skip_to(serde_json::json!({"op":"update","topic":"d.lines"})).data(), value);
    }
}

#[test]
fn only_white_space_outside_strings_is_removed() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["w"]);
    let spaced = " { \"a b\" : [ 1 ,\t2.50 , \" x  y \" ] ,\r\n \"c\" : { } } ";
    client.say(&format!(r#"{{"op":"publish","topic":"w","data":{spaced}}}"#));
    client.expect("topic");
    let data = client.expect("update").data();
    // In JSON outside strings no other character is white space.
    let without = |text: &str| {
        let mut inside = false;
        let keep = |c: &char| {
            inside ^= *c == '"';
            inside || !c.is_ascii_whitespace()
        };
        text.chars().filter(keep).collect::<String>()
    };
    assert_eq!(without(&data), without(spaced));
}

#[test]
fn merged_images_keep_the_order_of_keys_and_their_texts() {
    let broker = Running::start();
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("state", r#"{"a":1.50,"b":2e3}"#), ("patch", r#"{"c":3.0}"#)], r#"{"a":1.50,"b":2e3,"c":3.0}"#),
        (&[("state", r#"{"a":1,"b":2,"c":3}"#), ("patch", r#"{"b":20.0}"#)], r#"{"a":1,"b":20.0,"c":3}"#),
        (&[("state", r#"{"a":1,"b":2,"c":3}"#), ("patch", r#"{"b":null}"#)], r#"{"a":1,"c":3}"#),
        (&[("state", r#"{"a":1,"b":2}"#), ("patch", r#"{"a":null}"#), ("patch", r#"{"a":9}"#)], r#"{"b":2,"a":9}"#),
        (
            &[("state", r#"{"a":{"x":1,"y":2}}"#), ("patch", r#"{"a":{"x":null,"z":0.10}}"#)],
            r#"{"a":{"y":2,"z":0.10}}"#,
        ),
        (&[("state", r#"{"\u0061":1}"#), ("patch", r#"{"a":2}"#)], r#"{"a":2}"#),
        (&[("state", "[1,2]"), ("patch", r#"{"a":1}"#)], r#"{"a":1}"#),
        (&[("state", "{}"), ("patch", r#"{"a":{"b":null,"c":1}}"#)], r#"{"a":{"c":1}}"#),
        (&[("state", r#"{"z":1,"y":2}"#), ("patch", r#"{"x":3,"z":"\u00e4"}"#)], r#"{"z":"\u00e4","y":2,"x":3}"#),
    ];
    for (index, (updates, image)) in cases.iter().enumerate() {
        let topic = format!("merge.{index}");
        let mut watcher = broker.client();
        watcher.subscribe(&[&topic]);
        for (at, (kind, data)) in updates.iter().enumerate() {
            broker.publish(&topic, kind, data);
            if at == 0 {
                watcher.expect("topic");
            }
            // Patches are delivered as they came.
            let message = watcher.message();
            assert_eq!(message.op(), if *kind == "patch" { "patch" } else { "update" });
            assert_eq!(message.data(), *data);
        }
        let mut client = broker.client();
        client.subscribe(&[&topic]);
        let got = client.expect("image").data();
        // A key that was written in two ways may be kept in either.
        let same = got == *image || got.replace(r"\u0061", "a") == *image;
        assert!(same, "{updates:?}: {got}, not {image}");
    }
}

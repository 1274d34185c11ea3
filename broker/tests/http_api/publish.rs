//! Publishing one update, and many.

use std::time::{Duration, Instant};

use serde_json::json;

use super::common::with_journal;
use super::server::{MESSAGE_BYTES, Server, start, start_with_stuck_shard};

async fn lines(server: &Server, body: &[u8]) -> serde_json::Value {
    let answer = server.ask("POST /v1/publish", &["Content-Type: application/x-ndjson"], body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn one_update_takes_a_seq() {
    let server = start().await;
    let first = server.post("/v1/topics/stocks.AAPL.trade", "{\"px\":\"189.10\"}").await;
    assert_eq!(first.status, 200, "{first:?}");
    let epoch = first.json()["epoch"].clone();
    assert!(epoch.as_str().is_some_and(|epoch| !epoch.is_empty()));
    assert_eq!(first.json(), json!({"topic": "stocks.AAPL.trade", "epoch": epoch, "seq": 1}));
    let second = server.post("/v1/topics/stocks.AAPL.trade", "2").await;
    assert_eq!(second.json(), json!({"topic": "stocks.AAPL.trade", "epoch": epoch, "seq": 2}));
}

#[tokio::test]
async fn a_slash_in_a_topic_is_an_escape_in_the_path() {
    let server = start().await;
    let answer = server.post("/v1/topics/crypto.BTC%2fUSD.quote?kind=state", "1").await;
    assert_eq!(answer.json()["topic"], "crypto.BTC/USD.quote");
    assert_eq!(server.get("/v1/topics/crypto.BTC%2FUSD.quote").await.json()["topic"], "crypto.BTC/USD.quote");
}

#[tokio::test]
async fn wrong_updates_get_their_codes() {
    let server = start().await;
    server.post("/v1/topics/an.event", "1").await;
    let cases = [
        ("/v1/topics/a..b", "1", 400, "bad_topic"),
        ("/v1/topics/a.%3E", "1", 400, "bad_topic"),
        ("/v1/topics/$SYS.stats", "1", 403, "forbidden"),
        ("/v1/topics/a", "", 400, "bad_json"),
        ("/v1/topics/a", "{\"a\":", 400, "bad_json"),
        ("/v1/topics/a", "1 2", 400, "bad_json"),
        ("/v1/topics/a?kind=snapshot", "1", 400, "bad_request"),
        ("/v1/topics/a?kind=", "1", 400, "bad_request"),
        ("/v1/topics/a?kind=patch", "[1]", 400, "bad_request"),
        ("/v1/topics/a?kind=patch", "{\"a\":1,\"a\":2}", 400, "bad_request"),
        ("/v1/topics/a?source=x", "1", 400, "bad_request"),
        ("/v1/topics/a?source_seq=1", "1", 400, "bad_request"),
        ("/v1/topics/a?source=x&source_seq=9007199254740992", "1", 400, "bad_request"),
        ("/v1/topics/a?source_ts=now", "1", 400, "bad_request"),
        ("/v1/topics/a?retain=1", "1", 400, "bad_request"),
        ("/v1/topics/an.event?kind=state", "1", 409, "kind_mismatch"),
    ];
    for (path, body, status, code) in cases {
        let answer = server.post(path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {body}: {answer:?}");
    }
    let deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
    assert_eq!(server.post("/v1/topics/a", &deep).await.code(), "bad_request");
    assert_eq!(server.get("/v1/topics?match=a").await.json()["topics"], json!([]), "nothing of that made a topic");
}

#[tokio::test]
async fn data_is_carried_byte_for_byte() {
    let server = start().await;
    let data = "{\"px\": 1.10 ,\"n\":12345678901234567890123,\"s\":\"\\u00e9 \\/ x\",\"e\":1E+2}";
    server.post("/v1/topics/a?kind=state&source_ts=17", data).await;
    let image = server.get("/v1/topics/a").await.body;
    assert!(
        image.ends_with(",\"data\":{\"px\":1.10,\"n\":12345678901234567890123,\"s\":\"\\u00e9 \\/ x\",\"e\":1E+2}}"),
        "{image}"
    );
    assert!(image.contains("\"source_ts\":17"), "{image}");
}

#[tokio::test]
async fn an_update_sent_again_is_a_duplicate() {
    let server = start().await;
    let path = "/v1/topics/a?source=nyse-a&source_seq=5";
    assert_eq!(server.post(path, "1").await.json().get("duplicate"), None);
    let again = server.post(path, "1").await.json();
    assert_eq!((&again["seq"], &again["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(server.post("/v1/topics/a?source=nyse-a&source_seq=6", "1").await.json()["seq"], 2);
}

#[tokio::test]
async fn the_valid_lines_are_taken_in_order() {
    let server = start().await;
    let body = b"{\"topic\":\"a\",\"data\":1}\r\n\
                 \n\
                 {\"topic\":\"a..b\",\"data\":2}\n\
                 {\"topic\":\"a\",\"data\":\n\
                 \t \r\n\
                 {\"topic\":\"a\",\"kind\":\"state\",\"data\":3}\n\
                 {\"topic\":\"a\",\"data\":4,\"soruce\":\"x\"}\n\
                 \xff\n\
                 {\"topic\":\"$SYS.x\",\"data\":4}\n\
                 {\"topic\":\"a\",\"data\":5}";
    let answer = lines(&server, body).await;
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer.get("duplicates"), None);
    let rejected: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|entry| (&entry["line"], &entry["code"])).collect();
    let expected = [
        (json!(3), json!("bad_topic")),
        (json!(4), json!("bad_json")),
        (json!(6), json!("kind_mismatch")),
        (json!(7), json!("bad_request")),
        (json!(8), json!("bad_json")),
        (json!(9), json!("forbidden")),
    ];
    assert_eq!(rejected, expected.iter().map(|(line, code)| (line, code)).collect::<Vec<_>>());
    assert!(answer["rejected"][3]["message"].as_str().unwrap().contains("soruce"), "{answer}");
    let history = server.get("/v1/topics/a/history").await.json();
    let data: Vec<_> = history["updates"].as_array().unwrap().iter().map(|update| &update["data"]).collect();
    assert_eq!(data, [&json!(1), &json!(5)]);
}

#[tokio::test]
async fn duplicates_among_many_count_as_accepted() {
    let server = start().await;
    let line = "{\"topic\":\"a\",\"data\":1,\"source\":\"x\",\"source_seq\":1}\n";
    assert_eq!(
        lines(&server, line.repeat(3).as_bytes()).await,
        json!({"accepted": 3, "duplicates": 2, "rejected": []})
    );
}

#[tokio::test]
async fn a_line_has_the_bound_of_a_message() {
    let server = start().await;
    let long = format!(
        "{{\"topic\":\"a\",\"data\":\"{}\"}}\n{{\"topic\":\"a\",\"data\":1}}",
        "x".repeat(MESSAGE_BYTES as usize)
    );
    let answer = lines(&server, long.as_bytes()).await;
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["code"]), (&json!(1), &json!("too_large")));
}

#[tokio::test]
async fn an_empty_body_publishes_nothing() {
    assert_eq!(lines(&start().await, b"").await, json!({"accepted": 0, "rejected": []}));
}

#[tokio::test]
async fn a_request_waits_for_the_shards_once_and_not_line_by_line() {
    if with_journal() {
        // There the shards are waited for once in a record, and all of this fits into one.
        return;
    }
    let server = start_with_stuck_shard(20_000).await;
    let line = format!("{{\"topic\":\"a\",\"data\":\"{}\"}}\n", "x".repeat(800));
    // The updates that fit are taken, and nothing more for five seconds.
    let begin = Instant::now();
    let answer = lines(&server, line.repeat(11).as_bytes()).await;
    assert_eq!(answer["accepted"], 11);
    let answer =
        lines(&server, format!("{}{}", line.repeat(11), "{\"topic\":\"a\",\"data\":1}\n".repeat(40)).as_bytes()).await;
    assert!(answer["accepted"].as_u64() > Some(5), "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    assert!(rejected.len() > 30 && rejected.iter().all(|line| line["code"] == "unavailable"), "{answer}");
    let took = begin.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(10)).contains(&took), "{took:?}");
    // The answer to a single update says when to try again.
    let answer = server.post("/v1/topics/a", "1").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

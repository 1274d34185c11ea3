//! Listings, images, histories, and the end of a topic.

use broker_engine::Publisher;
use broker_protocol::request::parse_line;
use serde_json::{Value, json};

use super::server::{Server, start, start_for};

async fn fill(server: &Server, topics: &[&str]) {
    for topic in topics {
        let answer = server.post(&format!("/v1/topics/{topic}?kind=state"), "1").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn names(listing: &Value) -> Vec<&str> {
    listing["topics"].as_array().unwrap().iter().map(|row| row["topic"].as_str().unwrap()).collect()
}

/// Publishes to the broker's own topic, as only the broker can.
fn publish_stats(server: &Server) {
    let update = parse_line("{\"topic\":\"$SYS.stats\",\"kind\":\"state\",\"data\":{}}").unwrap();
    server.context.engine.publish((server.context.now)(), &update, Publisher::Broker).unwrap();
}

#[tokio::test]
async fn a_listing_is_ordered_by_name_and_in_pages() {
    let server = start().await;
    fill(&server, &["b", "a.c", "a", "a.b", "a-b"]).await;
    let all = server.get("/v1/topics").await.json();
    assert_eq!(names(&all), ["a", "a-b", "a.b", "a.c", "b"]);
    assert_eq!(all["next"], Value::Null);
    let row = &all["topics"][0];
    assert!(row["last_ts"].as_u64().is_some_and(|ts| ts > 1_600_000_000_000_000), "{row}");
    let expected = json!({
        "topic": "a", "kind": "state", "epoch": row["epoch"], "seq": 1, "oldest": 1, "subscribers": 0, "last_ts": row["last_ts"]
    });
    assert_eq!(*row, expected);

    let first = server.get("/v1/topics?limit=2").await.json();
    assert_eq!((names(&first), &first["next"]), (vec!["a", "a-b"], &json!("a-b")));
    let second = server.get("/v1/topics?limit=2&after=a-b").await.json();
    assert_eq!((names(&second), &second["next"]), (vec!["a.b", "a.c"], &json!("a.c")));
    let third = server.get("/v1/topics?limit=2&after=a.c").await.json();
    assert_eq!((names(&third), &third["next"]), (vec!["b"], &Value::Null));

    assert_eq!(names(&server.get("/v1/topics?match=a.*").await.json()), ["a.b", "a.c"]);
    assert_eq!(names(&server.get("/v1/topics?match=a.%3E&limit=1").await.json()), ["a.b"]);
    assert_eq!(names(&server.get("/v1/topics?match=a.b").await.json()), ["a.b"]);
}

#[tokio::test]
async fn the_image_is_the_message_of_the_stream() {
    let server = start().await;
    server.post("/v1/topics/book?kind=state", "{\"bids\":{\"189.10\":\"300\"},\"asks\":{}}").await;
    server.post("/v1/topics/book?kind=patch", "{\"bids\":{\"189.10\":null,\"189.09\":\"1.0\"}}").await;
    let image = server.get("/v1/topics/book").await.json();
    let expected = json!({
        "op": "image", "topic": "book", "epoch": image["epoch"], "seq": 2, "ts": image["ts"],
        "data": {"bids": {"189.09": "1.0"}, "asks": {}}
    });
    assert_eq!(image, expected);
}

#[tokio::test]
async fn events_have_no_image() {
    let server = start().await;
    server.post("/v1/topics/trade?kind=event", "1").await;
    let answer = server.get("/v1/topics/trade").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn history_is_oldest_first() {
    let server = start().await;
    for data in 1..=5 {
        server.post("/v1/topics/trade", &data.to_string()).await;
    }
    for (query, expected) in [
        ("", &[1, 2, 3, 4, 5][..]),
        ("?last=2", &[4, 5]),
        ("?last=0", &[]),
        ("?last=900", &[1, 2, 3, 4, 5]),
        ("?after=3", &[4, 5]),
        ("?after=0", &[1, 2, 3, 4, 5]),
        ("?after=5", &[]),
        ("?after=9", &[]),
    ] {
        let page = server.get(&format!("/v1/topics/trade/history{query}")).await.json();
        let seqs: Vec<u64> =
            page["updates"].as_array().unwrap().iter().map(|update| update["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, expected, "{query}");
        let head = (&page["topic"], &page["kind"], &page["seq"], &page["oldest"]);
        assert_eq!(head, (&json!("trade"), &json!("event"), &json!(5), &json!(1)), "{query}");
        assert!(page["epoch"].is_string());
    }
    let update = &server.get("/v1/topics/trade/history?last=1").await.json()["updates"][0];
    assert_eq!(*update, json!({"op": "update", "topic": "trade", "seq": 5, "ts": update["ts"], "data": 5}));
}

#[tokio::test]
async fn a_topic_ends_and_begins_again() {
    let server = start().await;
    fill(&server, &["a", "a"]).await;
    let epoch = server.get("/v1/topics/a").await.json()["epoch"].clone();
    let ended = server.ask("DELETE /v1/topics/a", &[], b"").await;
    assert_eq!((ended.status, ended.json()), (200, json!({"topic": "a", "epoch": epoch, "seq": 2})));
    assert_eq!(server.get("/v1/topics/a").await.status, 404);
    assert_eq!(server.ask("DELETE /v1/topics/a", &[], b"").await.status, 404);
    let again = server.post("/v1/topics/a?kind=event", "1").await.json();
    assert_eq!(again["seq"], 1);
    assert_ne!(again["epoch"], epoch);
}

#[tokio::test]
async fn the_brokers_own_topics_are_for_loopback() {
    let near = start().await;
    let far = start_for("192.0.2.7", |_| {}).await;
    let far_public = start_for("192.0.2.7", |context| context.sys_topics_public = true).await;
    let mapped = start_for("::ffff:127.0.0.1", |_| {}).await;
    for (server, status) in [(&near, 200), (&far, 403), (&far_public, 200), (&mapped, 200)] {
        publish_stats(server);
        for path in ["/v1/topics/$SYS.stats", "/v1/topics/$SYS.stats/history", "/v1/topics?match=$SYS.%3E"] {
            assert_eq!(server.get(path).await.status, status, "{path}");
        }
        assert_eq!(names(&server.get("/v1/topics").await.json()), [""; 0], "a wildcard does not reach them");
    }
    assert_eq!(names(&near.get("/v1/topics?match=$SYS.*").await.json()), ["$SYS.stats"]);
}

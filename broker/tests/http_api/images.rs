//! Images in pages.

use broker_engine::Publisher;
use broker_protocol::data::Data;
use broker_protocol::kind::Kind;
use broker_protocol::request::Publication;
use serde_json::{Value, json};

use super::server::{Server, start, start_for};

fn names(page: &Value) -> Vec<&str> {
    page["images"].as_array().unwrap().iter().map(|image| image["topic"].as_str().unwrap()).collect()
}

async fn page(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/v1/images{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Publishes without the bound on messages, so that images may be large.
fn publish(server: &Server, topic: &str, kind: Kind, data: &str) {
    let data = Data::check(data).unwrap();
    let update = Publication { topic: topic.into(), kind: Some(kind), data, source: None, source_ts: None };
    let by = if topic.starts_with('$') { Publisher::Broker } else { Publisher::Client };
    server.context.engine.publish((server.context.now)(), &update, by).unwrap();
}

#[tokio::test]
async fn images_are_those_of_the_stream_and_topics_without_one_are_left_out() {
    let server = start().await;
    publish(&server, "a", Kind::State, "{\"bid\":\"1.10\"}");
    publish(&server, "b", Kind::Event, "1");
    publish(&server, "c.d", Kind::State, "null");
    let all = page(&server, "").await;
    assert_eq!((names(&all), &all["next"]), (vec!["a", "c.d"], &Value::Null));
    for name in ["a", "c.d"] {
        let image = server.get(&format!("/v1/topics/{name}")).await.json();
        let listed = all["images"].as_array().unwrap().iter().find(|image| image["topic"] == name).unwrap();
        assert_eq!(*listed, image);
    }
    assert_eq!(names(&page(&server, "?match=c.*").await), ["c.d"]);
    assert_eq!(page(&server, "?match=b").await, json!({"images": [], "next": null}));
}

#[tokio::test]
async fn pages_are_ordered_by_name_and_none_is_empty_and_has_a_next() {
    let server = start().await;
    for number in 0..10 {
        publish(&server, &format!("s.{number}"), Kind::State, "1");
        publish(&server, &format!("s.{number}x"), Kind::Event, "1");
    }
    for limit in 1..=11 {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = page(&server, &format!("?match=s.*&limit={limit}{after}")).await;
            let here = names(&page);
            assert!(here.len() <= limit && (!here.is_empty() || page["next"].is_null()), "{page}");
            found.extend(here.iter().map(|name| (*name).to_owned()));
            match &page["next"] {
                Value::Null => break,
                next => {
                    assert_eq!(next.as_str(), here.last().copied());
                    after = format!("&after={}", next.as_str().unwrap());
                }
            }
        }
        let expected: Vec<String> = (0..10).map(|number| format!("s.{number}")).collect();
        assert_eq!(found, expected, "{limit} at a time");
    }
}

#[tokio::test]
async fn a_page_ends_before_eight_mebibytes() {
    let server = start().await;
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    for number in 0..10 {
        publish(&server, &format!("large.{number}"), Kind::State, &large);
    }
    let answer = server.get("/v1/images").await;
    assert!(answer.body.len() <= 8 << 20 && answer.body.len() > 7 << 20, "{} bytes", answer.body.len());
    assert_eq!(answer.json()["next"], "large.7");
    let rest = page(&server, "?after=large.7").await;
    assert_eq!((names(&rest), &rest["next"]), (vec!["large.8", "large.9"], &Value::Null));
}

#[tokio::test]
async fn wrong_requests_get_their_codes() {
    let server = start().await;
    for (line, status, code) in [
        ("GET /v1/images?match=a..b", 400, "bad_pattern"),
        ("GET /v1/images?limit=0", 400, "bad_request"),
        ("GET /v1/images?limit=1001", 400, "bad_request"),
        ("GET /v1/images?after=*", 400, "bad_topic"),
        ("GET /v1/images?last=1", 400, "bad_request"),
        ("POST /v1/images", 405, "method_not_allowed"),
        ("GET /v1/images/a", 404, "not_found"),
    ] {
        let answer = server.ask(line, &[], b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{line}: {answer:?}");
    }
    let head = server.ask("HEAD /v1/images", &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn the_brokers_own_topics_are_for_loopback() {
    let (near, far) = (start().await, start_for("192.0.2.7", |_| {}).await);
    for (server, status) in [(&near, 200), (&far, 403)] {
        publish(server, "$SYS.stats", Kind::State, "{}");
        assert_eq!(server.get("/v1/images?match=$SYS.%3E").await.status, status);
        assert_eq!(names(&page(server, "").await), [""; 0], "a wildcard does not reach them");
    }
    assert_eq!(names(&page(&near, "?match=$SYS.*").await), ["$SYS.stats"]);
}

//! Tokens over HTTP and Server-Sent Events.

use std::net::SocketAddr;

use serde_json::json;

use super::common::{Answer, ask};
use super::source::Source;
use super::tokens::{FEED, bearer, broker, token};

#[track_caller]
fn request(address: SocketAddr, line: &str, token: &str, body: &str) -> Answer {
    let headers = bearer(token);
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    ask(address, line, &headers, body.as_bytes())
}

#[test]
fn every_request_needs_a_token_but_the_page() {
    let (broker, _folder) = broker(&[], "");
    for line in [
        "GET /v1/topics",
        "GET /v1/images",
        "GET /v1/topics/stocks.a",
        "GET /v1/topics/stocks.a/history",
        "GET /v1/sse?topic=stocks.a",
        "POST /v1/topics/chat.a",
        "POST /v1/publish",
        "DELETE /v1/topics/chat.a",
        "HEAD /v1/sse?topic=stocks.a",
    ] {
        let answer = ask(broker.listen, line, &["Content-Type: application/json"], b"1");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{line}: {answer:?}");
    }
    for line in ["GET /", "GET /tickcast.js"] {
        assert_eq!(ask(broker.listen, line, &[], b"").status, 200, "{line}");
    }
    // Without the setting, the parameter does not exist.
    let answer = ask(
        broker.listen,
        &format!("GET /v1/topics?token={FEED}").replace(' ', "%20").replacen("GET%20", "GET ", 1),
        &[],
        b"",
    );
    assert_eq!(answer.status, 401);
    let answer = request(broker.listen, "GET /v1/topics?token=x", &token("u", &["boss"]), "");
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
}

#[test]
fn what_is_not_allowed_looks_the_same_whether_it_exists_or_not() {
    let (broker, _folder) = broker(&[], "");
    let (reader, trader, boss) = (token("u", &["reader"]), token("u", &["trader"]), token("b", &["boss"]));
    for topic in ["stocks.a.internal", "stocks.a.quote", "orders.a", "users.u.x"] {
        let answer = request(broker.listen, &format!("POST /v1/topics/{topic}?kind=state"), &boss, "{}");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for topic in ["stocks.a.internal", "stocks.z.internal", "orders.a", "orders.z"] {
        for path in ["", "/history"] {
            let answer = request(broker.listen, &format!("GET /v1/topics/{topic}{path}"), &reader, "");
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{topic}");
        }
    }
    assert_eq!(request(broker.listen, "GET /v1/topics/stocks.z", &reader, "").status, 404);
    for list in ["topics", "images"] {
        let page = request(broker.listen, &format!("GET /v1/{list}?limit=1"), &reader, "").json();
        assert_eq!(
            (page[list][0]["topic"].as_str(), page["next"].as_str()),
            (Some("stocks.a.quote"), Some("stocks.a.quote"))
        );
        let page = request(broker.listen, &format!("GET /v1/{list}?after=stocks.a.quote"), &reader, "").json();
        assert_eq!((page[list].as_array().unwrap().len(), &page["next"]), (1, &json!(null)), "{page}");
        assert_eq!(page[list][0]["topic"], json!("users.u.x"));
    }
    let answer = request(broker.listen, "POST /v1/topics/orders.a", &trader, "1");
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    let lines =
        "{\"topic\":\"chat.a\",\"data\":1}\n{\"topic\":\"orders.a\",\"data\":1}\n{\"topic\":\"chat.b\",\"data\":1}\n";
    let answer = request(broker.listen, "POST /v1/publish", &trader, lines).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["line"], &answer["rejected"][0]["code"]),
        (&json!(2), &json!(2), &json!("forbidden"))
    );
    // Ending a topic takes a role with `admin`, besides the right to publish.
    let answer = request(broker.listen, "DELETE /v1/topics/chat.a", &trader, "");
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    assert_eq!(request(broker.listen, "DELETE /v1/topics/chat.a", &boss, "").status, 200);
}

#[test]
fn a_stream_is_refused_whole_and_begins_with_who_it_is() {
    let (broker, _folder) = broker(&[("token_in_url", "true")], "");
    let reader = token("u", &["reader"]);
    let answer = request(broker.listen, "GET /v1/sse?topic=stocks.a&topic=orders.a", &reader, "");
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    let mut stream = Source::open(broker.listen, &format!("topic=stocks.*&token={reader}"), "");
    assert_eq!(stream.message()["auth"], json!("required"));
    let first = stream.message();
    assert_eq!((first.op(), &first["sub"]), ("authenticated", &json!("u")));
    assert_eq!(stream.message().op(), "subscribed");
}

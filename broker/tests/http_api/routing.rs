//! Paths, methods and parameters.

use super::server::start;

#[tokio::test]
async fn wrong_requests_get_their_codes_in_json() {
    let server = start().await;
    let cases = [
        ("GET /index.html", 404, "not_found"),
        ("GET /v1", 404, "not_found"),
        ("GET /v1/topics/BTC/USD", 404, "not_found"),
        ("GET /v1/topics/%zz", 400, "bad_request"),
        ("GET /v1/topics/%ff", 400, "bad_request"),
        ("GET /v1/topics/a..b", 400, "bad_topic"),
        ("GET /v1/topics/a.*", 400, "bad_topic"),
        ("GET /v1/topics/", 400, "bad_topic"),
        ("GET /v1/topics/nobody", 404, "not_found"),
        ("GET /v1/topics/nobody/history", 404, "not_found"),
        ("DELETE /v1/topics/nobody", 404, "not_found"),
        ("DELETE /v1/topics/$SYS.stats", 403, "forbidden"),
        // Parameters.
        ("GET /v1/topics?match=a..b", 400, "bad_pattern"),
        ("GET /v1/topics?match=%", 400, "bad_request"),
        ("GET /v1/topics?limit=0", 400, "bad_request"),
        ("GET /v1/topics?limit=1001", 400, "bad_request"),
        ("GET /v1/topics?limit=ten", 400, "bad_request"),
        ("GET /v1/topics?limit=1&limit=1", 400, "bad_request"),
        ("GET /v1/topics?after=a..b", 400, "bad_topic"),
        ("GET /v1/topics?kind=event", 400, "bad_request"),
        ("GET /v1/topics/a?last=1", 400, "bad_request"),
        ("GET /v1/topics/a/history?last=1&after=2", 400, "bad_request"),
        ("GET /v1/topics/a/history?last=-1", 400, "bad_request"),
        ("GET /v1/topics/a/history?limit=1", 400, "bad_request"),
        ("DELETE /v1/topics/a?force=true", 400, "bad_request"),
        ("GET /v1/ws?token=secret", 400, "bad_request"),
    ];
    for (line, status, code) in cases {
        let answer = server.ask(line, &[], b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{line}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{line}");
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_named() {
    let server = start().await;
    let message = server.get("/v1/topics?mtach=a").await.json()["error"]["message"].to_string();
    assert!(message.contains("mtach") && message.contains("match"), "{message}");
}

#[tokio::test]
async fn the_answer_to_a_wrong_method_names_the_allowed_ones() {
    let server = start().await;
    let cases = [
        ("POST /v1/ws", "GET"),
        ("HEAD /v1/ws", "GET"),
        ("GET /v1/publish", "POST"),
        ("POST /v1/topics", "GET, HEAD"),
        ("PUT /v1/topics/a", "GET, HEAD, POST, DELETE"),
        ("PATCH /v1/topics/a", "GET, HEAD, POST, DELETE"),
        ("DELETE /v1/topics/a/history", "GET, HEAD"),
        ("POST /tickcast.js", "GET, HEAD"),
        ("OPTIONS /v1/topics/a", "GET, HEAD, POST, DELETE"),
    ];
    for (line, allowed) in cases {
        let answer = server.ask(line, &["Content-Type: application/json"], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{line}: {answer:?}");
        if !line.starts_with("HEAD") {
            assert_eq!(answer.code(), "method_not_allowed", "{line}");
        }
    }
}

#[tokio::test]
async fn the_websocket_endpoint_is_passed_on() {
    let answer = start().await.get("/v1/ws").await;
    assert_eq!((answer.status, answer.code().as_str()), (426, "bad_request"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = start().await;
    server.post("/v1/topics/a?kind=state", "1").await;
    let answer = server.ask("HEAD /v1/topics/a", &[], b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

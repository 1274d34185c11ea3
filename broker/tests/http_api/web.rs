//! Files for browsers.

use super::server::start;

const CLIENT: &str = include_str!("../../../dashboards/web/tickcast.js");

#[tokio::test]
async fn the_browser_client_and_its_types() {
    let server = start().await;
    let answer = server.get("/tickcast.js").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, CLIENT));
    let cases = [("/tickcast.js", "text/javascript"), ("/tickcast.d.ts", "text/typescript")];
    for (path, kind) in cases {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(format!("{kind}; charset=utf-8").as_str()), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        // The same of HEAD, without the body.
        let head = server.ask(&format!("HEAD {path}"), &[], b"").await;
        assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", answer.header("etag")), "{path}");
        assert_eq!(head.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
    }
    // A parameter is the page's business, and makes no other file of it.
    assert_eq!(server.get("/tickcast.js?v=2").await.body, CLIENT);
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let server = start().await;
    let etag = server.get("/tickcast.js").await.header("etag").map(str::to_owned).unwrap();
    let other = server.get("/tickcast.d.ts").await.header("etag").map(str::to_owned).unwrap();
    assert_ne!(etag, other);
    let cases = [
        (etag.clone(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"one\", {etag} ,{other}"), 304),
        ("*".to_owned(), 304),
        (other, 200),
        (etag.trim_matches('"').to_owned(), 200),
        (String::new(), 200),
    ];
    for (given, status) in cases {
        let answer = server.ask("GET /tickcast.js", &[&format!("If-None-Match: {given}")], b"").await;
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{given}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()), "{given}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{given}");
    }
}

#[tokio::test]
async fn a_foreign_page_does_not_get_them() {
    let server = start().await;
    let answer = server.ask("GET /tickcast.js", &["Origin: http://evil.example"], b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    let allowed = server.ask("GET /tickcast.js", &["Origin: https://desk.example.com"], b"").await;
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (200, Some("https://desk.example.com"))
    );
}

//! Files for browsers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use broker::access::{AccessRules, Gate, Origin};

use super::server::{start, start_for};

const CLIENT: &str = include_str!("../../clients/js/tickcast.js");

#[tokio::test]
async fn the_javascript_client_and_its_types() {
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
        // HEAD gives the same, without the body.
        let head = server.ask(&format!("HEAD {path}"), &[], b"").await;
        assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", answer.header("etag")), "{path}");
        assert_eq!(head.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
    }
    // Parameters belong to the page and do not change the file.
    assert_eq!(server.get("/tickcast.js?v=2").await.body, CLIENT);
}

#[tokio::test]
async fn the_live_page_and_all_that_it_needs() {
    let server = start().await;
    let page = server.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    let host = server.address;
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        &format!("connect-src 'self' ws://{host} wss://{host}"),
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.split("; ").any(|one| one == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    // Every file that the page and its modules name is served, and so is every file in their folders.
    let mut named: BTreeSet<String> = quoted_paths(&page.body);
    let mut seen = BTreeSet::new();
    while let Some(path) = named.pop_first() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let folder = &path[..=path.rfind('/').unwrap()];
        if path.ends_with(".js") {
            named.extend(quoted_paths(&answer.body));
            named.extend(answer.body.split("from \"./").skip(1).map(|rest| format!("{folder}{}", until_quote(rest))));
        }
    }
    for (folder, url) in [("../dashboards/web/live", "/live"), ("clients/js/tickcast", "/tickcast")] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = format!("{url}/{}", file.unwrap().file_name().to_str().unwrap());
            assert!(seen.contains(&path), "{path} is not served, or nothing names it: {seen:?}");
        }
    }
}

#[tokio::test]
async fn the_live_page_of_a_cluster_knows_all_of_its_brokers_and_may_connect_there() {
    let others = ["http://10.1.2.4:9000", "https://md-2.example.com"];
    let rules = AccessRules { brokers: others.map(|it| Origin::parse(it).unwrap()).into(), ..AccessRules::default() };
    let server = start_for("127.0.0.1", |context| context.access = Arc::new(Gate::new(rules))).await;
    let policy = server.get("/").await.header("content-security-policy").unwrap().to_owned();
    let host = server.address;
    let reach = format!(
        "connect-src 'self' ws://{host} wss://{host} http://10.1.2.4:9000 ws://10.1.2.4:9000 \
         https://md-2.example.com wss://md-2.example.com:443"
    );
    assert!(policy.split("; ").any(|part| part == reach), "{policy}");
    let module = server.get("/live/brokers.js").await;
    assert!(module.body.contains(r#"export const brokers = ["http://10.1.2.4:9000","https://md-2.example.com"];"#));
    // A browser that has the module of another list asks for this one.
    let alone = start().await.get("/live/brokers.js").await;
    assert!(alone.body.contains("export const brokers = [];") && alone.header("etag") != module.header("etag"));
    let again = format!("If-None-Match: {}", module.header("etag").unwrap());
    assert_eq!(server.ask("GET /live/brokers.js", &[&again], b"").await.status, 304);
}

/// Returns the files that a page or a module names by an absolute path.
fn quoted_paths(text: &str) -> BTreeSet<String> {
    let paths = text.split("\"/").skip(1).map(|rest| format!("/{}", until_quote(rest)));
    paths.filter(|path| [".js", ".css", ".svg"].iter().any(|ending| path.ends_with(ending))).collect()
}

fn until_quote(text: &str) -> &str {
    text.split('"').next().unwrap_or_default()
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
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

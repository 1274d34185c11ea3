//! A broker that takes tokens, and clients whose tokens end, are renewed, and allow some things and not others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_client::{
    Backoff, Client, ClosedReason, ConnectionEvent, ErrorCode, Event, Options, Publish, PublishError, Subscription,
    Token,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

use crate::running::{Running, next, soon};

const SECRET: &str = "a secret of a test, longer than 32 bytes";

/// Starts a broker with users, and connects a client that may do everything.
async fn start() -> (Running, Client, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (secret, config) = (folder.path().join("secret"), folder.path().join("broker.toml"));
    std::fs::write(&secret, SECRET).unwrap();
    let roles = format!(
        r#"
        token_secret_file = {secret:?}
        token_algorithms = "HS256"
        token_leeway_ms = 500
        [[roles]]
        name = "trader"
        sub = ["stocks.>", "users.{{sub}}.>"]
        pub = ["chat.>"]
        deny = ["stocks.*.internal"]
        [[roles]]
        name = "feed"
        sub = [">"]
        pub = [">"]
        "#
    );
    std::fs::write(&config, roles).unwrap();
    let broker = Running::start("127.0.0.1:0", &["--config", config.to_str().unwrap()]).await;
    let feed = soon(Client::connect_with(options(&broker, Token::fixed(issue("feed-a", "feed", 600))))).await.unwrap();
    (broker, feed, folder)
}

fn options(broker: &Running, token: Token) -> Options {
    Options { backoff: Backoff { first_ms: 1, max_ms: 50, jitter: 0.5 }, token, ..Options::new(broker.url()) }
}

fn issue(sub: &str, role: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let claims = json!({"sub": sub, "aud": "tickcast", "exp": now + seconds, "tickcast": {"roles": [role]}});
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes()).unwrap())
        .unwrap()
}

/// A function that issues tokens that end after three seconds; how often it was asked, and whether it fails.
fn brief() -> (Token, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (asked, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, failing) = (asked.clone(), fails.clone());
    let token = Token::from_fn(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let failed = failing.load(Ordering::SeqCst);
        async move { if failed { Err(io::Error::other("no network")) } else { Ok(Some(issue("amy", "trader", 3))) } }
    });
    (token, asked, fails)
}

/// Publishes events until something holds; returns how many.
async fn publish_while(feed: &Client, mut holds: impl FnMut() -> bool) -> u64 {
    let mut published = 0;
    while holds() {
        let update = Publish::event("stocks.A.trade", (published + 1).to_string());
        published = soon(feed.publish(update)).await.unwrap().seq;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    published
}

/// Reads a subscription up to the last update: none is missing, and none comes twice.
async fn assert_whole(subscription: &mut Subscription, last: u64) {
    let mut expected = 1;
    while expected <= last {
        match next(subscription).await {
            Event::Update { seq, .. } => {
                assert_eq!(seq, expected);
                expected += 1;
            }
            Event::Topic(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_over_the_open_connection() {
    let (broker, feed, _folder) = start().await;
    let (token, asked, _) = brief();
    let client = soon(Client::connect_with(options(&broker, token))).await.unwrap();
    let mut subscription = soon(client.subscribe(["stocks.*.trade"]).send()).await.unwrap();
    let published = publish_while(&feed, || asked.load(Ordering::SeqCst) < 4).await;
    assert_whole(&mut subscription, published).await;
    assert_eq!(client.counters().reconnects, 0);
    assert_eq!(client.authenticated().unwrap().sub, "amy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_there_is_no_other_costs_a_connection_and_no_update() {
    let (broker, feed, _folder) = start().await;
    let (token, _, fails) = brief();
    let client = soon(Client::connect_with(options(&broker, token))).await.unwrap();
    let mut events = client.events();
    let mut subscription = soon(client.subscribe(["stocks.*.trade"]).send()).await.unwrap();
    fails.store(true, Ordering::SeqCst);
    let mut codes = Vec::new();
    let publishing = publish_while(&feed, || client.counters().reconnects == 0);
    let recovering = async {
        loop {
            match soon(events.next()).await.expect("it goes on") {
                ConnectionEvent::Disconnected { code, .. } => codes.push(code),
                ConnectionEvent::AttemptFailed { .. } => {
                    fails.store(false, Ordering::SeqCst);
                    return;
                }
                _ => {}
            }
        }
    };
    let (published, ()) = tokio::join!(publishing, recovering);
    assert_whole(&mut subscription, published).await;
    assert_eq!(codes, [Some(4001)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_by_its_name() {
    let (broker, feed, _folder) = start().await;
    for topic in ["stocks.A.quote", "stocks.A.internal", "users.amy.note"] {
        soon(feed.publish(Publish::state(topic, "1"))).await.unwrap();
    }
    let client = soon(Client::connect_with(options(&broker, Token::fixed(issue("amy", "trader", 600))))).await.unwrap();
    let entries = ["stocks.>", "users.amy.*", "users.bob.*", "stocks.A.internal"];
    let mut subscription = soon(client.subscribe(entries).send()).await.unwrap();
    let refused: Vec<_> = subscription.refused().iter().map(|error| (error.entry.as_str(), error.code)).collect();
    assert_eq!(refused, [("users.bob.*", ErrorCode::Forbidden), ("stocks.A.internal", ErrorCode::Forbidden)]);
    let mut images = Vec::new();
    while images.len() < 2 {
        if let Event::Image { topic, .. } = next(&mut subscription).await {
            images.push(topic.to_string());
        }
    }
    images.sort();
    assert_eq!(images, ["stocks.A.quote", "users.amy.note"]);
    soon(client.publish(Publish::event("chat.room", "1"))).await.unwrap();
    let error = soon(client.publish(Publish::event("stocks.A.quote", "1"))).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused { code: ErrorCode::Forbidden, retry: false, .. }), "{error}");
}

// On one thread, so that nothing happens between connecting and listening to events.
#[tokio::test]
async fn tokens_that_the_broker_does_not_take_end_the_client() {
    let (broker, _feed, _folder) = start().await;
    let stubborn = Token::from_fn(|| async { Ok::<_, io::Error>(Some("marker".to_owned())) });
    let expired = Token::fixed(issue("amy", "trader", -60));
    for token in [Token::none(), Token::fixed("marker"), expired, stubborn] {
        let client = soon(Client::connect_with(options(&broker, token.clone()))).await.unwrap();
        let mut events = client.events();
        let asked = tokio::spawn(async move { client.list().await.map(drop) });
        let mut last = None;
        while let Some(event) = soon(events.next()).await {
            if let ConnectionEvent::Closed(reason) = event {
                last = Some(reason);
            }
        }
        let _ = soon(asked).await.unwrap();
        let Some(ClosedReason::Unauthenticated { reason }) = last else { panic!("{token:?}: {last:?}") };
        assert!(!reason.contains("marker"), "{reason}");
    }
}

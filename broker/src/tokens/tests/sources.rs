//! Keys from an issuer: when they are fetched, and what counts meanwhile.

use std::time::{Duration, Instant};

use broker_identity::BadToken;

use super::endpoint::{Answer, Endpoint};
use super::signer::{Signer, jwks};
use super::{prepare, sources, tokens, until};
use crate::tokens::{Sources, Tokens};

fn from(endpoint: &Endpoint) -> Sources {
    Sources { keys_url: Some(endpoint.url()), ..sources() }
}

#[tokio::test]
async fn the_first_token_waits_for_the_keys() {
    let signer = Signer::new("one");
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&signer]))).await;
    let tokens = tokens(from(&endpoint));
    assert_eq!(tokens.authenticate(&signer.token()), Err(BadToken::KeysUnavailable));
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&signer.token()).await.is_ok());
    assert!(tokens.authenticate(&signer.token()).is_ok());
    assert_eq!((endpoint.asked(), tokens.counts().fetches()), (1, [("ok", 1), ("failed", 0)]));
    assert_eq!(tokens.state().keys, 1);
    task.abort();
}

#[tokio::test]
async fn unknown_keys_make_one_fetch_in_a_cooldown() {
    let signer = Signer::new("one");
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&signer]))).await;
    let cooldown = Duration::from_millis(200);
    let tokens = tokens(Sources { cooldown_ms: 200, ..from(&endpoint) });
    let begin = Instant::now();
    let task = tokio::spawn(tokens.clone().run());
    let mut number = 0;
    while endpoint.asked() < 4 {
        // Each with a name of its own.
        for _ in 0..20 {
            number += 1;
            let token = signer.token_of("a", &format!("kid-{number}"));
            assert!(matches!(tokens.authenticate(&token), Err(BadToken::UnknownKey | BadToken::KeysUnavailable)));
        }
        let waits = signer.token_of("a", &format!("kid-{number}x"));
        let _ = tokio::time::timeout(cooldown, tokens.authenticate_waiting(&waits)).await;
        assert!(begin.elapsed() < Duration::from_secs(20), "{} fetches", endpoint.asked());
    }
    // The first is free; between two others there is a cooldown, in whole milliseconds.
    assert!(begin.elapsed() >= 3 * (cooldown - Duration::from_millis(1)), "{:?} for {number} tokens", begin.elapsed());
    assert!(number >= 60, "{number}");
    assert!(tokens.authenticate(&signer.token()).is_ok());
    task.abort();
}

#[tokio::test]
async fn a_new_key_counts_and_an_old_one_does_not() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&old]))).await;
    let tokens = tokens(Sources { cooldown_ms: 100, ..from(&endpoint) });
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&old.token()).await.is_ok());
    endpoint.answers(Answer::Document(jwks(&[&new])));
    // The first may come within the cooldown of the fetch before.
    while tokens.authenticate_waiting(&new.token()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tokens.authenticate(&old.token()), Err(BadToken::UnknownKey));
    task.abort();
}

#[tokio::test]
async fn old_keys_count_while_the_issuer_fails() {
    let signer = Signer::new("one");
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&signer]))).await;
    let tokens = tokens(Sources { refresh_ms: 20, cooldown_ms: 20, ..from(&endpoint) });
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&signer.token()).await.is_ok());
    let failures = [
        Answer::Document(r#"{"keys":[]}"#.into()),
        Answer::Document(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#.into()),
        Answer::Raw("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".into()),
        Answer::Endless("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into()),
    ];
    let failed = |tokens: &Tokens| tokens.counts().fetches()[1].1;
    for answer in failures {
        let before = failed(&tokens);
        endpoint.answers(answer);
        until("two fetches that fail", || failed(&tokens) >= before + 2).await;
        assert!(tokens.state().fetch_failed);
        assert!(tokens.authenticate(&signer.token()).is_ok());
    }
    endpoint.answers(Answer::Document(jwks(&[&signer])));
    until("a good fetch", || !tokens.state().fetch_failed).await;
    task.abort();
}

#[tokio::test]
async fn keys_that_are_too_old_do_not_count() {
    let signer = Signer::new("one");
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&signer]))).await;
    let tokens = tokens(Sources { refresh_ms: 20, cooldown_ms: 20, stale_ms: 1000, ..from(&endpoint) });
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&signer.token()).await.is_ok());
    endpoint.answers(Answer::Raw("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".into()));
    let gone = || tokens.authenticate(&signer.token()) == Err(BadToken::KeysUnavailable);
    until("the keys are dropped", gone).await;
    endpoint.answers(Answer::Document(jwks(&[&signer])));
    until("the keys are back", || tokens.authenticate(&signer.token()).is_ok()).await;
    task.abort();
}

#[tokio::test]
async fn a_token_of_nobody_waits_for_no_fetch_that_cannot_come() {
    let signer = Signer::new("one");
    let endpoint = Endpoint::new(Answer::Document(jwks(&[&signer]))).await;
    let tokens = tokens(from(&endpoint));
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&signer.token()).await.is_ok());
    // Within the cooldown.
    let other = Signer::new("other").token();
    assert_eq!(tokens.authenticate_waiting(&other).await, Err(BadToken::UnknownKey));
    assert_eq!(endpoint.asked(), 1);
    let refused: Vec<_> = tokens.counts().refused().filter(|(_, count)| *count > 0).collect();
    assert_eq!((refused, tokens.counts().taken()), (vec![("key", 1)], 1));
    task.abort();
}

#[tokio::test]
async fn a_new_configuration_keeps_the_keys_of_the_same_address() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let (first, second) =
        (Endpoint::new(Answer::Document(jwks(&[&one]))).await, Endpoint::new(Answer::Document(jwks(&[&two]))).await);
    let tokens = tokens(from(&first));
    let task = tokio::spawn(tokens.clone().run());
    assert!(tokens.authenticate_waiting(&one.token()).await.is_ok());
    let mut swaps = tokens.swaps();
    swaps.mark_unchanged();
    tokens.replace(prepare(Sources { refresh_ms: 500_000, ..from(&first) }).unwrap());
    assert!(swaps.has_changed().unwrap());
    assert!(tokens.authenticate(&one.token()).is_ok());
    tokens.replace(prepare(from(&second)).unwrap());
    assert_eq!(tokens.authenticate(&one.token()), Err(BadToken::KeysUnavailable));
    assert!(tokens.authenticate_waiting(&two.token()).await.is_ok());
    assert_eq!((first.asked(), second.asked()), (1, 1));
    tokens.replace(prepare(sources()).unwrap());
    assert_eq!(tokens.authenticate(&two.token()), Err(BadToken::Unknown));
    assert!(!tokens.authority().is_configured());
    task.abort();
}

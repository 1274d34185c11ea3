//! One fetch: what answers are keys, and what is refused.

use std::sync::Arc;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::endpoint::{Answer, Endpoint};
use super::signer::{Signer, jwks};
use crate::tokens::KeysUrl;
use crate::tokens::fetch::{Connector, FETCH_TIME_MAX, Fetch};

async fn fetch(endpoint: &Endpoint) -> Result<usize, String> {
    let url = endpoint.url();
    let connector = Connector::new(&url).unwrap();
    Fetch { url, connector }.run().await.map(|keys| keys.len())
}

#[tokio::test]
async fn documents() {
    let signer = Signer::new("one");
    let good = jwks(&[&signer]);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{good}\r\n0\r\n\r\n", good.len());
    let to_its_end = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{good}");
    for answer in [Answer::Document(good), Answer::Raw(chunked), Answer::Raw(to_its_end)] {
        assert_eq!(fetch(&Endpoint::new(answer).await).await, Ok(1));
    }
}

#[tokio::test]
async fn answers_that_are_no_keys() {
    let other = Endpoint::new(Answer::Document(jwks(&[&Signer::new("one")]))).await;
    let redirect = |status: u16| {
        format!("HTTP/1.1 {status} x\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", other.address)
    };
    let head = |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let table = [
        (Answer::Raw(redirect(301)), "status is 301"),
        (Answer::Raw(redirect(307)), "status is 307"),
        (Answer::Raw("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n".into()), "status is 404"),
        (Answer::Raw("HTTP/1.1 204 x\r\n\r\n".into()), "status is 204"),
        (Answer::Raw("hello\r\n\r\n".into()), "the request failed"),
        (Answer::Raw(String::new()), "the request failed"),
        (Answer::Raw(head(100) + "{"), "broke off"),
        (Answer::Raw(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 << 10))), "the request failed"),
        (Answer::Document("<html>".into()), "not a JSON object"),
        (Answer::Document(r#"{"keys":[]}"#.into()), "no key in it"),
        (Answer::Document(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#.into()), "a secret (oct)"),
        (Answer::Document(" ".repeat((64 << 10) + 1)), "more than 65536 bytes"),
    ];
    for (answer, part) in table {
        let endpoint = Endpoint::new(answer).await;
        let error = fetch(&endpoint).await.unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
        assert_eq!(endpoint.asked(), 1);
    }
    assert_eq!(other.asked(), 0, "a second host was asked");
}

#[tokio::test]
async fn a_body_without_an_end_is_read_to_its_bound() {
    for head in ["Content-Length: 1073741824", "Transfer-Encoding: chunked", "Connection: close"] {
        let first = if head.starts_with('T') { "40000000\r\n" } else { "" };
        let endpoint = Endpoint::new(Answer::Endless(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{first}"))).await;
        let error = fetch(&endpoint).await.unwrap_err();
        assert!(error.contains("more than 65536 bytes"), "{head}: {error}");
        // The rest is in the buffers of the kernel.
        assert!(endpoint.sent() < 16 << 20, "{head}: {} bytes", endpoint.sent());
    }
}

#[tokio::test]
async fn a_fetch_takes_a_bounded_time() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    let silent = [String::new(), half.to_owned()];
    let begin = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for text in silent {
        all.spawn(async move { fetch(&Endpoint::new(Answer::Silence(text)).await).await });
    }
    while let Some(result) = all.join_next().await {
        assert!(result.unwrap().unwrap_err().contains("longer than 5 s"));
    }
    assert!(begin.elapsed() >= FETCH_TIME_MAX);
}

#[tokio::test]
async fn nobody_listens() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = KeysUrl::parse(&format!("http://{address}/")).unwrap();
    let connector = Connector::new(&url).unwrap();
    let error = Fetch { url, connector }.run().await.unwrap_err();
    assert!(error.contains("connecting failed"), "{error}");
}

/// An authority of certificates, and a certificate for `localhost`.
fn certificates() -> (rcgen::Certificate, rustls::ServerConfig) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let end = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    (certificate, config.with_single_cert(vec![end.der().clone()], key).unwrap())
}

#[tokio::test]
async fn by_tls() {
    let (authority, config) = certificates();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let answer = Answer::Document(jwks(&[&Signer::new("one")]));
    let endpoint = Endpoint::with(answer, move |socket| {
        let accepted = acceptor.accept(socket);
        async { accepted.await.ok() }
    })
    .await;
    let port = endpoint.address.port();
    let fetch = async |host: &str, trusted: Option<&rcgen::Certificate>| {
        let url = KeysUrl::parse(&format!("https://{host}:{port}/jwks.json")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(trusted.map(|trusted| trusted.der().clone()));
        Fetch { url, connector: Connector::trusting(roots) }.run().await.map(|keys| keys.len())
    };
    assert_eq!(fetch("localhost", Some(&authority)).await, Ok(1));
    // Another name than the certificate's, and an authority that is not trusted.
    for (host, trusted) in
        [("127.0.0.1", Some(&authority)), ("localhost", Some(&certificates().0)), ("localhost", None)]
    {
        let error = fetch(host, trusted).await.unwrap_err();
        assert!(error.contains("TLS failed"), "{error}");
    }
    assert_eq!(endpoint.asked(), 1);
}

//! `wss://`: the scripted broker behind a server that ends TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use broker_client::{Client, ConnectError, Event, Options, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::server::{HELLO, Server, soon, start};

/// A certificate authority, and the folder with the files of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = std::env::temp_dir().join(format!("tickcast-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Authority { issuer: Issuer::new(params, key), pem, folder }
    }

    fn write(&self, name: &str, content: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    }

    /// A certificate for a name, and its key, as PEM.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Ends TLS in front of a broker, for `localhost`. With `asks`, clients need a certificate of this authority.
    async fn front(&self, broker: &Server, asks: bool) -> u16 {
        let (certificate, key) = self.issue("localhost");
        let builder = ServerConfig::builder();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(rcgen_der(&self.pem)).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind: SocketAddr = broker.url["ws://".len()..broker.url.len() - "/v1/ws".len()].parse().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut socket = acceptor.accept(socket).await?;
                    let mut broker = TcpStream::connect(behind).await?;
                    tokio::io::copy_bidirectional(&mut socket, &mut broker).await
                });
            }
        });
        port
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn rcgen_der(pem: &str) -> tokio_rustls::rustls::pki_types::CertificateDer<'static> {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    tokio_rustls::rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn options(server: &Server, host: &str, port: u16, tls: Tls) -> Options {
    Options { url: format!("wss://{host}:{port}"), tls, ..server.options() }
}

#[tokio::test]
async fn a_broker_with_a_certificate_of_the_file_is_connected_to_and_reconnected_to() {
    let (server, authority) = (Server::bind().await, Authority::new("reconnect"));
    let port = authority.front(&server, false).await;
    let tls = Tls { ca_file: authority.write("ca.pem", &authority.pem), ..Tls::default() };
    let (client, mut peer) = server.connect(options(&server, "localhost", port, tls), HELLO).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    let mut subscription = subscription.unwrap();
    // Larger than a record of TLS.
    let data = "x".repeat(100_000);
    peer.send(&format!(r#"{{"op":"update","topic":"a","seq":1,"ts":1,"data":"{data}"}}"#)).await;
    while !matches!(soon(subscription.next()).await, Some(Event::Update { seq: 1, .. })) {}
    peer.close(1011).await;
    let mut peer = server.accept(HELLO).await;
    let request = peer.next().await;
    peer.subscribed(&request["id"], &[start("a", "event", "k1", 1, "resumed")]).await;
    peer.update("a", 2).await;
    while !matches!(soon(subscription.next()).await, Some(Event::Update { seq: 2, .. })) {}
}

#[tokio::test]
async fn each_of_several_addresses_has_a_connection_with_tls() {
    let (one, two, authority) = (Server::bind().await, Server::bind().await, Authority::new("several"));
    let tls = Tls { ca_file: authority.write("ca.pem", &authority.pem), ..Tls::default() };
    let [first, second] = [authority.front(&one, false).await, authority.front(&two, false).await];
    let others = vec![format!("wss://localhost:{second}")];
    let options = options(&one, "localhost", first, tls);
    let options = Options { other_urls: others, shuffle: false, look_within_ms: 0, ..options };
    let (client, mut peer) = one.connect(options, HELLO).await;
    peer.send(r#"{"op":"stale","since":1}"#).await;
    let mut other = two.accept(HELLO).await;
    other.pong().await;
    assert_eq!(peer.close_code().await, 1000);
    // And back, after a loss.
    let pinged = tokio::spawn({
        let client = client.clone();
        async move { client.ping().await }
    });
    assert_eq!(other.next().await["op"], "ping");
    other.vanish();
    one.accept(HELLO).await.pong().await;
    soon(pinged).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unknown_authority_a_wrong_name_and_a_wrong_file_are_told_apart() {
    let (server, authority) = (Server::bind().await, Authority::new("refused"));
    let port = authority.front(&server, false).await;
    let ca = || Tls { ca_file: authority.write("ca.pem", &authority.pem), ..Tls::default() };
    let certificate_only = Tls { client_cert_file: authority.write("client.pem", &authority.pem), ..ca() };
    for (host, tls, why) in [
        ("localhost", Tls::default(), "UnknownIssuer"),
        ("127.0.0.1", ca(), "not valid for name"),
        (
            "localhost",
            Tls { ca_file: Some("/nowhere/ca.pem".into()), ..Tls::default() },
            "/nowhere/ca.pem cannot be read",
        ),
        (
            "localhost",
            Tls { ca_file: authority.write("no.pem", "nothing"), ..Tls::default() },
            "no certificate in PEM form",
        ),
        ("localhost", certificate_only, "needs its key"),
    ] {
        let error = soon(Client::connect_with(options(&server, host, port, tls))).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }) && error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_client_certificate_gets_it() {
    let (server, authority) = (Server::bind().await, Authority::new("mutual"));
    let port = authority.front(&server, true).await;
    let ca_file = authority.write("ca.pem", &authority.pem);
    let without = Tls { ca_file: ca_file.clone(), ..Tls::default() };
    let error = soon(Client::connect_with(options(&server, "localhost", port, without))).await.unwrap_err();
    let whole = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(whole.contains("CertificateRequired"), "{whole}");
    let (certificate, key) = authority.issue("feed-a.internal");
    let with = Tls {
        ca_file,
        client_cert_file: authority.write("client.pem", &certificate.pem()),
        client_key_file: authority.write("client.key", &key.serialize_pem()),
    };
    let (_client, _peer) = server.connect(options(&server, "localhost", port, with), HELLO).await;
}

#[tokio::test]
async fn a_server_without_tls_is_no_broker_for_wss() {
    let server = Server::bind().await;
    let url = server.url.replace("ws://", "wss://");
    let serve = async {
        let mut socket = server.socket().await;
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    };
    let (result, _socket) = tokio::join!(soon(Client::connect(&url)), serve);
    assert!(matches!(result, Err(ConnectError::Tls { .. })), "{result:?}");
}

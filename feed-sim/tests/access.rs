//! The program's options for tokens and TLS, against a scripted broker that asks for both.

mod scripted;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use scripted::Scripted;

const MARKER: &str = "marker-of-a-token";

/// Publishes ten updates, and returns how the program ended.
async fn feed_sim(to: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_feed-sim"));
    command.args(["run", "stocks", "--rate", "max", "--updates", "10", "--quiet", "--to", to]).args(args);
    command.env_remove("FEED_SIM_TO").env_remove("RUST_LOG").stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().expect("it starts")).await.expect("nobody panicked")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, content: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.into_os_string().into_string().expect("UTF-8")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_a_file_or_the_command_line_and_is_never_printed() {
    let files = Files(tempfile::tempdir().expect("a folder"));
    let file = files.write("token", &format!("{MARKER}\n"));
    let mut url = String::new();
    for args in [["--token-file", &file], ["--token", MARKER]] {
        let (broker, at) = Scripted::start(vec![]).await;
        broker.taken.lock().expect("nobody panicked").token = Some(MARKER.to_owned());
        let output = feed_sim(&at, &args).await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!broker.taken.lock().expect("nobody panicked").updates.is_empty());
        url = at;
    }

    let other = files.write("other", &format!("{MARKER}-too"));
    for args in [["--token-file", &other], ["--token", "marker-of-a-token-too"]] {
        let output = feed_sim(&url, &args).await;
        assert!(!output.status.success() && stderr(&output).contains("requires authentication"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("marker"), "{}", stderr(&output));
    }
    let output = feed_sim(&url, &["--token-file", "/nowhere/token"]).await;
    assert!(!output.status.success() && stderr(&output).contains("/nowhere/token"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_an_authority_of_its_own_and_a_client_certificate() {
    let files = Files(tempfile::tempdir().expect("a folder"));
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(params, authority_key);
    let issue = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &issuer).expect("a certificate"), key)
    };

    let (_broker, url) = Scripted::start(vec![]).await;
    let behind: SocketAddr = url["ws://".len()..url.len() - "/v1/ws".len()].parse().expect("an address");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("an authority");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    let (certificate, key) = issue("localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut socket = acceptor.accept(socket).await?;
                tokio::io::copy_bidirectional(&mut socket, &mut TcpStream::connect(behind).await?).await
            });
        }
    });

    let to = format!("wss://localhost:{port}/v1/ws");
    let ca = files.write("ca.pem", &authority.pem());
    let (certificate, key) = issue("feed-a.internal");
    let (cert, key) = (files.write("client.pem", &certificate.pem()), files.write("client.key", &key.serialize_pem()));
    let output = feed_sim(&to, &["--ca", &ca, "--client-cert", &cert, "--client-key", &key]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    for (args, why) in [
        (&["--client-cert", &*cert, "--client-key", &*key][..], "UnknownIssuer"),
        (&["--ca", &*ca], "ertificate"),
        (&["--ca", &*ca, "--client-cert", &*cert], "--client-key"),
        (&["--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
    ] {
        let output = feed_sim(&to, args).await;
        assert!(!output.status.success() && stderr(&output).contains(why), "{args:?}: {}", stderr(&output));
    }
}

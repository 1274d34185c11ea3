//! Certificates of clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::DnType;

use crate::client::{BOTH, Client, NAME, config, handshakes, settings};
use crate::common::{Process, Running, ask, command, until};
use crate::pki::{Issued, Pki, replace};

/// Connects and asks for something: with TLS 1.3 a client learns only then that its certificate was refused.
fn try_ask(
    address: SocketAddr,
    pki: &Pki,
    version: &'static rustls::SupportedProtocolVersion,
    shows: Option<&Issued>,
) -> io::Result<u16> {
    let config = Arc::new(config(pki, &[version], shows));
    let mut client = Client::try_connect(address, &config, NAME)?;
    io::Write::write_all(&mut client.stream, b"GET /v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut answer = [0; 12];
    io::Read::read_exact(&mut client.stream, &mut answer)?;
    Ok(std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap())
}

fn broker(pki: &Pki, clients: &Pki, auth: &str) -> Running {
    let files = pki.write("server", &pki.issue(&[NAME]));
    let ca = clients.ca();
    let further = [("tls_client_ca", ca.to_str().unwrap()), ("tls_client_auth", auth), ("tls_reload_ms", "20")];
    Running::with(&[&settings(&files)[..], &further].concat())
}

#[test]
fn only_certificates_of_the_authority_are_taken() {
    let (pki, clients, strangers) = (Pki::new(), Pki::new(), Pki::new());
    let good = clients.issue(&["feed-a.internal"]);
    let only_common_name =
        clients.issue_as(&[], |params| params.distinguished_name.push(DnType::CommonName, "feed-a.internal"));
    let (wrong, expired) = (strangers.issue(&["feed-a.internal"]), clients.issue_expired(&["feed-a.internal"]));
    for auth in ["optional", "required"] {
        let broker = broker(&pki, &clients, auth);
        for version in BOTH {
            for (what, shows, taken) in [
                ("a good one", Some(&good), true),
                ("a name in the subject only", Some(&only_common_name), true),
                ("none", None, auth == "optional"),
                ("a stranger's", Some(&wrong), false),
                ("an expired one", Some(&expired), false),
            ] {
                let result = try_ask(broker.tls.unwrap(), &pki, version, shows);
                assert_eq!(result.is_ok(), taken, "{auth}, {what}: {result:?}");
            }
        }
        broker.assert_settles();
    }
}

#[test]
fn a_client_whose_authority_is_no_longer_trusted_resumes_nothing() {
    let (pki, clients, others) = (Pki::new(), Pki::new(), Pki::new());
    let broker = broker(&pki, &clients, "required");
    let shown = clients.issue(&["feed-a.internal"]);
    // One configuration, so that the client remembers its session.
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], Some(&shown)));
        let address = broker.tls.unwrap();
        (0..3).for_each(|_| drop(Client::websocket(address, &config)));
        for version in ["1.2", "1.3"] {
            assert_eq!(handshakes(&broker, version, "resumed", "ok"), 0.0);
        }
        let mut open = Client::websocket(address, &config);
        let trusted = std::fs::read(clients.ca()).unwrap();
        replace(&clients.ca(), &std::fs::read(others.ca()).unwrap());
        let asks = || {
            let mut client = Client::try_connect(address, &config, NAME)?;
            io::Write::write_all(&mut client.stream, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
            io::Read::read_exact(&mut client.stream, &mut [0])
        };
        until("the new authority", || asks().is_err());
        // Certificates are checked at the handshake only.
        open.say(r#"{"op":"ping","id":1}"#);
        open.expect("pong");
        replace(&clients.ca(), &trusted);
        until("the old authority", || asks().is_ok());
    }
}

#[test]
fn a_reload_takes_another_file_of_authorities() {
    let (pki, before, after) = (Pki::new(), Pki::new(), Pki::new());
    let files = pki.write("server", &pki.issue(&[NAME]));
    let write = |authorities: &Pki| {
        let (ca, [cert, key]) = (authorities.ca(), &files);
        let file = format!(
            "tls_listen = \"127.0.0.1:0\"\ntls_cert = [{cert:?}]\ntls_key = [{key:?}]\ntls_client_ca = {ca:?}\n\
             tls_client_auth = \"required\"\n"
        );
        replace(&pki.path("tickcast.toml"), file.as_bytes());
    };
    write(&before);
    let broker = Process::run(command(&["--config", pki.path("tickcast.toml").to_str().unwrap()]));
    let address = broker.tls.unwrap();
    let [old, new] = [&before, &after].map(|authorities| authorities.issue(&["feed-a.internal"]));
    let taken = |shown: &Issued| BOTH.map(|version| try_ask(address, &pki, version, Some(shown)).is_ok());
    assert_eq!((taken(&old), taken(&new)), ([true; 2], [false; 2]));
    write(&after);
    let answer = ask(broker.admin, "POST /v1/reload", &["Content-Type: application/json"], b"");
    assert_eq!((answer.status, &answer.json()["needs_restart"]), (200, &serde_json::json!([])), "{answer:?}");
    assert_eq!((taken(&old), taken(&new)), ([false; 2], [true; 2]));
}

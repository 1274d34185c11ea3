//! Which certificate a client is shown, and what happens when the files change.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::Broker;
use broker::config;
use rustls::pki_types::CertificateDer;

use crate::client::{BOTH, Client, NAME, broker, config as client_config, handshakes, settings};
use crate::common::{Process, Running, ask, command, until};
use crate::pki::{Issued, Pki, replace};

/// The certificate that the broker shows a client that asks for this name.
fn shown(broker: &Running, pki: &Pki, name: &str) -> CertificateDer<'static> {
    shown_at(broker.tls.unwrap(), pki, name)
}

fn shown_at(address: SocketAddr, pki: &Pki, name: &str) -> CertificateDer<'static> {
    let config = Arc::new(client_config(pki, &BOTH, None));
    let client = Client::try_connect(address, &config, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    client.stream.conn.peer_certificates().unwrap()[0].clone()
}

#[test]
fn the_first_certificate_that_covers_the_name_is_shown() {
    let pki = Pki::new();
    let (one, two, three) =
        (pki.issue(&[NAME]), pki.issue(&["*.feeds.example"]), pki.issue(&["127.0.0.1", "x.example"]));
    let files: Vec<[String; 2]> =
        [("one", &one), ("two", &two), ("three", &three)].map(|(name, issued)| pki.write(name, issued)).into();
    let [certs, keys] = [0, 1].map(|index| files.iter().map(|pair| pair[index].as_str()).collect::<Vec<_>>().join(","));
    let broker = Running::with(&settings(&[certs, keys]));
    for (name, issued) in [(NAME, &one), ("a.feeds.example", &two), ("x.example", &three)] {
        assert_eq!(shown(&broker, &pki, name), issued.certificate, "{name}");
    }
    // No name, and one that nothing covers: the first.
    let mut config = client_config(&pki, &BOTH, None);
    config.enable_sni = false;
    let client = Client::try_connect(broker.tls.unwrap(), &Arc::new(config), NAME).unwrap();
    assert_eq!(client.stream.conn.peer_certificates().unwrap()[0], one.certificate);
    drop(client);
    let config = Arc::new(client_config(&pki, &BOTH, None));
    let error = Client::try_connect(broker.tls.unwrap(), &config, "unknown.example").map(drop).unwrap_err();
    assert!(error.to_string().contains(NAME), "{error}");
    for name in [NAME, "*.feeds.example", "x.example"] {
        let expires = format!("tickcast_tls_certificate_expires_timestamp_seconds{{name=\"{name}\"}}");
        assert!(broker.metric(&expires) > 1.7e9, "{name}");
    }
    broker.assert_settles();
}

#[test]
fn new_files_count_for_new_connections_and_wrong_ones_for_none() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("tls_reload_ms", "20")]);
    let address = broker.tls.unwrap();
    let config = Arc::new(client_config(&pki, &BOTH, None));
    let mut open = Client::websocket(address, &config);
    open.subscribe("t");
    let failed = || broker.metric("tickcast_tls_reload_failed");
    let is_shown = |issued: &Issued| shown(&broker, &pki, NAME) == issued.certificate;
    let renewed = pki.issue(&[NAME]);
    pki.write("server", &renewed);
    until("the renewed certificate", || is_shown(&renewed));
    assert_eq!(failed(), 0.0);

    let (other, expired) = (pki.issue(&[NAME]), pki.issue_expired(&[NAME]));
    let foreign = Pki::new();
    let foreign_files = foreign.write("server", &foreign.issue(&[NAME]));
    let good = [std::fs::read(pki.path("server.pem")).unwrap(), std::fs::read(pki.path("server.key")).unwrap()];
    let restore = || {
        replace(&pki.path("server.pem"), &good[0]);
        replace(&pki.path("server.key"), &good[1]);
        until("the failure to be over", || failed() == 0.0);
    };
    let break_it: [(&str, &dyn Fn()); 5] = [
        ("no PEM", &|| replace(&pki.path("server.pem"), b"no certificate")),
        ("gone", &|| std::fs::remove_file(pki.path("server.pem")).unwrap()),
        ("the key of another one", &|| {
            pki.write("other", &other);
            std::fs::copy(pki.path("other.key"), pki.path("server.key")).map(drop).unwrap();
        }),
        ("the certificate of another one", &|| {
            replace(&pki.path("server.pem"), &std::fs::read(&foreign_files[0]).unwrap())
        }),
        ("expired", &|| drop(pki.write("server", &expired))),
    ];
    for (what, break_it) in break_it {
        break_it();
        until(what, || failed() == 1.0);
        assert!(is_shown(&renewed), "{what}");
        open.say(r#"{"op":"ping","id":1}"#);
        open.expect("pong");
        restore();
    }
    // Sessions are resumed across a reload: its keys for tickets stay.
    let count = || handshakes(&broker, "1.3", "resumed", "ok");
    drop(Client::websocket(address, &config));
    let before = count();
    let last = pki.issue(&[NAME]);
    pki.write("server", &last);
    until("the last certificate", || is_shown(&last));
    drop(Client::websocket(address, &config));
    assert_eq!(count(), before + 1.0);
    open.skip_to_data("last", || _ = broker.publish("t", "state", "\"last\""));
}

#[test]
fn a_broker_without_reloads_keeps_what_it_read() {
    let pki = Pki::new();
    let issued = pki.issue(&[NAME]);
    let files = pki.write("server", &issued);
    let broker = Running::with(&[&settings(&files)[..], &[("tls_reload_ms", "0")]].concat());
    pki.write("server", &pki.issue(&[NAME]));
    for _ in 0..3 {
        assert_eq!(shown(&broker, &pki, NAME), issued.certificate);
    }
}

#[test]
fn a_reload_takes_other_files_and_a_wrong_one_changes_nothing() {
    let pki = Pki::new();
    let (one, two) = (pki.issue(&[NAME]), pki.issue(&["b.example"]));
    let [first, second] = [pki.write("one", &one), pki.write("two", &two)];
    let write = |certs: &[&str], keys: &[&str], rest: &str| {
        let file = format!("tls_listen = \"127.0.0.1:0\"\ntls_cert = {certs:?}\ntls_key = {keys:?}\n{rest}");
        replace(&pki.path("tickcast.toml"), file.as_bytes());
    };
    write(&[&first[0]], &[&first[1]], "");
    let broker = Process::run(command(&["--config", pki.path("tickcast.toml").to_str().unwrap()]));
    let address = broker.tls.unwrap();
    let reload = || ask(broker.admin, "POST /v1/reload", &["Content-Type: application/json"], b"");
    let config = Arc::new(client_config(&pki, &BOTH, None));
    let mut open = Client::websocket(address, &config);
    assert_eq!(shown_at(address, &pki, NAME), one.certificate);

    write(&[&first[0], &second[0]], &[&first[1], &second[1]], "");
    let answer = reload();
    assert_eq!((answer.status, &answer.json()["needs_restart"]), (200, &serde_json::json!([])), "{answer:?}");
    assert_eq!(shown_at(address, &pki, "b.example"), two.certificate);
    assert_eq!(shown_at(address, &pki, NAME), one.certificate);
    // The files that it looks at are the new ones.
    write(&[&second[0]], &[&second[1]], "");
    assert_eq!(reload().status, 200);
    let fresh = Arc::new(client_config(&pki, &BOTH, None));
    assert!(Client::try_connect(address, &fresh, NAME).is_err(), "the first one is gone");

    // The key of another one, a file that is not there, and no TLS at all.
    write(&[&second[0]], &[&first[1]], "");
    let answer = reload();
    assert!(answer.status == 422 && answer.body.contains("does not belong to the certificate"), "{answer:?}");
    write(&["/no/such/file.pem"], &[&first[1]], "");
    let answer = reload();
    assert!(answer.status == 422 && answer.body.contains("/no/such/file.pem"), "{answer:?}");
    replace(&pki.path("tickcast.toml"), b"");
    let answer = reload().json();
    assert_eq!(answer["needs_restart"], serde_json::json!(["tls_listen", "tls_cert", "tls_key"]), "{answer}");
    assert_eq!(shown_at(address, &pki, "b.example"), two.certificate);
    open.say(r#"{"op":"ping","id":1}"#);
    open.expect("pong");
}

/// Starts a broker with these settings, and returns why it does not start.
fn refusal(given: &[(&'static str, &str)]) -> String {
    let usual = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("shards", "1")];
    let flags: Vec<_> = usual.iter().chain(given).map(|(name, value)| (*name, (*value).into())).collect();
    let loaded = match config::resolve(&flags, [], None) {
        Ok(loaded) => loaded,
        Err(error) => return error.to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = runtime.block_on(Broker::start(loaded.config, Box::new(|| config::resolve(&[], [], None))));
    started.err().map_or_else(String::new, |error| format!("{error:#}"))
}

#[test]
fn what_is_wrong_at_the_start_is_said() {
    let pki = Pki::new();
    let [cert, key] = pki.write("server", &pki.issue(&[NAME]));
    let [_, other_key] = pki.write("other", &pki.issue(&["other.example"]));
    let file = |name: &str, text: &str| {
        replace(&pki.path(name), text.as_bytes());
        pki.path(name).to_str().unwrap().to_owned()
    };
    let secret = "AAAAsecretAAAA";
    let encrypted = file(
        "encrypted",
        &format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{secret}\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    );
    let broken = file("broken", &format!("-----BEGIN PRIVATE KEY-----\n{secret}%\n-----END PRIVATE KEY-----\n"));
    let unknown = file("unknown", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let empty = file("empty", "");
    let (missing, folder) = (pki.path("missing"), pki.path(""));
    let (missing, folder) = (missing.to_str().unwrap(), folder.to_str().unwrap());
    let on = ("tls_listen", "127.0.0.1:0");
    let beyond = ("tls_listen", "192.0.2.7:443");
    let pair = |cert, key| vec![on, ("tls_cert", cert), ("tls_key", key)];
    for (given, said) in [
        (vec![on], "tls_cert is not"),
        (vec![on, ("tls_cert", &*cert)], "given in pairs"),
        (vec![("tls_cert", &*cert), ("tls_key", &*key)], "TLS is off"),
        (vec![beyond, ("tls_cert", &cert), ("tls_key", &key)], "open_publish"),
        ([pair(&cert, &key), vec![("tls_client_auth", "required")]].concat(), "tls_client_ca is not set"),
        ([pair(&cert, &key), vec![("tls_client_ca", &*cert)]].concat(), "tls_client_auth is off"),
        (
            [pair(&cert, &key), vec![("tls_client_ca", &empty), ("tls_client_auth", "optional")]].concat(),
            "no certificate in it",
        ),
        ([pair(&cert, &key), vec![("tls_min_version", "1.1")]].concat(), "1.2 or 1.3"),
        ([pair(&cert, &key), vec![("tls_client_auth", "yes")]].concat(), "off, optional or required"),
        (pair(missing, &key), "cannot be read"),
        (pair(folder, &key), "cannot be read"),
        (pair(&empty, &key), "there is no certificate in it"),
        (pair(&key, &key), "there is no certificate in it"),
        (pair(&cert, &empty), "there is no private key in it"),
        (pair(&cert, &cert), "there is no private key in it"),
        (pair(&cert, &encrypted), "openssl pkey"),
        (pair(&cert, &broken), "there is no private key in it"),
        (pair(&cert, &unknown), "not supported"),
        (pair(&cert, &other_key), "does not belong to the certificate"),
    ] {
        let refusal = refusal(&given);
        assert!(refusal.contains(said), "{given:?}: {refusal:?}");
        assert!(!refusal.contains(secret), "{given:?}: {refusal:?}");
    }
    assert_eq!(refusal(&pair(&cert, &key)), "");
}

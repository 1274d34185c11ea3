//! What a client may do within TLS to make trouble: renegotiate, send data early, and cut a stream as small as it can be.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ConnectionTrafficSecrets, HandshakeKind, RootCertStore};

use crate::client::{BOTH, Client, NAME, broker, config};
use crate::common::{FIN, PATIENCE, TEXT, masked};
use crate::pki::Pki;

/// The types of records (RFC 5246 §6.2.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// A warning, and what it says (RFC 5246 §7.2).
const NO_RENEGOTIATION: [u8; 2] = [1, 100];

/// One direction of a connection with TLS 1.2 and ChaCha20-Poly1305 (RFC 7905), so that records of every type can be made.
struct Direction {
    key: LessSafeKey,
    iv: Vec<u8>,
    seq: u64,
}

impl Direction {
    fn new((seq, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { panic!("another cipher") };
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).unwrap();
        Self { key: LessSafeKey::new(key), iv: iv.as_ref().to_vec(), seq }
    }

    /// The nonce of the next record, and what is authenticated with it.
    fn next(&mut self, kind: u8, len: usize) -> (Nonce, Aad<Vec<u8>>) {
        let mut nonce: [u8; 12] = self.iv.clone().try_into().unwrap();
        let seq = self.seq.to_be_bytes();
        nonce[4..].iter_mut().zip(seq).for_each(|(byte, seq)| *byte ^= seq);
        self.seq += 1;
        let head = [kind, 3, 3, (len >> 8) as u8, len as u8];
        (Nonce::assume_unique_for_key(nonce), Aad::from([&seq[..], &head].concat()))
    }

    fn seal(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let (nonce, aad) = self.next(kind, plain.len());
        let mut sealed = plain.to_vec();
        self.key.seal_in_place_append_tag(nonce, aad, &mut sealed).unwrap();
        [&[kind, 3, 3][..], &(sealed.len() as u16).to_be_bytes(), &sealed].concat()
    }

    fn open(&mut self, kind: u8, mut sealed: Vec<u8>) -> Vec<u8> {
        let (nonce, aad) = self.next(kind, sealed.len() - CHACHA20_POLY1305.tag_len());
        self.key.open_in_place(nonce, aad, &mut sealed).unwrap().to_vec()
    }
}

/// A connection whose records are the test's own.
struct Bare {
    socket: TcpStream,
    sends: Direction,
    receives: Direction,
}

impl Bare {
    fn over(client: Client) -> Self {
        let (connection, socket) = client.stream.into_parts();
        let secrets = connection.dangerous_extract_secrets().unwrap();
        Self { socket, sends: Direction::new(secrets.tx), receives: Direction::new(secrets.rx) }
    }

    fn send(&mut self, kind: u8, plain: &[u8]) {
        let record = self.sends.seal(kind, plain);
        self.socket.write_all(&record).unwrap();
    }

    /// Reads the next record: its type and its content. Returns nothing at the end.
    fn record(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.socket.read_exact(&mut head).ok()?;
        let mut sealed = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        self.socket.read_exact(&mut sealed).ok()?;
        Some((head[0], self.receives.open(head[0], sealed)))
    }

    /// Reads records of data until they contain this text.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let mut data = Vec::new();
        while !String::from_utf8_lossy(&data).contains(text) {
            match self.record() {
                Some((DATA, more)) => data.extend(more),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A client of TLS 1.2 with the cipher above, whose keys can be had.
fn bare(pki: &Pki) -> ClientConfig {
    let suites = vec![TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];
    let provider = CryptoProvider { cipher_suites: suites, ..default_provider() };
    let mut roots = RootCertStore::empty();
    roots.add(pki.root()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

#[test]
fn renegotiation_is_refused_and_the_connection_goes_on_or_ends() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    let client = Client::websocket(broker.tls.unwrap(), &Arc::new(bare(&pki)));
    let mut bare = Bare::over(client);
    bare.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // A ClientHello without anything in it but its form: a version, 32 bytes, no session, a cipher suite, no compression.
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xcc, 0xa9, 1, 0]].concat();
    let hello = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    bare.send(HANDSHAKE, &hello);
    assert_eq!(bare.record(), Some((ALERT, NO_RENEGOTIATION.to_vec())));
    // As before.
    bare.send(DATA, &masked(FIN | TEXT, br#"{"op":"ping","id":"still here"}"#));
    bare.until("still here");
    // Whoever insists is closed.
    for _ in 0..3 {
        let record = bare.sends.seal(HANDSHAKE, &hello);
        // The broker may have closed already.
        let _ = bare.socket.write_all(&record);
    }
    while let Some((kind, content)) = bare.record() {
        assert_eq!(kind, ALERT, "{content:?}");
    }
    broker.assert_settles();
}

#[test]
fn early_data_is_not_taken() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    let address = broker.tls.unwrap();
    let mut config = config(&pki, &[&rustls::version::TLS13], None);
    config.enable_early_data = true;
    let config = Arc::new(config);
    // The tickets come after the handshake, at the latest with `hello`.
    drop(Client::websocket(address, &config));
    let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
    let mut connection = rustls::ClientConnection::new(config.clone(), name).unwrap();
    assert!(connection.early_data().is_none(), "a ticket of the broker allows early data");
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    // It was a session that could have had some.
    assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(!connection.is_early_data_accepted());
    drop(socket);
    broker.assert_settles();
}

#[test]
fn a_stream_in_records_of_one_byte_is_understood() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        let mut client = Client::connect(broker.tls.unwrap(), &config);
        client.record_bytes = Some(1);
        client.upgrade();
        client.subscribe("small.records");
        client.say(r#"{"op":"publish","id":1,"topic":"small.records","kind":"state","data":"in small records"}"#);
        client.skip_to_data("in small records", || {});
        // Another request's head, and its body.
        let mut other = Client::connect(broker.tls.unwrap(), &config);
        other.record_bytes = Some(1);
        let answer = other.ask("POST /v1/topics/small.records?kind=state", r#""and so is HTTP""#);
        assert_eq!(answer.status, 200, "{answer:?}");
        client.skip_to_data("and so is HTTP", || {});
        broker.http("DELETE /v1/topics/small.records", "");
    }
    broker.assert_settles();
}

//! The wire against rustls' own client, over sockets that are made up.

use std::io::Read as _;

use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::super::certificate::facts;
use super::super::pairs::Pair;
use super::super::settings::{Fixed, server_config};
use super::*;
use crate::config::{ClientAuth, TlsVersion};

const BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
/// More than all messages of a handshake.
const BUFFER_BYTES: usize = 64 * 1024;

/// A socket that takes so many bytes, and then none.
#[derive(Default)]
struct Socket {
    taken: Vec<u8>,
    room: usize,
}

impl Socket {
    fn with(room: usize) -> Self {
        Self { taken: Vec::new(), room }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room -= len;
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection of rustls' client to a wire.
struct Link {
    client: ClientConnection,
    wire: Wire,
    counters: Arc<Counters>,
    /// The bytes that are passed at once.
    step: usize,
}

impl Link {
    fn new(version: &'static SupportedProtocolVersion, step: usize) -> Self {
        let Made { cert, signing_key } = generate_simple_self_signed(["md.example".to_owned()]).unwrap();
        let provider = Arc::new(default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let key = Arc::new(CertifiedKey::from_der(vec![cert.der().clone()], key, &provider).unwrap());
        let pair = Pair { key, facts: facts(cert.der()).unwrap() };
        let fixed = Fixed {
            provider: provider.clone(),
            min_version: TlsVersion::V12,
            client_auth: ClientAuth::Off,
            ticketer: Some(rustls::crypto::aws_lc_rs::Ticketer::new().unwrap()),
        };
        let config = server_config(&fixed, &[pair], None).unwrap();
        let counters = Arc::<Counters>::default();
        let wire = Wire::new(Arc::new(config), counters.clone()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), ServerName::try_from("md.example").unwrap()).unwrap();
        Self { client, wire, counters, step }
    }

    /// A connection whose handshake is done.
    fn open(version: &'static SupportedProtocolVersion) -> Self {
        let mut link = Self::new(version, BUFFER_BYTES);
        link.shake_hands();
        link
    }

    fn shake_hands(&mut self) {
        for _ in 0..8 {
            assert_eq!(self.pass_on().unwrap(), b"");
            self.answer();
        }
        assert!(!self.wire.is_handshaking() && !self.client.is_handshaking());
        assert_eq!(self.wire.held_bytes(), 0, "a connection at rest has no buffer");
    }

    /// Passes ciphertext to the wire, step by step. Returns the plaintext.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        for piece in bytes.chunks(self.step) {
            let at = self.wire.part_len();
            let mut buffer = vec![0; at];
            buffer.extend_from_slice(piece);
            self.wire.take_in(&mut buffer, &mut plain)?;
            assert!(self.wire.held_bytes() as u64 == self.counters.held_bytes());
        }
        Ok(plain)
    }

    fn client_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn pass_on(&mut self) -> io::Result<Vec<u8>> {
        let bytes = self.client_bytes();
        self.pass(&bytes)
    }

    /// Passes to the client what a socket took. Returns the plaintext.
    fn receive(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            let state = self.client.process_new_packets().unwrap();
            let at = plain.len();
            plain.resize(at + state.plaintext_bytes_to_read(), 0);
            self.client.reader().read_exact(&mut plain[at..]).unwrap();
        }
        plain
    }

    /// Passes to the client what the wire holds.
    fn answer(&mut self) -> Vec<u8> {
        let mut socket = Socket::with(usize::MAX);
        assert_eq!(self.wire.flush(&mut socket).unwrap(), Flushed::All);
        self.receive(&socket.taken)
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
    }
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[test]
fn bytes_may_arrive_one_by_one() {
    for (version, name) in BOTH.into_iter().zip(["1.2", "1.3"]) {
        let mut link = Link::new(version, 1);
        assert!(link.wire.is_before_key_exchange());
        link.shake_hands();
        assert!(!link.wire.is_before_key_exchange());
        assert_eq!(link.wire.done(), Done::ok(name, "full"));
        let sent = text(40_000);
        link.say(&sent);
        assert_eq!(link.pass_on().unwrap(), sent);
        assert_eq!(link.wire.part_len(), 0);
        let mut socket = Socket::with(usize::MAX);
        assert_eq!(link.wire.write(&mut socket, &sent).unwrap(), sent.len());
        assert_eq!(link.receive(&socket.taken), sent);
        assert_eq!(link.counters.held_bytes(), 0);
    }
}

#[test]
fn at_most_one_record_is_beyond_recall() {
    for version in BOTH {
        let mut link = Link::open(version);
        let sent = text(100_000);
        for room in [0, 1, 20_000, 16_384 + 22, 70_000] {
            let mut socket = Socket::with(room);
            let taken = link.wire.write(&mut socket, &sent).unwrap();
            // What counts as written is what the socket took, and one record.
            assert!(taken >= room.min(RECORD_PLAIN_BYTES) && taken <= room + RECORD_PLAIN_BYTES, "{room}: {taken}");
            let held = link.wire.held_bytes();
            assert!(held > 0 && held <= RECORD_PLAIN_BYTES + 32, "{room}: {held}");
            assert_eq!(link.counters.held_bytes(), held as u64);
            // Nothing else is taken before it has left.
            assert_eq!(link.wire.flush(&mut socket).unwrap(), Flushed::Nothing);
            let error = link.wire.write(&mut socket, b"more").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            socket.room = 1;
            let is_last = held == 1;
            let flushed = link.wire.flush(&mut socket).unwrap();
            assert_eq!(flushed, if is_last { Flushed::All } else { Flushed::Some });
            socket.room = usize::MAX;
            assert_eq!(link.wire.flush(&mut socket).unwrap(), Flushed::All);
            assert_eq!(link.receive(&socket.taken), sent[..taken]);
            assert_eq!(link.wire.held_bytes(), 0);
        }
    }
}

#[test]
fn key_updates_are_answered_and_a_flood_of_them_ends_the_connection() {
    let mut link = Link::open(&rustls::version::TLS13);
    for round in 0..100 {
        link.client.refresh_traffic_keys().unwrap();
        link.say(b"data");
        assert_eq!(link.pass_on().unwrap(), b"data", "round {round}");
        // The answer goes before the largest record, for which the scratch has room.
        let sent = text(RECORD_PLAIN_BYTES);
        let mut socket = Socket::with(usize::MAX);
        assert_eq!(link.wire.write(&mut socket, &sent).unwrap(), sent.len());
        assert!(socket.taken.len() > RECORD_PLAIN_BYTES + 22, "no key update");
        assert_eq!(link.receive(&socket.taken), sent);
    }
    let ended = (0..1000).find(|_| {
        link.client.refresh_traffic_keys().unwrap();
        link.pass_on().is_err()
    });
    assert!(ended.is_some_and(|count| count < 64), "{ended:?}");
    assert!(link.wire.held_bytes() < 1024);
}

#[test]
fn records_of_one_byte_are_taken() {
    for version in BOTH {
        let mut link = Link::open(version);
        let mut bytes = Vec::new();
        for byte in text(2000) {
            link.say(&[byte]);
            bytes.extend(link.client_bytes());
        }
        let mut buffer = bytes.clone();
        let mut plain = Vec::new();
        assert_eq!(link.wire.take_in(&mut buffer, &mut plain).unwrap(), 2000);
        assert_eq!(plain, text(2000));
    }
}

#[test]
fn a_message_that_is_too_large_is_refused() {
    // A ClientHello of 64 KB, in records of 16 KB.
    let mut link = Link::new(&rustls::version::TLS13, 1000);
    let mut hello = vec![1, 0, 0xff, 0xff];
    hello.extend(text(0xffff));
    let records = hello.chunks(RECORD_PLAIN_BYTES).flat_map(|part| {
        let len = (part.len() as u16).to_be_bytes();
        [&[22, 3, 1, len[0], len[1]], part].concat()
    });
    let records: Vec<u8> = records.collect();
    let error = link.pass(&records).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(link.wire.held_bytes() <= HANDSHAKE_BYTES_MAX, "{}", link.wire.held_bytes());
    // Records whose heads claim more than any record may have, before and after the handshake.
    for mut link in [Link::new(&rustls::version::TLS13, 500), Link::open(&rustls::version::TLS13)] {
        link.step = 500;
        let mut record = vec![23, 3, 3, 0x48, 0x01];
        record.extend(text(0x4801));
        assert!(link.pass(&record).is_err());
        assert!(link.wire.held_bytes() <= HANDSHAKE_BYTES_MAX);
        // It is over, and nothing panics.
        link.wire.close();
        assert!(link.wire.write(&mut Socket::with(usize::MAX), b"data").is_err());
    }
}

#[test]
fn the_end_is_told() {
    for version in BOTH {
        let mut link = Link::open(version);
        // What is held goes first, and the end takes little more.
        let mut socket = Socket::default();
        link.wire.write(&mut socket, &text(RECORD_PLAIN_BYTES)).unwrap();
        link.wire.close();
        assert!(link.wire.held_bytes() <= RECORD_PLAIN_BYTES + 64, "{}", link.wire.held_bytes());
        let mut link = Link::open(version);
        let mut socket = Socket::with(10);
        let taken = link.wire.write(&mut socket, b"the last words").unwrap();
        link.wire.close();
        link.wire.close();
        socket.room = usize::MAX;
        assert_eq!(link.wire.flush(&mut socket).unwrap(), Flushed::All);
        let (mut bytes, mut plain) = (&socket.taken[..], Vec::new());
        while !bytes.is_empty() {
            link.client.read_tls(&mut bytes).unwrap();
            let state = link.client.process_new_packets().unwrap();
            assert_eq!(state.peer_has_closed(), bytes.is_empty());
        }
        // Without `close_notify` this is an error.
        link.client.reader().read_to_end(&mut plain).unwrap();
        assert_eq!((plain.as_slice(), taken), (&b"the last words"[..], 14));
        // And the other way round; what follows does not count.
        assert!(!link.wire.peer_has_closed());
        link.client.send_close_notify();
        let mut bytes = link.client_bytes();
        bytes.extend(b"more");
        assert_eq!(link.pass(&bytes).unwrap(), b"");
        assert!(link.wire.peer_has_closed());
        assert_eq!(link.wire.part_len(), 0);
    }
}

#[test]
fn what_cannot_be_decrypted_ends_the_connection_with_an_alert() {
    for version in BOTH {
        let mut link = Link::open(version);
        let mut garbage = vec![23, 3, 3, 0, 100];
        garbage.extend(text(100));
        assert_eq!(link.pass(&garbage).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut socket = Socket::with(usize::MAX);
        assert_eq!(link.wire.flush(&mut socket).unwrap(), Flushed::All);
        link.client.read_tls(&mut &socket.taken[..]).unwrap();
        let error = link.client.process_new_packets().unwrap_err();
        assert!(matches!(error, rustls::Error::AlertReceived(_)), "{error}");
    }
    // Plain HTTP instead of a handshake.
    let mut link = Link::new(&rustls::version::TLS13, 7);
    assert!(link.pass(b"GET / HTTP/1.1\r\nHost: md.example\r\n\r\n").is_err());
}

#[test]
fn what_is_held_counts_until_the_connection_is_dropped() {
    let mut link = Link::open(&rustls::version::TLS13);
    link.say(&text(1000));
    let bytes = link.client_bytes();
    assert_eq!(link.pass(&bytes[..900]).unwrap(), b"");
    assert_eq!(link.wire.part_len(), 900);
    assert!(link.counters.held_bytes() >= 900);
    let Link { wire, counters, .. } = link;
    drop(wire);
    assert_eq!(counters.held_bytes(), 0);
}

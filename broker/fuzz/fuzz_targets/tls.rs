//! TLS in pieces of any size, against rustls' own client: what the client says arrives, whole or as a beginning of it if
//! the stream is changed somewhere; bytes of a stranger end the connection; and no buffer grows beyond its bound.
//!
//! The first byte of the input chooses the version and what is done, the next eight how the stream is cut, and the rest
//! is what the client says, or what a stranger sends.
#![no_main]

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};

// Only these files are included, so that the rest of the broker need not be built.
#[allow(dead_code, unused_imports, reason = "the broker uses all of it")]
#[path = "../../src/tls"]
mod tls {
    pub(crate) mod bounds;
    pub(crate) mod counters;
    pub(crate) mod wire;

    /// Identities are tested elsewhere.
    mod certificate {
        use std::sync::Arc;

        use rustls::pki_types::CertificateDer;

        pub(super) fn identity(_: &CertificateDer<'_>) -> Option<Arc<str>> {
            None
        }
    }
}

use tls::bounds::{HANDSHAKE_BYTES_MAX, RECORD_BYTES_MAX};
use tls::wire::Wire;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// The configurations of both sides: made once, since keys and certificates are random.
static CONFIGS: LazyLock<(Arc<ServerConfig>, [Arc<ClientConfig>; 2])> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["md.example".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        )
        .expect("a pair");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = VERSIONS.map(|version| {
        let client = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]);
        Arc::new(client.expect("a version").with_root_certificates(roots.clone()).with_no_client_auth())
    });
    (Arc::new(server), client)
});

/// A socket that takes everything.
#[derive(Default)]
struct Socket(Vec<u8>);

impl io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a stream is cut: xorshift, as any sequence will do that the input determines.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    /// Small pieces as often as large ones.
    fn piece(&mut self, left: usize) -> usize {
        let most = 1 << self.throw(15);
        (1 + self.throw(most)).min(left)
    }
}

/// Takes in a stream in pieces.
fn take_in(wire: &mut Wire, mut bytes: &[u8], dice: &mut Dice, plain: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(dice.piece(bytes.len()));
        let mut buffer = vec![0; wire.part_len()];
        buffer.extend_from_slice(piece);
        wire.take_in(&mut buffer, plain)?;
        let max = if wire.is_handshaking() { HANDSHAKE_BYTES_MAX } else { RECORD_BYTES_MAX };
        assert!(wire.part_len() <= max, "{} bytes", wire.part_len());
        bytes = rest;
    }
    Ok(())
}

fn sent(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("memory");
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[what], rest)) = bytes.split_first_chunk() else { return };
    let Some((cuts, said)) = rest.split_first_chunk::<8>() else { return };
    let mut dice = Dice(u64::from_le_bytes(*cuts) | 1);
    let (server, clients) = &*CONFIGS;
    let mut wire = Wire::new(server.clone(), Arc::default()).expect("a connection");
    let mut plain = Vec::new();
    if what & 2 == 0 {
        // A stranger: whatever it sends, nothing of it is plaintext.
        let _ = take_in(&mut wire, said, &mut dice, &mut plain);
        assert!(plain.is_empty() && wire.is_handshaking());
        wire.close();
        return;
    }
    let name = ServerName::try_from("md.example").expect("a name");
    let mut client = ClientConnection::new(clients[usize::from(what & 1)].clone(), name).expect("a client");
    while client.is_handshaking() || wire.is_handshaking() {
        let flight = sent(&mut client);
        take_in(&mut wire, &flight, &mut dice, &mut plain).expect("a handshake");
        let mut socket = Socket::default();
        wire.flush(&mut socket).expect("a socket");
        let mut flight = &socket.0[..];
        while !flight.is_empty() {
            client.read_tls(&mut flight).expect("memory");
            client.process_new_packets().expect("a handshake");
        }
    }
    // Records of any size, and sometimes new keys.
    let mut left = said;
    let mut stream = Vec::new();
    while !left.is_empty() {
        let (record, rest) = left.split_at(dice.piece(left.len()));
        client.writer().write_all(record).expect("memory");
        stream.extend(sent(&mut client));
        if what & 1 == 1 && dice.throw(8) == 0 {
            client.refresh_traffic_keys().expect("keys");
            stream.extend(sent(&mut client));
        }
        left = rest;
    }
    if what & 4 != 0 && !stream.is_empty() {
        // Somebody on the way changes a byte: what comes before arrives, and nothing wrong does.
        let at = dice.throw(stream.len());
        stream[at] ^= 1 << dice.throw(8);
        let _ = take_in(&mut wire, &stream, &mut dice, &mut plain);
        assert!(said.starts_with(&plain));
        wire.close();
        return;
    }
    take_in(&mut wire, &stream, &mut dice, &mut plain).expect("what the client says");
    assert_eq!(plain, said);
    // And back.
    let mut socket = Socket::default();
    assert_eq!(wire.write(&mut socket, said).expect("a socket"), said.len());
    let (mut flight, mut back) = (&socket.0[..], Vec::new());
    while !flight.is_empty() {
        client.read_tls(&mut flight).expect("memory");
        let state = client.process_new_packets().expect("what the broker says");
        let at = back.len();
        back.resize(at + state.plaintext_bytes_to_read(), 0);
        client.reader().read_exact(&mut back[at..]).expect("memory");
    }
    assert_eq!(back, said);
});

//! A client with TLS: rustls over a socket, and WebSocket over that.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::common::{Answer, CLOSE, FIN, HANDSHAKE, Message, PATIENCE, PING, PONG, Running, TEXT, masked, take};
use crate::pki::{Issued, Pki};

pub(crate) const BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
/// The name in the certificates of these tests.
pub(crate) const NAME: &str = "md.example";

/// What a client trusts and shows.
pub(crate) fn config(
    pki: &Pki,
    versions: &[&'static SupportedProtocolVersion],
    shows: Option<&Issued>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(pki.root()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match shows {
        None => builder.with_no_client_auth(),
        Some(issued) => builder.with_client_auth_cert(vec![issued.certificate.clone()], issued.key()).unwrap(),
    }
}

/// The settings of a broker that shows the pair in these files.
pub(crate) fn settings([cert, key]: &[String; 2]) -> [(&'static str, &str); 3] {
    [("tls_listen", "127.0.0.1:0"), ("tls_cert", cert), ("tls_key", key)]
}

/// A broker with a certificate for [`NAME`].
pub(crate) fn broker(pki: &Pki, further: &[(&'static str, &str)]) -> Running {
    let files = pki.write("server", &pki.issue(&[NAME]));
    Running::with(&[&settings(&files), further].concat())
}

/// The number of handshakes that ended so.
#[track_caller]
pub(crate) fn handshakes(broker: &Running, version: &str, kind: &str, result: &str) -> f64 {
    let labels = format!("version=\"{version}\",kind=\"{kind}\",result=\"{result}\"");
    broker.metric(&format!("tickcast_tls_handshakes_total{{{labels}}}"))
}

pub(crate) struct Client {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    /// The most bytes that are sent in one record, if they are fewer than fit.
    pub(crate) record_bytes: Option<usize>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and completes the handshake.
    pub(crate) fn try_connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<Client> {
        Self::over(TcpStream::connect(address)?, config, name)
    }

    /// Completes the handshake over a socket.
    pub(crate) fn over(mut socket: TcpStream, config: &Arc<ClientConfig>, name: &str) -> io::Result<Client> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Client { stream: StreamOwned::new(connection, socket), record_bytes: None, buffer: Vec::new() })
    }

    #[track_caller]
    pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Client {
        Self::try_connect(address, config, NAME).unwrap_or_else(|error| panic!("no handshake: {error}"))
    }

    /// Connects, upgrades to WebSocket and reads `hello`.
    #[track_caller]
    pub(crate) fn websocket(address: SocketAddr, config: &Arc<ClientConfig>) -> Client {
        let mut client = Self::connect(address, config);
        client.upgrade();
        client
    }

    /// Upgrades to WebSocket and reads `hello`.
    #[track_caller]
    pub(crate) fn upgrade(&mut self) {
        let head = HANDSHAKE.join("\r\n");
        self.raw(format!("GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n").as_bytes());
        let answer = self.head();
        assert_eq!(answer.status, 101, "{answer:?}");
        self.expect("hello");
    }

    /// Reads the head of an answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Answer::parse(&self.buffer.drain(..at + 4).collect::<Vec<_>>());
            }
            assert!(self.fill().unwrap() > 0, "no answer: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    #[track_caller]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(self.record_bytes.unwrap_or(bytes.len()).max(1)) {
            self.stream.write_all(part).unwrap();
            self.stream.flush().unwrap();
        }
    }

    #[track_caller]
    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) {
        self.raw(&masked(first, payload));
    }

    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes());
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let len = self.stream.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    /// Returns the next message. Answers pings.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        loop {
            match take(&mut self.buffer) {
                Some(frame) if frame.opcode == TEXT => {
                    return Message::parse(String::from_utf8(frame.payload).unwrap());
                }
                Some(frame) if frame.opcode == PING => self.frame(FIN | PONG, &frame.payload),
                Some(frame) => assert_eq!(frame.opcode, PONG, "a message was expected, not {frame:?}"),
                None => assert!(self.fill().unwrap() > 0, "the end"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, op: &str) -> Message {
        let message = self.message();
        assert_eq!(message.op(), op, "{message:?}");
        message
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self, topic: &str) {
        self.say(&format!(r#"{{"op":"subscribe","topics":["{topic}"]}}"#));
        self.expect("subscribed");
    }

    /// Reads to the end of the stream. Returns the code of the close frame, if one came, and whether the broker said in TLS
    /// that this is the end: without that, the client could not tell it from a connection that somebody has cut.
    pub(crate) fn end(&mut self) -> (Option<u16>, bool) {
        let mut code = None;
        loop {
            while let Some(frame) = take(&mut self.buffer) {
                if frame.opcode == CLOSE {
                    code = frame.payload.get(..2).map(|code| u16::from_be_bytes(code.try_into().unwrap()));
                }
            }
            match self.fill() {
                Ok(0) => return (code, true),
                Ok(_) => {}
                Err(_) => return (code, false),
            }
        }
    }

    /// Reads to the end of the stream. Returns everything, and whether the broker said in TLS that this is the end.
    pub(crate) fn rest(&mut self) -> (String, bool) {
        let told = loop {
            match self.fill() {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        (String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned(), told)
    }

    /// Reads until this text has come.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        while !self.buffer.windows(text.len()).any(|window| window == text.as_bytes()) {
            assert!(self.fill().unwrap() > 0, "the end");
        }
    }

    /// Takes in ciphertext that was read from the socket before.
    #[track_caller]
    pub(crate) fn read_before(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.stream.conn.read_tls(&mut bytes).unwrap();
            self.stream.conn.process_new_packets().unwrap();
            let mut plain = [0; 16 * 1024];
            while let Ok(len @ 1..) = self.stream.conn.reader().read(&mut plain) {
                self.buffer.extend_from_slice(&plain[..len]);
            }
        }
    }

    /// Does something, and skips messages until one has this `data`.
    #[track_caller]
    pub(crate) fn skip_to_data(&mut self, data: &str, after: impl FnOnce()) {
        after();
        while self.message()["data"] != data {}
    }

    /// Sends a request, and returns the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str, body: &str) -> Answer {
        let len = body.len();
        let head = "Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json";
        self.raw(format!("{line} HTTP/1.1\r\n{head}\r\nContent-Length: {len}\r\n\r\n{body}").as_bytes());
        let (text, told) = self.rest();
        assert!(told, "the end was not told");
        Answer::parse(text.as_bytes())
    }
}

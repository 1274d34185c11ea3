//! A server on a free port, and a client that sends exactly the bytes that a test gives it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use broker::access::{AccessRules, Gate, HostName, Origin};
use broker::authentication::Authentication;
use broker::config;
use broker::http::{BodyBudget, Context, Peer, error_with_status, event_stream, handle};
use broker::quota::{AddressQuotas, IdentityQuotas, Users};
use broker::tokens::{Prepared, Tokens};
use broker_engine::{Engine, Limits, Now, Rates};
use broker_identity::Grants;
use broker_protocol::ErrorCode;
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::with_journal;
use crate::journal::Driven;

/// The bounds of the tests' servers: small, so that a test reaches them.
pub(crate) const MESSAGE_BYTES: u64 = 1000;
pub(crate) const NDJSON_BYTES_MAX: u64 = 10_000;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) context: Arc<Context>,
    _journal: Option<Driven>,
}

/// Starts a server whose clients are on loopback.
pub(crate) async fn start() -> Server {
    start_for("127.0.0.1", |_| {}).await
}

/// Starts a server whose requests seem to come from `remote`.
pub(crate) async fn start_for(remote: &str, change: impl FnOnce(&mut Context)) -> Server {
    start_all(remote, change, limits(), Vec::new()).await
}

/// Starts a server whose engine has other limits.
pub(crate) async fn start_with(change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = limits();
    change(&mut limits);
    start_all("127.0.0.1", |_| {}, limits, Vec::new()).await
}

/// Starts a server with a shard that never reads the feed.
pub(crate) async fn start_with_stuck_shard(feed_bytes_max: u64) -> Server {
    start_all("127.0.0.1", |_| {}, Limits { feed_bytes_max, ..limits() }, vec![Box::new(|| {})]).await
}

/// A configuration without keys, tokens or roles.
fn nobody_is_asked() -> Authentication {
    let config = config::resolve(&[], [], None).map(|loaded| loaded.config).ok().unwrap();
    let grants = Grants::new(Vec::new(), Vec::new()).unwrap();
    let prepared = Prepared::read(config.token_rules(), grants, config.token_sources()).unwrap();
    Authentication::new(Tokens::new(prepared, now, None), false)
}

/// Starts a server with all options.
pub(crate) async fn start_all(
    remote: &str,
    change: impl FnOnce(&mut Context),
    limits: Limits,
    notify: Vec<Box<dyn Fn() + Send + Sync>>,
) -> Server {
    let peer = Peer::new(remote.parse::<std::net::IpAddr>().unwrap());
    let (engine, journal) = if with_journal() {
        let (engine, journal) = Driven::start(limits, notify);
        (engine, Some(journal))
    } else {
        (Engine::new(limits, 7, notify), None)
    };
    let mut context = Context {
        engine: engine.clone(),
        now,
        access: Arc::new(Gate::new(AccessRules {
            origins: vec![Origin::parse("https://desk.example.com").unwrap()],
            hosts: vec![HostName::parse("feed.example.com").unwrap()],
            brokers: Vec::new(),
        })),
        authentication: Arc::new(nobody_is_asked()),
        message_bytes: MESSAGE_BYTES,
        ndjson_bytes_max: NDJSON_BYTES_MAX.into(),
        body_silence_ms: 10_000.into(),
        bodies: BodyBudget::new(16 << 20),
        reads: Arc::default(),
        publishes: Arc::default(),
        publishers: Mutex::new(engine.publishers()),
        audit: Arc::default(),
        admin_port: None,
        sys_topics_public: false,
        quotas: Arc::new(AddressQuotas::new(0, Rates::default(), Arc::default())),
        identity_quotas: Arc::new(IdentityQuotas::new(Users::new(Arc::default()), 0, Rates::default())),
    };
    change(&mut context);
    let context = Arc::new(context);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = context.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (context, peer) = (shared.clone(), Peer::new(peer.address));
            tokio::spawn(async move {
                let service = service_fn(|request| async {
                    let upgrade = |_, _| error_with_status(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadRequest, "test");
                    // The tests of the whole broker cover the stream itself.
                    let stream = |_, _| event_stream();
                    Ok::<_, Infallible>(handle(request, &peer, &context, upgrade, stream).await)
                });
                // Ends with an error if a test hangs up in the middle.
                tokio::select! {
                    _ = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(socket), service) => {}
                    () = peer.hang_up.notified() => {}
                }
            });
        }
    });
    Server { address, context, _journal: journal }
}

fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let wall_us = u64::try_from(wall.as_micros()).unwrap();
    Now { mono_us: wall_us, wall_us }
}

pub(crate) fn limits() -> Limits {
    // The tests publish a few thousand topics and updates.
    Limits { message_bytes: MESSAGE_BYTES, subscriptions: 10, ..Limits::default() }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Returns the code of an error body, which every error has.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        json["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    /// Sends bytes, and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        read_answer(&mut socket).await
    }

    /// Sends a request with these header lines besides the usual ones.
    pub(crate) async fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut bytes = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            bytes.push_str(&format!("Host: {}\r\n", self.address));
        }
        for header in headers {
            bytes.push_str(header);
            bytes.push_str("\r\n");
        }
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        self.raw(&bytes).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(&format!("POST {path}"), &["Content-Type: application/json"], body.as_bytes()).await
    }
}

/// Reads to the end of the connection, and parses the answer.
pub(crate) async fn read_answer(socket: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    parse(&String::from_utf8(bytes).unwrap())
}

/// Parses an answer.
pub(crate) fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

/// Decodes a body in chunks (RFC 9112 §7.1), which has to be whole.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).unwrap();
        let (chunk, rest) = rest.split_at(size);
        body = rest.strip_prefix("\r\n").expect("the end of a chunk");
        if size == 0 {
            assert_eq!(body, "");
            return whole;
        }
        whole.push_str(chunk);
    }
}

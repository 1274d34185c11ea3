//! A server on a free port, and a client that says exactly the bytes it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::access::{AccessRules, HostName, Origin};
use broker::http::{BodyBudget, Context, error_with_status, event_stream, handle};
use broker_engine::{Engine, Limits, Now};
use broker_protocol::ErrorCode;
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the tests' servers take: small, so that a test reaches it.
pub(crate) const MESSAGE_BYTES: u64 = 1000;
pub(crate) const NDJSON_BYTES_MAX: u64 = 10_000;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) context: Arc<Context>,
}

/// A server as on loopback.
pub(crate) async fn start() -> Server {
    start_for("127.0.0.1", |_| {}).await
}

/// A server that believes that its requests come from `remote`.
pub(crate) async fn start_for(remote: &str, change: impl FnOnce(&mut Context)) -> Server {
    let remote = remote.parse().unwrap();
    let mut context = Context {
        engine: Engine::new(limits(), 7, Vec::new()),
        now,
        access: AccessRules {
            origins: vec![Origin::parse("https://desk.example.com").unwrap()],
            hosts: vec![HostName::parse("feed.example.com").unwrap()],
        },
        message_bytes: MESSAGE_BYTES,
        ndjson_bytes_max: NDJSON_BYTES_MAX,
        body_grace: Duration::from_secs(10),
        bodies: BodyBudget::new(100_000),
        sys_topics_public: false,
        subscriptions: 10,
    };
    change(&mut context);
    let context = Arc::new(context);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = context.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let context = shared.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| async {
                    let upgrade = |_| error_with_status(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadRequest, "test");
                    // What comes of it is for the whole broker's tests.
                    let stream = |_| event_stream();
                    Ok::<_, Infallible>(handle(request, remote, &context, upgrade, stream).await)
                });
                // Ends with an error where a test hangs up in the middle.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    Server { address, context }
}

fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let wall_us = u64::try_from(wall.as_micros()).unwrap();
    Now { mono_us: wall_us, wall_us }
}

fn limits() -> Limits {
    Limits::default()
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

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The code of an error body, which every error has.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        json["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    /// Sends bytes, and takes what comes until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        read_answer(&mut socket).await
    }

    /// A request with these header lines besides the usual ones.
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

/// Reads to the end of the connection and takes the answer apart.
pub(crate) async fn read_answer(socket: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

//! The scripted broker. Every wait has a limit, so a test that would hang fails and reports where.

use std::future::Future;
use std::time::Duration;

use base64::Engine as _;
use broker_client::{Backoff, Client, ConnectionEvent, Options, Subscription};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use serde_json::Value;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const HELLO: &str = r#"{"op":"hello","protocol":"tickcast.v1","server":"script/1","session":"s1","heartbeat_ms":25000,"features":[],"limits":{"subscriptions":1024,"message_bytes":65536,"image_bytes":1048576,"behind_bytes":65536,"retain_updates":1024,"stall_ms":60000}}"#;

/// `hello` with some of its numbers changed.
pub(crate) fn hello(changes: &[(&str, u64)]) -> String {
    let mut hello: Value = serde_json::from_str(HELLO).unwrap();
    for (name, number) in changes {
        let field = if *name == "heartbeat_ms" { &mut hello[*name] } else { &mut hello["limits"][*name] };
        *field = (*number).into();
    }
    hello.to_string()
}

/// Long enough for a loaded machine, and short enough to wait for once.
const LIMIT: Duration = Duration::from_secs(20);

#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let at = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened for {LIMIT:?} at {at}"),
        }
    }
}

/// The event with which a client ends.
pub(crate) async fn last_of(client: &Client) -> Option<ConnectionEvent> {
    let (mut events, mut last) = (client.events(), None);
    while let Some(event) = soon(events.next()).await {
        last = Some(event);
    }
    last
}

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn bind() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
        Server { listener, url }
    }

    pub(crate) fn options(&self) -> Options {
        Options { backoff: Backoff { first_ms: 1, max_ms: 20, jitter: 0.5 }, ..Options::new(&self.url) }
    }

    /// Options for a client of these brokers, which tries them in this order and looks at the others at once.
    pub(crate) fn options_of(servers: &[&Server]) -> Options {
        let options = Options::any_of(servers.iter().map(|server| &server.url));
        Options { shuffle: false, look_within_ms: 0, backoff: servers[0].options().backoff, ..options }
    }

    /// Checks that no connection waits to be accepted: the next one is that of this call.
    pub(crate) async fn expect_no_connection(&self) {
        let address = self.listener.local_addr().unwrap();
        let (ours, (_, from)) =
            tokio::join!(TcpStream::connect(address), async { self.listener.accept().await.unwrap() });
        assert_eq!(from, ours.unwrap().local_addr().unwrap(), "a connection came");
    }

    /// An address at which nothing listens.
    pub(crate) async fn nowhere() -> String {
        Server::bind().await.url
    }

    /// A client and the broker's end of its first connection.
    pub(crate) async fn connect(&self, options: Options, hello: &str) -> (Client, Peer) {
        let (client, peer) = soon(async { tokio::join!(Client::connect_with(options), self.accept(hello)) }).await;
        (client.unwrap(), peer)
    }

    pub(crate) async fn connected(&self) -> (Client, Peer) {
        self.connect(self.options(), HELLO).await
    }

    pub(crate) async fn socket(&self) -> TcpStream {
        soon(self.listener.accept()).await.unwrap().0
    }

    pub(crate) async fn accept(&self, hello: &str) -> Peer {
        let mut peer = Peer::upgrade(self.socket().await).await;
        peer.send(hello).await;
        peer
    }
}

/// Reads a request's head.
pub(crate) async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(socket.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn accept_of(head: &str) -> String {
    let key = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")))
        .unwrap()
        .1;
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// The broker's end of a connection.
pub(crate) struct Peer {
    socket: WebSocket<TcpStream>,
}

impl Peer {
    pub(crate) async fn upgrade(mut socket: TcpStream) -> Peer {
        let head = head(&mut socket).await;
        assert!(head.starts_with("GET /v1/ws HTTP/1.1\r\n"), "{head}");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: tickcast.v1.json\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept_of(&head)
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        let mut socket = WebSocket::after_handshake(socket, Role::Server);
        socket.set_auto_close(false);
        socket.set_auto_pong(false);
        Peer { socket }
    }

    pub(crate) async fn send(&mut self, json: &str) {
        self.frame(Frame::text(Payload::Borrowed(json.as_bytes()))).await;
    }

    pub(crate) async fn frame(&mut self, frame: Frame<'_>) {
        // The library ties the frame's lifetime to the call's result; an owned copy avoids that.
        let frame = Frame::new(frame.fin, frame.opcode, None, Payload::Owned(frame.payload.to_vec()));
        soon(self.socket.write_frame(frame)).await.unwrap();
    }

    /// Sends a frame that the client may not read any more.
    pub(crate) async fn try_frame(&mut self, frame: Frame<'static>) -> Result<(), fastwebsockets::WebSocketError> {
        soon(self.socket.write_frame(frame)).await
    }

    /// Sends bytes that need not be a frame.
    pub(crate) async fn raw(self, bytes: &[u8]) -> TcpStream {
        let mut socket = self.socket.into_inner();
        socket.write_all(bytes).await.unwrap();
        socket
    }

    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> impl Future<Output = Frame<'static>> {
        let read = self.socket.read_frame();
        let soon = soon(read);
        async move { soon.await.unwrap() }
    }

    /// Returns the next message of the client.
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Value> {
        let frame = self.next_frame();
        async move {
            let frame = frame.await;
            assert_eq!(frame.opcode, OpCode::Text, "{:?}", String::from_utf8_lossy(&frame.payload));
            serde_json::from_slice(&frame.payload).unwrap()
        }
    }

    /// Checks that this is the next message.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        let next = self.next();
        let expected: Value = serde_json::from_str(expected).unwrap();
        async move { assert_eq!(next.await, expected, "at {at}") }
    }

    /// Returns the code of the next close frame.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let frame = self.next_frame().await;
            if frame.opcode == OpCode::Close {
                return u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
            }
        }
    }

    /// Closes, and waits for the client's answer.
    pub(crate) async fn close(mut self, code: u16) {
        self.frame(Frame::close(code, b"as scripted")).await;
        assert_eq!(self.close_code().await, code);
    }

    /// Drops the connection without a close frame.
    pub(crate) fn vanish(self) {
        drop(self);
    }

    /// Answers a subscribe for one topic that starts live after `seq`.
    pub(crate) async fn subscribe_live(&mut self, topic: &str, kind: &str, seq: u64) {
        let request = self.next().await;
        assert_eq!((&request["op"], &request["topics"][0]), (&"subscribe".into(), &topic.into()));
        self.subscribed(&request["id"], &[start(topic, kind, "k1", seq, "live")]).await;
    }

    pub(crate) async fn subscribed(&mut self, id: &Value, topics: &[String]) {
        let topics = topics.join(",");
        self.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[{topics}],"patterns":[],"errors":[]}}"#)).await;
    }

    /// Answers the next message, which has to be a ping.
    pub(crate) async fn pong(&mut self) {
        let ping = self.next().await;
        assert_eq!(ping["op"], "ping", "{ping}");
        self.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, ping["id"])).await;
    }

    pub(crate) async fn update(&mut self, topic: &str, seq: u64) {
        self.send(&format!(r#"{{"op":"update","topic":"{topic}","seq":{seq},"ts":1,"data":{seq}}}"#)).await;
    }
}

/// A topic's row in `subscribed`.
pub(crate) fn start(topic: &str, kind: &str, epoch: &str, seq: u64, start: &str) -> String {
    format!(
        r#"{{"topic":"{topic}","kind":"{kind}","epoch":"{epoch}","seq":{seq},"oldest":1,"start":"{start}","conflate_ms":0}}"#
    )
}

/// A row as a message of its own.
pub(crate) fn topic(row: &str) -> String {
    format!(r#"{{"op":"topic",{}"#, &row[1..])
}

/// A client subscribed to one live `event` topic.
pub(crate) async fn subscribed(server: &Server, options: Options) -> (Client, Peer, Subscription) {
    let (client, mut peer) = server.connect(options, HELLO).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    let mut subscription = subscription.unwrap();
    assert!(matches!(soon(subscription.next()).await, Some(broker_client::Event::Topic(_))));
    (client, peer, subscription)
}

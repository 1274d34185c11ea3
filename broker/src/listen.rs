//! Listening: TCP connections become HTTP requests, and some of those become WebSocket connections of a shard.

mod http_socket;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broker_engine::ShardStats;
use broker_protocol::codes::{CloseReason, ErrorCode};
use broker_protocol::frame;
use broker_protocol::request::Refusal;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::http_socket::HttpSocket;
use crate::admission::{Admission, Admitted};
use crate::config::Config;
use crate::http::{self, Context, EventsRequest, Observe, Peer, Reply};
use crate::metrics::Metrics;
use crate::shard::{Arrival, Command, Handle};
use crate::websocket::handshake::{self, SUBPROTOCOL};

/// Requests being answered beside the WebSocket connections: so many more TCP connections than `connections_max`.
const REQUESTS_MAX: usize = 1024;
/// Each holds room for the socket that it will accept next.
const LISTENERS: usize = 2;
/// After a failed accept (no file left, say) the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that the kernel holds for us until we accept them.
const BACKLOG: i32 = 4096;
/// What one closing connection may take to be told that there is no place for it.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What both listeners share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The client listener's address, its port as the system gave it.
    pub(crate) clients_at: SocketAddr,
    pub(crate) context: Context,
    pub(crate) shards: Vec<Handle>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    /// Set once at shutdown: nobody is taken on any more.
    pub(crate) draining: std::sync::atomic::AtomicBool,
    pub(crate) sockets: Arc<Semaphore>,
}

/// Room for accepted sockets while they speak HTTP.
pub(crate) fn sockets(config: &Config) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(sockets_max(config)))
}

fn sockets_max(config: &Config) -> usize {
    (config.connections_max as usize).saturating_add(REQUESTS_MAX).min(Semaphore::MAX_PERMITS)
}

/// Binds a listener.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts for ever, each connection in a task of its own while it speaks HTTP.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    serve: impl Fn(TcpStream, SocketAddr, Arc<Shared>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // Beyond the bound connections wait in the kernel's backlog until others end.
        let Ok(place) = shared.sockets.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let serving = serve(stream, remote, shared.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection of the client listener, up to its upgrade or its end.
pub(crate) async fn serve_client(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>) {
    tune(&stream, &shared.config);
    // What hyper needs for a connection, some 18 KB, is made when there is something to read, and is gone again when this
    // task is left: no two handshakes have theirs at the same time. (`readable` says so too early now and then.)
    let handshake = Duration::from_millis(shared.config.handshake_ms.into());
    if !matches!(tokio::time::timeout(handshake, stream.peek(&mut [0; 1])).await, Ok(Ok(_))) {
        tracing::debug!(%remote, "a connection on which nothing was asked");
        return;
    }
    Box::pin(serve_requests(stream, remote, shared)).await;
}

/// Answers what is asked on a connection, up to its end, or to its upgrade and beyond.
async fn serve_requests(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>) {
    let becomes: Arc<Mutex<Option<Becomes>>> = Arc::default();
    let for_requests = becomes.clone();
    let for_service = shared.clone();
    let socket = HttpSocket::new(stream, stall(&shared.config));
    let flow = socket.flow();
    let peer = Peer::new(remote.ip());
    let hang_up = peer.hang_up.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, becomes) = (for_service.clone(), for_requests.clone());
        let (flow, peer) = (flow.clone(), peer.clone());
        // In a box, because hyper keeps it where it may be moved as long as the socket can be taken out.
        Box::pin(async move {
            if !flow.take_arrived() {
                // It came together with the one before. Whoever sends hundreds at once has them done one by one.
                shared.context.reads.turn().await;
            }
            let become_one = |what| *becomes.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
            let upgrade = |request: Request<Incoming>| upgrade(request, become_one, &shared);
            let stream = |request: EventsRequest| stream_events(request, remote, become_one, &shared);
            let reply = http::handle(request, &peer, &shared.context, upgrade, stream).await;
            if let Some(Becomes::Events { head, .. }) = becomes.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            {
                // A stream has no length, and hyper would send it in chunks: so hyper does not hear of it.
                *head = http::head_bytes(&reply);
            } else {
                return Ok(reply);
            }
            flow.flushed().await;
            Err(HandedOver)
        })
    });
    let mut connection = connection(&shared.config).serve_connection(TokioIo::new(socket), service);
    let result = tokio::select! {
        result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => result,
        () = hang_up.notified() => return,
    };
    let becomes = becomes.lock().unwrap_or_else(PoisonError::into_inner).take();
    let result = match (result, becomes) {
        // Here and not in a task of its own, so that what hyper leaves is let go of before the next handshake is read.
        (result, Some(becomes)) if result.is_ok() || becomes.is_events() => {
            let parts = connection.into_parts();
            Box::pin(hand_over(parts.io.into_inner(), parts.read_buf.to_vec(), becomes, remote, &shared)).await
        }
        (Ok(()), _) => tokio::select! {
            result = connection => result.map_err(Into::into),
            () = hang_up.notified() => return,
        },
        (Err(error), _) => Err(error.into()),
    };
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "an HTTP connection ended early");
    }
}

/// What an HTTP connection is from its last answer on.
enum Becomes {
    WebSocket,
    Events {
        request: EventsRequest,
        admitted: Admitted,
        /// The head of the answer, which is still to be written.
        head: Vec<u8>,
    },
}

impl Becomes {
    fn is_events(&self) -> bool {
        matches!(self, Becomes::Events { .. })
    }
}

/// How the service of a connection says that HTTP is over.
#[derive(Debug)]
struct HandedOver;

impl std::fmt::Display for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is a stream of events from now on")
    }
}

impl std::error::Error for HandedOver {}

/// A connection of the admin listener.
pub(crate) async fn serve_admin(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>) {
    let for_service = shared.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = for_service.clone();
        async move {
            let reply = http::handle_admin(request, &shared.context.access, &*shared).await;
            Ok::<Reply, std::convert::Infallible>(reply)
        }
    });
    let socket = TokioIo::new(HttpSocket::new(stream, stall(&shared.config)));
    let result = connection(&shared.config).serve_connection(socket, service).await;
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "an HTTP connection to the admin listener ended early");
    }
}

fn connection(config: &Config) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.handshake_ms.into()))
        .max_buf_size(config.header_bytes_max as usize)
        // A client that has said all it wants to may say so, and is answered all the same.
        .half_close(true);
    builder
}

fn stall(config: &Config) -> Duration {
    Duration::from_millis(config.stall_ms.into())
}

fn tune(stream: &TcpStream, config: &Config) {
    let socket = SockRef::from(stream);
    let mut result = socket.set_tcp_nodelay(true);
    if config.notsent_lowat_bytes > 0 {
        result = result.and(socket.set_tcp_notsent_lowat(config.notsent_lowat_bytes));
    }
    if config.send_buffer_bytes > 0 {
        result = result.and(socket.set_send_buffer_size(config.send_buffer_bytes as usize));
    }
    if let Err(error) = result {
        tracing::debug!(%error, "a socket option was refused");
    }
}

fn going_away(shared: &Shared) -> Option<Reply> {
    shared.draining.load(Ordering::Acquire).then(|| refuse(ErrorCode::Unavailable, "the broker is going away"))
}

fn refuse(code: ErrorCode, message: &str) -> Reply {
    http::error(&Refusal { code, message: message.into() })
}

fn upgrade(mut request: Request<Incoming>, become_one: impl FnOnce(Becomes), shared: &Shared) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match handshake::upgrade(&mut request, Some(SUBPROTOCOL)) {
        Err(refusal) => *refusal,
        // What hyper would make of it is not waited for: the socket is taken out of its connection.
        Ok((reply, _)) => {
            become_one(Becomes::WebSocket);
            reply
        }
    }
}

fn stream_events(
    request: EventsRequest,
    remote: SocketAddr,
    become_one: impl FnOnce(Becomes),
    shared: &Shared,
) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match shared.admission.admit(remote) {
        Err(limit) => refuse(ErrorCode::Limit, limit),
        Ok(admitted) => {
            become_one(Becomes::Events { request, admitted, head: Vec::new() });
            http::event_stream()
        }
    }
}

/// Gives a connection that speaks HTTP no longer to the shard with the fewest connections.
async fn hand_over(
    mut socket: HttpSocket,
    early: Vec<u8>,
    becomes: Becomes,
    remote: SocketAddr,
    shared: &Shared,
) -> anyhow::Result<()> {
    if let Becomes::Events { head, .. } = &becomes {
        socket.write_all(head).await?;
    }
    socket.flush().await?;
    let mut stream = socket.into_stream();
    let (admitted, events) = match becomes {
        Becomes::Events { request, admitted, .. } => (admitted, Some(request)),
        Becomes::WebSocket => match shared.admission.admit(remote) {
            Ok(admitted) => (admitted, None),
            Err(limit) => {
                // However many are refused at once, they hold their places among the sockets that there may be.
                let mut close = Vec::new();
                frame::push_close(&mut close, CloseReason::LimitExceeded.code(), limit);
                tokio::time::timeout(REFUSAL_TIME, async {
                    stream.write_all(&close).await?;
                    stream.shutdown().await?;
                    // Until the client hangs up: a reset would take the close frame with it.
                    let mut rest = [0; 1024];
                    while tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await? > 0 {}
                    io::Result::Ok(())
                })
                .await
                .ok();
                return Ok(());
            }
        },
    };
    let reserved = shared.context.sys_topics_public || remote.ip().to_canonical().is_loopback();
    let arrival = Arrival { stream: stream.into_std()?, early, admitted, reserved, events };
    let least = shared.shards.iter().min_by_key(|shard| shard.load.load(Ordering::Relaxed));
    if let Some(shard) = least {
        shard.load.fetch_add(1, Ordering::Relaxed);
        shard.send(Command::Connect(Box::new(arrival))).await;
    }
    Ok(())
}

impl Observe for Shared {
    fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("the broker is going away".to_owned());
        }
        Ok(())
    }

    async fn metrics(&self) -> String {
        // One of them waits for the next to be accepted, on each listener.
        let free = self.sockets.available_permits() + LISTENERS;
        self.metrics.text(sockets_max(&self.config).saturating_sub(free))
    }

    fn clients_at(&self) -> SocketAddr {
        self.clients_at
    }

    async fn connections(&self, slowest: usize) -> Vec<http::ConnectionRow> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            let (answer, told) = tokio::sync::oneshot::channel();
            shard.send(Command::Slowest(slowest, answer)).await;
            rows.extend(told.await.unwrap_or_default());
        }
        rows
    }
}

/// The counters of all shards.
pub(crate) fn stats(shards: &[Handle]) -> Vec<Arc<ShardStats>> {
    shards.iter().map(|shard| shard.stats.clone()).collect()
}

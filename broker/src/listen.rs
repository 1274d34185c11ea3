//! Listening: TCP connections become HTTP requests, and some of those become WebSocket connections of a shard.
//!
//! The client listener and all that it serves run on the main thread; the admin listener has a thread of its own, and
//! descriptors that nobody else gets.

pub(crate) mod admin;
mod hand_over;
mod handshake;
mod http_socket;
mod observe;
mod proxied;
mod reserve;
mod serve;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use broker_engine::ShardStats;
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub(crate) use self::handshake::Handshakes;
use crate::address::{Block, Proxies};
use crate::admission::Admission;
use crate::config::{Config, Current};
use crate::http::Context;
use crate::http::sockets::HttpSockets;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::reload::Reloads;
use crate::shard::Handle;
use crate::stall::kernel_patience;

/// The pause after a failed accept, for instance because no open file is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most connections accepted in a row before other tasks on this thread have their turn.
const ACCEPTS_PER_TURN: usize = 16;
/// The most connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;

/// What both listeners share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Current>,
    /// The client listener's address, its port as the system gave it.
    pub(crate) clients_at: SocketAddr,
    /// The port of the client listener with TLS.
    pub(crate) tls_port: Option<u16>,
    pub(crate) context: Arc<Context>,
    pub(crate) shards: Arc<Vec<Handle>>,
    pub(crate) reloads: Reloads,
    pub(crate) admission: Arc<Admission>,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: Metrics,
    /// Set once at shutdown: no connection is admitted any more, and idle HTTP connections are closed.
    pub(crate) draining: watch::Sender<bool>,
    /// The sockets of the client listener that speak HTTP.
    pub(crate) clients: Arc<HttpSockets>,
    /// The sockets of the admin listener.
    pub(crate) admins: Arc<HttpSockets>,
    /// The journal, if there is one.
    pub(crate) journal: Option<Arc<Journal>>,
    /// Set when clients are listened for.
    pub(crate) listens: AtomicBool,
    /// Set when threads may end.
    pub(crate) ending: Arc<AtomicBool>,
}

impl Shared {
    /// Returns whether the broker is going away.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Reserves an address: nobody can connect yet.
pub(crate) fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Lets the kernel take connections that nobody accepts yet.
pub(crate) fn take_early(reserved: &Socket) -> io::Result<()> {
    reserved.listen(BACKLOG)
}

/// Listens on an address that is reserved.
pub(crate) fn listen(reserved: Socket) -> io::Result<TcpListener> {
    reserved.listen(BACKLOG)?;
    Ok(reserved.into())
}

/// Returns a reserved address, its port as the system gave it.
pub(crate) fn address_of(reserved: &Socket) -> io::Result<SocketAddr> {
    let unknown = || io::Error::other("the socket has no address of the Internet");
    reserved.local_addr()?.as_socket().ok_or_else(unknown)
}

/// Returns advice for an address on which the broker cannot listen.
pub(crate) fn bind_hint(error: &io::Error, setting: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            ": another program listens there, perhaps another broker; stop it, or choose another port with --{setting} \
             (port 0 takes a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(": this machine has no such address; choose another with --{setting}")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                ": this user may not listen on that port (those below 1024 are reserved); choose another with --{setting}"
            )
        }
        _ => String::new(),
    }
}

/// Accepts connections for ever, with TLS if the listener has `handshakes`. Each has a task of its own while it speaks
/// HTTP.
pub(crate) async fn accept_clients(
    listener: tokio::net::TcpListener,
    handshakes: Option<Arc<Handshakes>>,
    shared: Arc<Shared>,
) {
    let mut accepted = 0;
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // For whom a proxy opened the socket is known later.
                let client = (!shared.proxies.trusts(remote.ip())).then(|| Block::of(remote.ip()));
                let place = shared.clients.enter(client).await;
                tokio::spawn(serve::serve_client(stream, remote, place, handshakes.clone(), shared.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        accepted += 1;
        if accepted % ACCEPTS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn http(config: &Config) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.handshake_ms.into()))
        .max_buf_size(config.header_bytes_max as usize)
        // A client that half-closes after its request still gets its answer.
        .half_close(true);
    builder
}

fn stall(config: &Config) -> Duration {
    Duration::from_millis(config.stall_ms.into())
}

/// Sets the options of a socket that was accepted.
fn tune(stream: &TcpStream, config: &Config) {
    let socket = SockRef::from(stream);
    let mut result = socket.set_tcp_nodelay(true);
    // The kernel gives up a client that acknowledges or takes nothing, some seconds after the broker would. A WebSocket
    // connection removes this at its upgrade: pings find out whether its client is there.
    result = result.and(socket.set_tcp_user_timeout(Some(kernel_patience(stall(config)))));
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

/// Returns the counters of all shards.
pub(crate) fn stats(shards: &[Handle]) -> Vec<Arc<ShardStats>> {
    shards.iter().map(|shard| shard.stats.clone()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config;

    use super::*;

    #[tokio::test]
    async fn the_kernel_gives_up_a_client_that_acknowledges_nothing() {
        let flags = [("stall_ms", "7000".into())];
        let config = config::resolve(&flags, [], None).map(|loaded| loaded.config).ok().unwrap();
        let listener =
            tokio::net::TcpListener::from_std(listen(reserve("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap())
                .unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (stream, _) = accepted.unwrap();
        tune(&stream, &config);
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(Duration::from_secs(10)));
        drop(client);
    }

    #[test]
    fn the_hint_says_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = reserve(taken.local_addr().unwrap()).unwrap_err();
        let hint = bind_hint(&error, "listen");
        assert!(hint.contains("another program") && hint.contains("--listen"), "{hint}");
        // An address for documentation (RFC 5737), which no machine has.
        let error = reserve("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(bind_hint(&error, "admin-listen").contains("no such address"), "{error}");
    }
}

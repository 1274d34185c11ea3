//! A connection of the client listener, up to its upgrade or its end.
//!
//! hyper reads the requests and writes the answers: HTTP/1.1 from untrusted clients has too many special cases (chunks,
//! pipelining, folded headers) for a parser of our own.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::hand_over::hand_over;
use super::handshake::Handshakes;
use super::http_socket::HttpSocket;
use super::wire::Wire;
use super::{Shared, http, proxied, stall, tune};
use crate::address::ClientAddress;
use crate::admission::Admitted;
use crate::authentication::{Identified, Who};
use crate::http::handshake::{self, SUBPROTOCOL};
use crate::http::sockets::Place;
use crate::http::{Peer, Reply, error, error_bytes, event_stream, handle, head_bytes};
use crate::quota::Seat;
use crate::shard::SseRequest;
use crate::sync::lock;
use crate::tls;

/// What an HTTP connection becomes after its last answer.
pub(super) enum Next {
    WebSocket {
        address: ClientAddress,
        client: Identified,
    },
    Sse {
        request: SseRequest,
        admitted: Admitted,
        client: Identified,
        seat: Option<Seat>,
        /// The head of the answer, which is not written yet.
        head: Vec<u8>,
    },
}

/// Keeps the head of the reply if it begins a stream. Returns whether it does.
fn begins_stream(next: &mut Option<Next>, reply: &Reply) -> bool {
    match next {
        Some(Next::Sse { head, .. }) => {
            *head = head_bytes(reply);
            true
        }
        _ => false,
    }
}

/// The error with which a connection's service ends HTTP.
#[derive(Debug)]
struct HandedOver;

impl std::fmt::Display for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is now a stream of Server-Sent Events")
    }
}

impl std::error::Error for HandedOver {}

/// Serves a connection that was just accepted: with TLS if it comes with `handshakes`.
pub(super) async fn serve_client(
    stream: TcpStream,
    remote: SocketAddr,
    place: Place,
    handshakes: Option<Arc<Handshakes>>,
    shared: Arc<Shared>,
) {
    tune(&stream, &shared.config.get());
    // hyper's memory for a connection, some 18 KB, is allocated when there is something to read, and freed before this
    // task yields: no two handshakes hold theirs at the same time. (`readable` sometimes reports too early.)
    let patience = Duration::from_millis(shared.config.get().handshake_ms.into());
    let mut draining = shared.draining.subscribe();
    let address = tokio::select! {
        asked = tokio::time::timeout(patience, asked(&stream, remote, &place, &shared)) => match asked {
            Ok(Ok(address)) => address,
            _ => {
                tracing::debug!(%remote, "a connection ended without a request");
                return;
            }
        },
        () = place.hang_up().notified() => return refuse_at_once(&mut Wire::Plain(stream), &shared),
        _ = draining.wait_for(|draining| *draining) => return,
    };
    let (address, first) = address;
    let speaks_tls = first == tls::HANDSHAKE;
    let wire = match handshakes {
        None => {
            if speaks_tls {
                tracing::warn!(%remote, "a client speaks TLS to the plain listener: its address is tls_listen");
            }
            Wire::Plain(stream)
        }
        Some(_) if !speaks_tls => return refuse_plain(stream, place, &shared).await,
        Some(handshakes) => tokio::select! {
            shaken = Box::pin(handshakes.shake(stream, patience)) => match shaken {
                Ok(wire) => wire,
                Err(error) => return tracing::debug!(%remote, %error, "a TLS handshake failed"),
            },
            // It could not read an answer yet.
            () = place.hang_up().notified() => return,
            _ = draining.wait_for(|draining| *draining) => return,
        },
    };
    Box::pin(serve_requests(wire, address, place, shared)).await;
}

/// Waits for the first byte of a request. Returns the client's address, and the byte.
async fn asked(
    stream: &TcpStream,
    remote: SocketAddr,
    place: &Place,
    shared: &Shared,
) -> io::Result<(ClientAddress, u8)> {
    let address = match shared.proxies.needs_header() {
        true => proxied::address(stream, remote, place, shared).await?,
        false => shared.proxies.direct(remote),
    };
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok((address, first[0]))
}

/// Tells a client that it should speak TLS.
async fn refuse_plain(stream: TcpStream, place: Place, shared: &Shared) {
    let message = "this port speaks TLS: use https:// or wss:// in the address";
    let answer = error_bytes(&Refusal { code: ErrorCode::BadRequest, message: message.into() });
    let place = Arc::new(place);
    let mut socket = HttpSocket::new(Wire::Plain(stream), stall(&shared.config.get()), place.clone());
    let told = async {
        socket.write_all(&answer).await?;
        socket.shutdown().await
    };
    tokio::select! {
        // Fails if the client is gone, and then nobody needs to be told.
        _ = told => {}
        () = place.hang_up().notified() => {}
    }
}

/// Answers a connection's requests up to its end, or up to its upgrade, and then hands it over.
async fn serve_requests(wire: Wire, connection_address: ClientAddress, place: Place, shared: Arc<Shared>) {
    let certificate = wire.identity();
    let next: Arc<Mutex<Option<Next>>> = Arc::default();
    let place = Arc::new(place);
    let socket = HttpSocket::new(wire, stall(&shared.config.get()), place.clone());
    let state = socket.state();
    let service = service_fn({
        let (shared, next, state, place) = (shared.clone(), next.clone(), state.clone(), place.clone());
        move |request: Request<Incoming>| {
            let (shared, next, state, place) = (shared.clone(), next.clone(), state.clone(), place.clone());
            let certificate = certificate.clone();
            // Boxed to be `Unpin`, which hyper requires where the socket can be taken out of the connection.
            Box::pin(async move {
                state.begin();
                let address = shared.proxies.of_request(connection_address, request.headers());
                if !shared.proxies.trusts(address.ip) {
                    place.is_held_by(address.block());
                }
                if !state.take_arrived() {
                    // It arrived together with the one before. If a client sends hundreds at once, each waits its turn.
                    shared.context.reads.turn().await;
                }
                let set_next = |what| *lock(&next) = Some(what);
                let upgrade = |request: Request<Incoming>, client| upgrade(request, address, client, set_next, &shared);
                let stream = |request: SseRequest, client| stream_sse(request, address, client, set_next, &shared);
                let peer = Peer { address, certificate, hang_up: place.hang_up().clone() };
                let reply = handle(request, &peer, &shared.context, upgrade, stream).await;
                state.end();
                if !begins_stream(&mut lock(&next), &reply) {
                    return Ok(reply);
                }
                // A stream has no length, and hyper would send it in chunks. So hyper does not write it.
                state.flushed().await;
                Err(HandedOver)
            })
        }
    });
    let mut connection = http(&shared.config.get()).serve_connection(TokioIo::new(socket), service);
    let mut draining = shared.draining.subscribe();
    let (mut is_draining, mut shut_down) = (false, false);
    let result = loop {
        tokio::select! {
            result = poll_fn(|cx| match shut_down {
                false => connection.poll_without_shutdown(cx),
                true => std::pin::Pin::new(&mut connection).poll(cx),
            }) => match result {
                // A connection that is handed over stays open; any other is shut down.
                Ok(()) if !shut_down && lock(&next).is_none() => shut_down = true,
                result => break result,
            },
            () = place.hang_up().notified() => {
                let mut wire = connection.into_parts().io.into_inner().into_wire();
                // A client that waits for no answer gets none, and an error must not be written into another answer.
                if !state.is_idle() && !state.is_unflushed() {
                    refuse_at_once(&mut wire, &shared);
                }
                wire.say_goodbye();
                return;
            }
            _ = draining.wait_for(|draining| *draining), if !is_draining => {
                is_draining = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let next = lock(&next).take();
    let result = match (result, next) {
        // Not in a task of its own, so that hyper's memory is freed before the next handshake is read.
        (result, Some(next)) if result.is_ok() || matches!(next, Next::Sse { .. }) => {
            let parts = connection.into_parts();
            let given = hand_over(parts.io.into_inner(), parts.read_buf.to_vec(), next, &place, &shared);
            tokio::select! {
                result = Box::pin(given) => result,
                () = place.hang_up().notified() => return,
            }
        }
        (result, _) => {
            if result.is_err() {
                // hyper has answered what it cannot read, and does not shut down.
                connection.into_parts().io.into_inner().into_wire().say_goodbye();
            }
            result.map_err(Into::into)
        }
    };
    if let Err(error) = result {
        tracing::debug!(remote = %connection_address, %error, "an HTTP connection ended early");
    }
}

/// Sends a client whose connection ends the reason, as much of it as the kernel takes at once: it is evicted, unless the
/// broker itself ends.
fn refuse_at_once(wire: &mut Wire, shared: &Shared) {
    let message = match shared.is_draining() {
        true => GOING_AWAY,
        false => "the broker holds as many connections as http_connections_max allows, and this one waited longest",
    };
    wire.try_send(&error_bytes(&Refusal { code: ErrorCode::Unavailable, message: message.into() }));
}

const GOING_AWAY: &str = "the broker is going away";

fn going_away(shared: &Shared) -> Option<Reply> {
    shared.is_draining().then(|| refuse(ErrorCode::Unavailable, GOING_AWAY))
}

fn refuse(code: ErrorCode, message: &str) -> Reply {
    error(&Refusal { code, message: message.into() })
}

fn upgrade(
    mut request: Request<Incoming>,
    address: ClientAddress,
    client: Identified,
    set_next: impl FnOnce(Next),
    shared: &Shared,
) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match handshake::upgrade(&mut request, Some(SUBPROTOCOL)) {
        Err(refusal) => *refusal,
        // hyper's own upgrade is not used: the socket is taken out of its connection.
        Ok((reply, _)) => {
            set_next(Next::WebSocket { address, client });
            reply
        }
    }
}

fn stream_sse(
    request: SseRequest,
    address: ClientAddress,
    client: Identified,
    set_next: impl FnOnce(Next),
    shared: &Shared,
) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    let seat = match &client.who {
        Who::Known(identity) => shared.context.identity_quotas.enter(identity).map(|(seat, _)| seat),
        Who::Anyone | Who::Unknown => Ok(None),
    };
    match seat.and_then(|seat| shared.admission.admit(address).map(|admitted| (seat, admitted))) {
        Err(limit) => refuse(ErrorCode::Limit, limit),
        Ok((seat, admitted)) => {
            // An event stream requests nothing after its first subscription, so it has no quotas.
            set_next(Next::Sse { request, admitted, client, seat, head: Vec::new() });
            event_stream()
        }
    }
}

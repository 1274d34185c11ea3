//! A connection of the client listener, up to its upgrade or its end.
//!
//! hyper reads the requests and writes the answers: HTTP/1.1 from untrusted clients has too many special cases (chunks,
//! pipelining, folded headers) for a parser of our own.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::hand_over::hand_over;
use super::http_socket::HttpSocket;
use super::{Shared, http, stall, tune};
use crate::admission::Admitted;
use crate::http::handshake::{self, SUBPROTOCOL};
use crate::http::sockets::Place;
use crate::http::{Reply, error, error_bytes, event_stream, handle, head_bytes};
use crate::shard::SseRequest;
use crate::sync::lock;

/// What an HTTP connection becomes after its last answer.
pub(super) enum Next {
    WebSocket,
    Sse {
        request: SseRequest,
        admitted: Admitted,
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

/// Serves a connection that was just accepted.
pub(super) async fn serve_client(stream: TcpStream, remote: SocketAddr, place: Place, shared: Arc<Shared>) {
    tune(&stream, &shared.config.get());
    // hyper's memory for a connection, some 18 KB, is allocated when there is something to read, and freed before this
    // task yields: no two handshakes hold theirs at the same time. (`readable` sometimes reports too early.)
    let handshake = Duration::from_millis(shared.config.get().handshake_ms.into());
    let mut draining = shared.draining.subscribe();
    let mut first = [0];
    tokio::select! {
        asked = tokio::time::timeout(handshake, stream.peek(&mut first)) => {
            if !matches!(asked, Ok(Ok(_))) {
                tracing::debug!(%remote, "a connection ended without a request");
                return;
            }
        }
        () = place.peer().hang_up.notified() => return refuse_at_once(&stream, &shared),
        _ = draining.wait_for(|draining| *draining) => return,
    }
    Box::pin(serve_requests(stream, remote, place, shared)).await;
}

/// Answers a connection's requests up to its end, or up to its upgrade, and then hands it over.
async fn serve_requests(stream: TcpStream, remote: SocketAddr, place: Place, shared: Arc<Shared>) {
    let next: Arc<Mutex<Option<Next>>> = Arc::default();
    let place = Arc::new(place);
    let socket = HttpSocket::new(stream, stall(&shared.config.get()), place.clone());
    let state = socket.state();
    let service = service_fn({
        let (shared, next, state, place) = (shared.clone(), next.clone(), state.clone(), place.clone());
        move |request: Request<Incoming>| {
            let (shared, next, state, place) = (shared.clone(), next.clone(), state.clone(), place.clone());
            // Boxed to be `Unpin`, which hyper requires where the socket can be taken out of the connection.
            Box::pin(async move {
                state.begin();
                if !state.take_arrived() {
                    // It arrived together with the one before. If a client sends hundreds at once, each waits its turn.
                    shared.context.reads.turn().await;
                }
                let set_next = |what| *lock(&next) = Some(what);
                let upgrade = |request: Request<Incoming>| upgrade(request, set_next, &shared);
                let stream = |request: SseRequest| stream_sse(request, remote, set_next, &shared);
                let reply = handle(request, place.peer(), &shared.context, upgrade, stream).await;
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
        let hang_up = &place.peer().hang_up;
        tokio::select! {
            result = poll_fn(|cx| match shut_down {
                false => connection.poll_without_shutdown(cx),
                true => std::pin::Pin::new(&mut connection).poll(cx),
            }) => match result {
                // A connection that is handed over stays open; any other is shut down.
                Ok(()) if !shut_down && lock(&next).is_none() => shut_down = true,
                result => break result,
            },
            () = hang_up.notified() => {
                let stream = connection.into_parts().io.into_inner().into_stream();
                // A client that waits for no answer gets none, and an error must not be written into another answer.
                if !state.is_idle() && !state.is_unflushed() {
                    refuse_at_once(&stream, &shared);
                }
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
            let given = hand_over(parts.io.into_inner(), parts.read_buf.to_vec(), next, remote, &place, &shared);
            tokio::select! {
                result = Box::pin(given) => result,
                () = place.peer().hang_up.notified() => return,
            }
        }
        (result, _) => result.map_err(Into::into),
    };
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "an HTTP connection ended early");
    }
}

/// Sends a client whose connection ends the reason, as much of it as the kernel takes at once: it is evicted, unless the
/// broker itself ends.
fn refuse_at_once(stream: &TcpStream, shared: &Shared) {
    let message = match shared.is_draining() {
        true => GOING_AWAY,
        false => "the broker holds as many connections as http_connections_max allows, and this one waited longest",
    };
    // Fails if the client is gone, and then nobody needs the reason.
    let _ = stream.try_write(&error_bytes(&Refusal { code: ErrorCode::Unavailable, message: message.into() }));
}

const GOING_AWAY: &str = "the broker is going away";

fn going_away(shared: &Shared) -> Option<Reply> {
    shared.is_draining().then(|| refuse(ErrorCode::Unavailable, GOING_AWAY))
}

fn refuse(code: ErrorCode, message: &str) -> Reply {
    error(&Refusal { code, message: message.into() })
}

fn upgrade(mut request: Request<Incoming>, set_next: impl FnOnce(Next), shared: &Shared) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match handshake::upgrade(&mut request, Some(SUBPROTOCOL)) {
        Err(refusal) => *refusal,
        // hyper's own upgrade is not used: the socket is taken out of its connection.
        Ok((reply, _)) => {
            set_next(Next::WebSocket);
            reply
        }
    }
}

fn stream_sse(request: SseRequest, remote: SocketAddr, set_next: impl FnOnce(Next), shared: &Shared) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match shared.admission.admit(remote) {
        Err(limit) => refuse(ErrorCode::Limit, limit),
        Ok(admitted) => {
            set_next(Next::Sse { request, admitted, head: Vec::new() });
            event_stream()
        }
    }
}

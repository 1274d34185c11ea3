//! A connection of the client listener, up to its upgrade or its end.
//!
//! hyper reads the requests and writes the answers: HTTP/1.1 from strangers has too many corners (chunks, pipelining, folded
//! heads) to be read by code of our own.

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

/// What an HTTP connection is from its last answer on.
pub(super) enum Becomes {
    WebSocket,
    Sse {
        request: SseRequest,
        admitted: Admitted,
        /// The head of the answer, which is still to be written.
        head: Vec<u8>,
    },
}

/// Keeps the head of an answer that begins a stream. Returns whether it does.
fn begins_stream(becomes: &mut Option<Becomes>, reply: &Reply) -> bool {
    match becomes {
        Some(Becomes::Sse { head, .. }) => {
            *head = head_bytes(reply);
            true
        }
        _ => false,
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

/// Serves a connection that was just accepted.
pub(super) async fn serve_client(stream: TcpStream, remote: SocketAddr, place: Place, shared: Arc<Shared>) {
    tune(&stream, &shared.config);
    // What hyper needs for a connection, some 18 KB, is made when there is something to read, and is gone again when this
    // task is left: no two handshakes have theirs at the same time. (`readable` says so too early now and then.)
    let handshake = Duration::from_millis(shared.config.handshake_ms.into());
    let mut draining = shared.draining.subscribe();
    let mut first = [0];
    tokio::select! {
        asked = tokio::time::timeout(handshake, stream.peek(&mut first)) => {
            if !matches!(asked, Ok(Ok(_))) {
                tracing::debug!(%remote, "a connection on which nothing was asked");
                return;
            }
        }
        () = place.peer().hang_up.notified() => return refuse_at_once(&stream),
        _ = draining.wait_for(|draining| *draining) => return,
    }
    Box::pin(serve_requests(stream, remote, place, shared)).await;
}

/// Answers what is asked on a connection, up to its end, or to its upgrade and beyond.
async fn serve_requests(stream: TcpStream, remote: SocketAddr, place: Place, shared: Arc<Shared>) {
    let becomes: Arc<Mutex<Option<Becomes>>> = Arc::default();
    let place = Arc::new(place);
    let socket = HttpSocket::new(stream, stall(&shared.config), place.clone());
    let flow = socket.flow();
    let service = service_fn({
        let (shared, becomes, flow, place) = (shared.clone(), becomes.clone(), flow.clone(), place.clone());
        move |request: Request<Incoming>| {
            let (shared, becomes, flow, place) = (shared.clone(), becomes.clone(), flow.clone(), place.clone());
            // In a box, because hyper keeps it where it may be moved as long as the socket can be taken out.
            Box::pin(async move {
                flow.begin();
                if !flow.take_arrived() {
                    // It came together with the one before. Whoever sends hundreds at once has them done one by one.
                    shared.context.reads.turn().await;
                }
                let become_one = |what| *lock(&becomes) = Some(what);
                let upgrade = |request: Request<Incoming>| upgrade(request, become_one, &shared);
                let stream = |request: SseRequest| stream_sse(request, remote, become_one, &shared);
                let reply = handle(request, place.peer(), &shared.context, upgrade, stream).await;
                flow.end();
                if !begins_stream(&mut lock(&becomes), &reply) {
                    return Ok(reply);
                }
                // A stream has no length, and hyper would send it in chunks: so hyper does not hear of it.
                flow.flushed().await;
                Err(HandedOver)
            })
        }
    });
    let mut connection = http(&shared.config).serve_connection(TokioIo::new(socket), service);
    let mut draining = shared.draining.subscribe();
    let (mut told, mut shut_down) = (false, false);
    let result = loop {
        let hang_up = &place.peer().hang_up;
        tokio::select! {
            result = poll_fn(|cx| match shut_down {
                false => connection.poll_without_shutdown(cx),
                true => std::pin::Pin::new(&mut connection).poll(cx),
            }) => match result {
                // What it becomes is not shut down, and everything else is.
                Ok(()) if !shut_down && lock(&becomes).is_none() => shut_down = true,
                result => break result,
            },
            () = hang_up.notified() => {
                let stream = connection.into_parts().io.into_inner().into_stream();
                // Whoever waits for nothing is told nothing, and in the middle of an answer there is no place for another.
                if !flow.is_idle() && !flow.is_dirty() {
                    refuse_at_once(&stream);
                }
                return;
            }
            _ = draining.wait_for(|draining| *draining), if !told => {
                told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let becomes = lock(&becomes).take();
    let result = match (result, becomes) {
        // Here and not in a task of its own, so that what hyper leaves is let go of before the next handshake is read.
        (result, Some(becomes)) if result.is_ok() || matches!(becomes, Becomes::Sse { .. }) => {
            let parts = connection.into_parts();
            let given = hand_over(parts.io.into_inner(), parts.read_buf.to_vec(), becomes, remote, &place, &shared);
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

/// Tells a client that has to go why, as far as the kernel takes it: nobody waits for that.
fn refuse_at_once(stream: &TcpStream) {
    let message = "the broker holds as many connections as http_connections_max allows, and this waited longest".into();
    // Fails where the client is gone, and then there is nobody to tell.
    let _ = stream.try_write(&error_bytes(&Refusal { code: ErrorCode::Unavailable, message }));
}

fn going_away(shared: &Shared) -> Option<Reply> {
    shared.is_draining().then(|| refuse(ErrorCode::Unavailable, "the broker is going away"))
}

fn refuse(code: ErrorCode, message: &str) -> Reply {
    error(&Refusal { code, message: message.into() })
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

fn stream_sse(request: SseRequest, remote: SocketAddr, become_one: impl FnOnce(Becomes), shared: &Shared) -> Reply {
    if let Some(refusal) = going_away(shared) {
        return refusal;
    }
    match shared.admission.admit(remote) {
        Err(limit) => refuse(ErrorCode::Limit, limit),
        Ok(admitted) => {
            become_one(Becomes::Sse { request, admitted, head: Vec::new() });
            event_stream()
        }
    }
}

//! The client listener: passes each request to the handler that answers it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_engine::{Engine, Now, Published, Publishers};
use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use broker_protocol::topic::is_reserved;
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::ACCESS_CONTROL_REQUEST_METHOD;
use hyper::{Method, Request};

use super::body::Bounds;
use super::budget::BodyBudget;
use super::listing::{self, Of};
use super::query::Query;
use super::reply::{self, Reply};
use super::route::Route;
use super::{Caller, Peer, history, publish, sse, topics, web};
use crate::access::{Access, Gate};
use crate::audit::Audit;
use crate::shard::SseRequest;
use crate::sync::lock;
use crate::work::Work;

/// The parts of the broker that requests need, shared by all connections.
pub struct Context {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The clocks.
    pub now: fn() -> Now,
    /// The check whether a client may connect.
    pub access: Arc<Gate>,
    /// `message_bytes`
    pub message_bytes: u64,
    /// `ndjson_bytes_max`
    pub ndjson_bytes_max: AtomicU64,
    /// `handshake_ms`: how long the next KiB of a body, or its end, may take to arrive, in milliseconds.
    pub body_silence_ms: AtomicU64,
    /// The budget of all bodies together.
    pub bodies: Arc<BodyBudget>,
    /// The turns in which large answers are made and written.
    pub reads: Arc<Work>,
    /// The turns in which large bodies are read and published.
    pub publishes: Arc<Work>,
    /// Who publishes over HTTP.
    pub publishers: Mutex<Publishers<Caller, ()>>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// The port of the admin listener, which the live page asks for operators.
    pub admin_port: Option<u16>,
    /// `sys_topics_public`
    pub sys_topics_public: bool,
}

impl Context {
    /// Refuses the broker's own topics to connections from other machines, unless configured otherwise.
    pub(super) fn check_visible(&self, name: &str, peer: &Peer) -> Result<(), Refusal> {
        if !is_reserved(name) || self.sys_topics_public || is_loopback(peer.address) {
            return Ok(());
        }
        let message = "topics that begin with $ are served to connections from loopback only".into();
        Err(Refusal { code: ErrorCode::Forbidden, message })
    }

    /// Notes who published an update.
    pub(super) fn note_publisher(&self, now: Now, published: &Published, peer: &Peer) {
        self.engine.note_publisher(&mut lock(&self.publishers), now, published, peer.caller(), || ());
    }

    /// The bounds of a body of at most `bytes_max` bytes, which is the value of `setting`.
    pub(super) fn bounds<'a>(&'a self, bytes_max: u64, setting: &'static str, peer: &'a Peer) -> Bounds<'a> {
        let silence = Duration::from_millis(self.body_silence_ms.load(Ordering::Relaxed));
        Bounds { bytes_max, setting, silence, budget: &self.bodies, work: &self.publishes, peer }
    }
}

/// Returns whether an address is loopback. IPv4 addresses come mapped into IPv6 if the listener is `[::]`.
fn is_loopback(remote: IpAddr) -> bool {
    remote.to_canonical().is_loopback()
}

/// Answers one request. Passes requests for the WebSocket endpoint to `upgrade`, once the client may connect and the
/// method is GET, and checked requests for Server-Sent Events to `stream`.
pub async fn handle<B>(
    request: Request<B>,
    peer: &Peer,
    context: &Context,
    upgrade: impl FnOnce(Request<B>) -> Reply,
    stream: impl FnOnce(SseRequest) -> Reply,
) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let access = match context.access.admit(&request, peer.address) {
        Ok(access) => access,
        Err(refusal) => return reply::error(&refusal),
    };
    let mut reply = answer(request, peer, context, upgrade, stream, &access).await;
    if let Access::Foreign(origin) | Access::Page(origin) = access {
        reply::readable_by(&mut reply, origin);
    }
    reply
}

async fn answer<B>(
    request: Request<B>,
    peer: &Peer,
    context: &Context,
    upgrade: impl FnOnce(Request<B>) -> Reply,
    stream: impl FnOnce(SseRequest) -> Reply,
    access: &Access,
) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let route = match Route::find(request.uri().path()) {
        Ok(route) => route,
        Err(refusal) => return reply::error(&refusal),
    };
    let method = request.method();
    if !route.methods().contains(method) {
        let asks = method == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        return match access {
            Access::Foreign(_) if asks => reply::preflight(),
            _ => reply::method_not_allowed(method, route.methods()),
        };
    }
    let method = method.clone();
    let query = request.uri().query();
    let result = match route {
        Route::WebSocket => match Query::parse(query, &[]) {
            Ok(_) => return upgrade(request),
            Err(refusal) => Err(refusal),
        },
        // HEAD answers what GET would, without the stream.
        Route::Sse if method == Method::HEAD => {
            sse::request(request, peer, context).await.map(|_| reply::event_stream())
        }
        Route::Sse => sse::request(request, peer, context).await.map(stream),
        Route::Publish => publish::many(request, peer, context).await,
        Route::Topics => listing::page(Of::Topics, query, peer, context).await,
        Route::Images => listing::page(Of::Images, query, peer, context).await,
        Route::Topic(topic) if method == Method::POST => publish::one(request, &topic, peer, context).await,
        Route::Topic(topic) if method == Method::DELETE => topics::delete(query, &topic, peer, context),
        Route::Topic(topic) => topics::image(query, &topic, peer, context).await,
        Route::History(topic) => history::page(query, &topic, peer, context).await,
        Route::Asset(asset) => Ok(web::serve(asset, request.headers(), context.admin_port)),
    };
    result.unwrap_or_else(|refusal| reply::error(&refusal))
}

//! The client listener: passes each request to the handler that answers it.

use std::sync::Arc;
use std::time::Duration;

use broker_engine::{Engine, Now, Quota};
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
use super::{Peer, history, publish, sse, topics, web};
use crate::access::{Access, Gate};
use crate::quota::AddressQuotas;
use crate::shard::SseRequest;
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
    pub ndjson_bytes_max: u64,
    /// `handshake_ms`: how long the next KiB of a body, or its end, may take to arrive.
    pub body_silence: Duration,
    /// The budget of all bodies together.
    pub bodies: Arc<BodyBudget>,
    /// The turns in which large answers are made and written.
    pub reads: Arc<Work>,
    /// The turns in which large bodies are read and published.
    pub publishes: Arc<Work>,
    /// `sys_topics_public`
    pub sys_topics_public: bool,
    /// The most subscriptions of a connection.
    pub subscriptions: u64,
    /// The quotas of addresses.
    pub quotas: AddressQuotas,
}

impl Context {
    /// Refuses the broker's own topics to connections from other machines, unless configured otherwise.
    pub(super) fn check_visible(&self, name: &str, peer: &Peer) -> Result<(), Refusal> {
        if !is_reserved(name) || self.sys_topics_public || peer.address.is_local {
            return Ok(());
        }
        let message = "topics that begin with $ are served only to clients on this machine that use no proxy".into();
        Err(Refusal { code: ErrorCode::Forbidden, message })
    }

    /// The bounds of a body of at most `bytes_max` bytes, which is the value of `setting`.
    pub(super) fn bounds<'a>(&'a self, bytes_max: u64, setting: &'static str, peer: &'a Peer) -> Bounds<'a> {
        Bounds { bytes_max, setting, silence: self.body_silence, budget: &self.bodies, work: &self.publishes, peer }
    }
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
    let access = match context.access.admit(&request, &peer.address) {
        Ok(access) => access,
        Err(refusal) => return reply::error(&refusal),
    };
    let mut reply = answer(request, peer, context, upgrade, stream, &access).await;
    if let Access::Foreign(origin) = access {
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
            Ok(_) => return too_many_connects(peer, context).unwrap_or_else(|| upgrade(request)),
            Err(refusal) => Err(refusal),
        },
        // HEAD answers what GET would, without the stream.
        Route::Sse if method == Method::HEAD => {
            sse::request(request, peer, context).await.map(|_| reply::event_stream())
        }
        Route::Sse => match too_many_connects(peer, context) {
            None => sse::request(request, peer, context).await.map(stream),
            Some(refusal) => Ok(refusal),
        },
        Route::Publish => publish::many(request, peer, context).await,
        Route::Topics => listing::page(Of::Topics, query, peer, context).await,
        Route::Images => listing::page(Of::Images, query, peer, context).await,
        Route::Topic(topic) if method == Method::POST => publish::one(request, &topic, peer, context).await,
        Route::Topic(topic) if method == Method::DELETE => topics::delete(query, &topic, context),
        Route::Topic(topic) => topics::image(query, &topic, peer, context).await,
        Route::History(topic) => history::page(query, &topic, peer, context).await,
        Route::Asset(asset) => Ok(web::serve(asset, request.headers())),
    };
    result.unwrap_or_else(|refusal| reply::error(&refusal))
}

/// Counts a new connection of the sender's address. Returns the answer if there are too many.
fn too_many_connects(peer: &Peer, context: &Context) -> Option<Reply> {
    let wait = context.quotas.connect((context.now)(), peer.address.block()).err()?;
    Some(reply::rate_limited(Quota::Connects.exceeded(), wait.ms))
}

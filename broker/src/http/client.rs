//! The client listener: passes each request to the handler that answers it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_engine::{Engine, Now, Published, Publishers, Quota};
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
use super::web::{self, Reach};
use super::{Author, Peer, history, publish, sse, topics};
use crate::access::{Access, Gate};
use crate::audit::{Audit, Event};
use crate::authentication::{Authentication, Identified, Who, split_token};
use crate::quota::{AddressQuotas, IdentityQuotas};
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
    /// Decides who clients are.
    pub authentication: Arc<Authentication>,
    /// Who publishes over HTTP.
    pub publishers: Mutex<Publishers<Author, ()>>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// The port of the admin listener, which the live page asks for operators.
    pub admin_port: Option<u16>,
    /// `sys_topics_public`
    pub sys_topics_public: bool,
    /// The quotas of addresses.
    pub quotas: Arc<AddressQuotas>,
    /// The quotas of clients that are known.
    pub identity_quotas: Arc<IdentityQuotas>,
}

/// The sender of a request.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    /// Where it is.
    pub(super) peer: &'a Peer,
    /// Who it is.
    pub(super) who: &'a Who,
    /// The number of the authority that said so, or of an earlier one.
    pub(super) as_of: u64,
}

impl Caller<'_> {
    /// What comparing a name with its permissions costs, in bytes of a body that are read.
    pub(super) fn permit_bytes(&self) -> usize {
        const PATTERN_BYTES: usize = 16;
        self.who.permissions().ok().flatten().map_or(0, |permissions| permissions.size() * PATTERN_BYTES)
    }

    /// The sender, as an operator is told.
    pub(super) fn author(&self) -> Author {
        Author { sub: self.who.sub().cloned(), address: self.peer.address.ip.to_canonical() }
    }
}

impl Context {
    /// Says who a caller is by now, after its body was read; `None` if that has not changed.
    ///
    /// # Errors
    /// `bad_token`: its token has ended meanwhile.
    pub(super) fn again(&self, caller: Caller<'_>) -> Result<Option<Who>, Refusal> {
        self.authentication.again(caller.who, caller.as_of, (self.now)().wall_us / 1000)
    }

    /// Refuses a topic that the caller may not read.
    pub(super) fn check_read(&self, name: &str, caller: Caller<'_>) -> Result<(), Refusal> {
        match caller.who.permissions()? {
            Some(permissions) => permissions.check_read(name),
            None => self.check_visible(name, caller.peer),
        }
    }

    /// Refuses a topic or a pattern to which the caller may not subscribe.
    pub(super) fn check_subscribe(&self, entry: &str, caller: Caller<'_>) -> Result<(), Refusal> {
        match caller.who {
            Who::Anyone => self.check_visible(entry, caller.peer),
            who => who.check_subscribe(entry),
        }
    }

    /// Refuses the broker's own topics to connections from other machines, unless configured otherwise.
    fn check_visible(&self, name: &str, peer: &Peer) -> Result<(), Refusal> {
        if !is_reserved(name) || self.sys_topics_public || peer.address.is_local {
            return Ok(());
        }
        let message = "topics that begin with $ are served only to clients on this machine that use no proxy".into();
        Err(Refusal { code: ErrorCode::Forbidden, message })
    }

    /// Notes who published an update.
    pub(super) fn note_publisher(&self, now: Now, published: &Published, caller: Caller<'_>) {
        self.engine.note_publisher(&mut lock(&self.publishers), now, published, caller.author(), || ());
    }

    /// The bounds of a body of at most `bytes_max` bytes, which is the value of `setting`.
    pub(super) fn bounds<'a>(&'a self, bytes_max: u64, setting: &'static str, peer: &'a Peer) -> Bounds<'a> {
        let silence = Duration::from_millis(self.body_silence_ms.load(Ordering::Relaxed));
        Bounds { bytes_max, setting, silence, budget: &self.bodies, work: &self.publishes, peer }
    }
}

/// Answers one request. Passes requests for the WebSocket endpoint to `upgrade`, once the client may connect and the
/// method is GET, and checked requests for Server-Sent Events to `stream`.
pub async fn handle<B>(
    request: Request<B>,
    peer: &Peer,
    context: &Context,
    upgrade: impl FnOnce(Request<B>, Identified) -> Reply,
    stream: impl FnOnce(SseRequest, Identified) -> Reply,
) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let access = match context.access.admit(&request, &peer.address) {
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
    mut request: Request<B>,
    peer: &Peer,
    context: &Context,
    upgrade: impl FnOnce(Request<B>, Identified) -> Reply,
    stream: impl FnOnce(SseRequest, Identified) -> Reply,
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
    // Counted before a token is checked, which takes longer.
    if matches!(route, Route::WebSocket | Route::Sse)
        && method != Method::HEAD
        && let Some(refusal) = too_many_connects(peer, context)
    {
        return refusal;
    }
    let as_of = context.authentication.as_of();
    let who = match route {
        // The page and its files are the same for all.
        Route::Asset(_) => Ok(Who::Anyone),
        _ => identify(&mut request, peer, context).await,
    };
    let who = match who {
        Ok(who) => who,
        Err(refusal) => return reply::error(&refusal),
    };
    let caller = Caller { peer, who: &who, as_of };
    let query = request.uri().query();
    let result = match route {
        Route::WebSocket => match Query::parse(query, &[]) {
            Ok(_) => return upgrade(request, Identified { who, as_of }),
            Err(refusal) => Err(refusal),
        },
        _ if let Err(refusal) = who.check_known() => Err(refusal),
        // HEAD answers what GET would, without the stream.
        Route::Sse if method == Method::HEAD => {
            sse::request(request, caller, context).await.map(|_| reply::event_stream())
        }
        Route::Sse => match sse::request(request, caller, context).await {
            Ok(request) => return stream(request, Identified { who, as_of }),
            Err(refusal) => Err(refusal),
        },
        Route::Publish => publish::many(request, caller, context).await,
        Route::Topics => listing::page(Of::Topics, query, caller, context).await,
        Route::Images => listing::page(Of::Images, query, caller, context).await,
        Route::Topic(topic) if method == Method::POST => publish::one(request, &topic, caller, context).await,
        Route::Topic(topic) if method == Method::DELETE => topics::delete(query, &topic, caller, context).await,
        Route::Topic(topic) => topics::image(query, &topic, caller, context).await,
        Route::History(topic) => history::page(query, &topic, caller, context).await,
        Route::Asset(asset) => {
            let reach = Reach { admin_port: context.admin_port, brokers: context.access.brokers() };
            Ok(web::serve(asset, request.headers(), &reach))
        }
    };
    result.unwrap_or_else(|refusal| reply::error(&refusal))
}

/// Counts a new connection of the sender's address. Returns the answer if there are too many.
fn too_many_connects(peer: &Peer, context: &Context) -> Option<Reply> {
    let wait = context.quotas.connect((context.now)(), peer.address.block()).err()?;
    Some(reply::rate_limited(Quota::Connects.exceeded(), wait.ms))
}

/// Says who sends a request. A token in its URL is taken out, so that nothing else sees it.
async fn identify<B>(request: &mut Request<B>, peer: &Peer, context: &Context) -> Result<Who, Refusal> {
    let uri = request.uri().clone();
    let mut in_url = None;
    if let Some(query) = uri.query().filter(|_| context.authentication.takes_token_in_url()) {
        let (token, rest) = split_token(query)?;
        in_url = token;
        if let (Some(_), Ok(path)) = (token, format!("{}?{rest}", uri.path()).parse()) {
            *request.uri_mut() = path;
        }
    }
    let who = context.authentication.who(request.headers(), in_url, peer.certificate.as_deref()).await;
    who.inspect_err(|refusal| {
        let address = peer.address.ip.to_canonical();
        let event = Event::LoginRefused { session: None, address, reason: &refusal.message };
        context.audit.record((context.now)(), &event);
    })
}

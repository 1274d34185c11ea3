//! The admin listener: metrics, health, connections and publishers, and what operators do.

mod body;
mod operator;
mod resource;

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::ACCESS_CONTROL_REQUEST_METHOD;
use hyper::{Method, Request};
use serde_json::json;

use self::resource::Resource;
use super::query::Query;
use super::reply::{self, Reply};
use super::topics::{check, missing};
use crate::access::{Access, Gate, PagePorts};
use crate::config::{ReloadError, Reloaded};
use crate::shard::{ConnectionDetail, ConnectionRow, PublisherDetail, Whom};
use broker_identity::TokenDigest;

/// How many connections are listed by default, and at most.
const SLOWEST: (u64, u64) = (50, 10_000);
/// The most publishers of a topic that are listed.
const PUBLISHERS: usize = 100;

/// The shards that were too busy to answer in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyShards(pub Vec<usize>);

/// What the admin listener asks of the broker.
pub trait Observe: Sync {
    /// Returns whether the broker takes connections.
    ///
    /// # Errors
    /// The reason why it does not.
    fn ready(&self) -> Result<(), String>;

    /// Returns all metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Returns the address of the client listener.
    fn clients_at(&self) -> SocketAddr;

    /// Returns the ports of the client listeners, whose live page may ask.
    fn page_ports(&self) -> PagePorts;

    /// Returns the digest of the token that operators need, if they need one.
    fn operators_token(&self) -> Option<TokenDigest>;

    /// Notes that someone at this address had no such token, or a wrong one.
    fn refused_operator(&self, remote: IpAddr, path: &str);

    /// Returns the number of a session; `None` if none of this run can have this name.
    fn session_number(&self, name: &str) -> Option<u64>;

    /// Returns at least its `slowest` slowest connections, in any order, and the shards that were too busy to report
    /// theirs.
    fn connections(&self, slowest: usize) -> impl Future<Output = (Vec<ConnectionRow>, Vec<usize>)> + Send;

    /// Describes the connection with this session's number, if there is one.
    fn connection(&self, session: u64) -> impl Future<Output = Result<Option<ConnectionDetail>, BusyShards>> + Send;

    /// Closes connections for an operator at `remote`, who named them by `key` and `value`. Returns their number.
    fn close(
        &self,
        whom: Whom,
        named: (&'static str, &str),
        remote: IpAddr,
    ) -> impl Future<Output = Result<u64, BusyShards>> + Send;

    /// Returns who publishes to a topic, the newest first; `None` if there is no such topic.
    fn publishers(
        &self,
        topic: &str,
        count: usize,
    ) -> impl Future<Output = Result<Option<Vec<PublisherDetail>>, BusyShards>> + Send;

    /// Reads the configuration again, for an operator at `remote`.
    fn reload(&self, remote: IpAddr) -> impl Future<Output = Result<Reloaded, ReloadError>> + Send;
}

/// Answers one request.
pub async fn handle<B>(request: Request<B>, remote: IpAddr, gate: &Gate, broker: &impl Observe) -> Reply
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let access = match gate.admit_operator(&request, &remote, broker.page_ports()) {
        Ok(access) => access,
        Err(refusal) => return reply::error(&refusal),
    };
    let mut reply = answer(request, remote, &access, broker).await.unwrap_or_else(|refusal| reply::error(&refusal));
    if let Access::Foreign(origin) | Access::Page(origin) = access {
        reply::readable_by(&mut reply, origin);
    }
    reply
}

async fn answer<B>(
    request: Request<B>,
    remote: IpAddr,
    access: &Access,
    broker: &impl Observe,
) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let path = request.uri().path();
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if asks && matches!(access, Access::Page(_)) {
        // A browser asks this before the live page may send its token, and has none itself.
        return Ok(reply::preflight());
    }
    if let Some(token) = broker.operators_token().filter(|_| !Resource::is_open(path)) {
        operator::check(request.headers(), &token).inspect_err(|_| broker.refused_operator(remote, path))?;
    }
    let resource = Resource::find(path)?;
    let methods = resource.methods();
    if !methods.contains(request.method()) {
        return Ok(reply::method_not_allowed(request.method(), methods));
    }
    let acts = methods.contains(&Method::POST);
    if acts && matches!(access, Access::Foreign(_)) {
        // Pages of `allow_origin` may read. What changes the broker is for operators and their programs alone.
        let message = "no page of another origin may do this, whatever allow_origin says".into();
        return Err(Refusal { code: ErrorCode::Forbidden, message });
    }
    let known: &[&str] = if resource == Resource::Connections { &["slowest"] } else { &[] };
    let slowest = Query::parse(request.uri().query(), known)?.count("slowest", SLOWEST.0, 0, SLOWEST.1)?;
    let text = |text: String| Ok(reply::text("text/plain; charset=utf-8", text));
    match resource {
        Resource::Root => text(directions(broker.clients_at())),
        Resource::Metrics => Ok(reply::text("text/plain; version=0.0.4; charset=utf-8", broker.metrics())),
        // A process that answers is alive.
        Resource::Health => text("ok\n".into()),
        Resource::Ready => match broker.ready() {
            Ok(()) => text("ready\n".into()),
            Err(message) => Err(Refusal { code: ErrorCode::Unavailable, message }),
        },
        Resource::Connections => {
            let (rows, silent) = broker.connections(slowest).await;
            Ok(reply::json(connections(rows, &silent, slowest).into()))
        }
        Resource::Connection(session) => {
            let found = match broker.session_number(&session) {
                Some(number) => broker.connection(number).await.map_err(busy)?,
                None => None,
            };
            let detail = found.ok_or_else(|| missing("there is no connection with this session".into()))?;
            Ok(json(&detail))
        }
        Resource::Publishers(topic) => {
            check(&topic)?;
            let publishers = broker.publishers(&topic, PUBLISHERS).await.map_err(busy)?;
            let publishers = publishers.ok_or_else(|| missing(format!("there is no topic {topic:?}")))?;
            Ok(json(&json!({ "publishers": publishers })))
        }
        Resource::Close => {
            let named = body::named(body::object(request, false).await?)?;
            let closed = match named.whom(|name| broker.session_number(name))? {
                Some(whom) => broker.close(whom, (named.key, &named.value), remote).await.map_err(busy)?,
                None => 0,
            };
            Ok(json(&json!({ "closed": closed })))
        }
        Resource::Reload => {
            if !body::object(request, true).await?.is_empty() {
                return Err(super::query::bad_request("the body of a reload has to be empty, or {}"));
            }
            match broker.reload(remote).await {
                Ok(reloaded) => Ok(json(&reloaded)),
                Err(error @ ReloadError::Config(_)) => {
                    Err(Refusal { code: ErrorCode::BadConfig, message: error.to_string() })
                }
                Err(error) => Err(Refusal { code: ErrorCode::Unavailable, message: error.to_string() }),
            }
        }
    }
}

fn json(body: &impl serde::Serialize) -> Reply {
    // All of these have a JSON form.
    reply::json(serde_json::to_vec(body).unwrap_or_default().into())
}

fn busy(BusyShards(shards): BusyShards) -> Refusal {
    let shards = shards.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let message = format!("these shards were too busy to answer in time: {shards}");
    Refusal { code: ErrorCode::Unavailable, message }
}

/// Says where the live page is, to a person who opened the admin port in a browser.
fn directions(clients: SocketAddr) -> String {
    let host = match clients.ip() {
        ip if ip.is_unspecified() => "this host".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    let port = clients.port();
    let page =
        if clients.ip().is_unspecified() { format!("port {port} of {host}") } else { format!("http://{host}:{port}/") };
    format!(
        "This is Tickcast's admin listener. The live page is at {page}\n\n\
         This listener serves /metrics (Prometheus), /healthz, /readyz and /v1/connections (the slowest ones); for all of\n\
         it see \"The admin listener\" in broker/docs/operating.md.\n"
    )
}

/// Lists connections, worst first: most pending bytes, then most updates, then longest behind. Names the shards that
/// are missing.
fn connections(mut rows: Vec<ConnectionRow>, silent: &[usize], slowest: usize) -> Vec<u8> {
    rows.sort_by_key(|row| {
        let since = row.lagging_since.unwrap_or(u64::MAX);
        (std::cmp::Reverse((row.lag_bytes, row.lag_updates)), since, row.connected_ts)
    });
    rows.truncate(slowest);
    let mut body = json!({ "connections": rows });
    if !silent.is_empty() {
        body["busy_shards"] = silent.into();
    }
    serde_json::to_vec(&body).unwrap_or_default()
}

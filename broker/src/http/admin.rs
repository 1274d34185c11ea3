//! The admin listener: metrics, health, and the slowest connections.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::{Method, Request};

use super::query::Query;
use super::reply::{self, Reply};
use super::route::nothing;
use crate::access::{Access, Gate};
use crate::shard::ConnectionRow;

/// How many connections are listed by default, and at most.
const SLOWEST: (u64, u64) = (50, 10_000);

/// What the admin listener reads from the broker.
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

    /// Returns at least its `slowest` slowest connections, in any order, and the shards that were too busy to report
    /// theirs.
    fn connections(&self, slowest: usize) -> impl Future<Output = (Vec<ConnectionRow>, Vec<usize>)> + Send;
}

/// Answers one request.
pub async fn handle<B>(request: Request<B>, remote: IpAddr, gate: &Gate, broker: &impl Observe) -> Reply {
    let access = match gate.admit(&request, &remote) {
        Ok(access) => access,
        Err(refusal) => return reply::error(&refusal),
    };
    let mut reply = answer(&request, broker).await.unwrap_or_else(|refusal| reply::error(&refusal));
    if let Access::Foreign(origin) = access {
        reply::readable_by(&mut reply, origin);
    }
    reply
}

async fn answer<B>(request: &Request<B>, broker: &impl Observe) -> Result<Reply, Refusal> {
    let path = request.uri().path();
    if !["/", "/metrics", "/healthz", "/readyz", "/v1/connections"].contains(&path) {
        return Err(nothing(path, ""));
    }
    let allowed = [Method::GET, Method::HEAD];
    if !allowed.contains(request.method()) {
        return Ok(reply::method_not_allowed(request.method(), &allowed));
    }
    let known: &[&str] = if path == "/v1/connections" { &["slowest"] } else { &[] };
    let query = Query::parse(request.uri().query(), known)?;
    match path {
        "/" => Ok(reply::text("text/plain; charset=utf-8", directions(broker.clients_at()))),
        "/metrics" => Ok(reply::text("text/plain; version=0.0.4; charset=utf-8", broker.metrics())),
        // A process that answers is alive.
        "/healthz" => Ok(reply::text("text/plain; charset=utf-8", "ok\n".into())),
        "/readyz" => match broker.ready() {
            Ok(()) => Ok(reply::text("text/plain; charset=utf-8", "ready\n".into())),
            Err(message) => Err(Refusal { code: ErrorCode::Unavailable, message }),
        },
        _ => {
            let slowest = query.count("slowest", SLOWEST.0, 0, SLOWEST.1)?;
            let (rows, silent) = broker.connections(slowest).await;
            Ok(reply::json(connections(rows, &silent, slowest).into()))
        }
    }
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
         This listener serves /metrics (Prometheus), /healthz, /readyz and /v1/connections (the slowest ones).\n"
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
    let mut body = serde_json::json!({ "connections": rows });
    if !silent.is_empty() {
        body["busy_shards"] = silent.into();
    }
    serde_json::to_vec(&body).unwrap_or_default()
}

//! Files for browsers. They are part of the program, so the files served are those that it was built with, and nothing
//! else has to be installed.
//!
//! Parameters are ignored here. They belong to the page that is opened with them, not to the broker.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::reply::Reply;
use crate::access::Origin;

/// A file, and how it is served.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path on the listener.
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
    /// Whether it is a page, which runs scripts under a policy.
    is_page: bool,
}

/// A file of the live page.
macro_rules! live {
    ($name:literal) => {
        include_bytes!(concat!("../../../dashboards/web/live/", $name))
    };
}

/// A file of the JavaScript client.
macro_rules! client {
    ($name:literal) => {
        include_bytes!(concat!("../../clients/js/", $name))
    };
}

/// All files.
static ASSETS: &[Asset] = &[
    Asset { path: "/", content_type: "text/html; charset=utf-8", body: live!("../index.html"), is_page: true },
    style("/live/base.css", live!("base.css")),
    style("/live/markets.css", live!("markets.css")),
    style("/live/views.css", live!("views.css")),
    Asset { path: "/live/icon.svg", content_type: "image/svg+xml", body: live!("icon.svg"), is_page: false },
    script("/live/allowed.js", live!("allowed.js")),
    script("/live/broker.js", live!("broker.js")),
    script(BROKERS, live!("brokers.js")),
    script("/live/candles.js", live!("candles.js")),
    script("/live/chat.js", live!("chat.js")),
    script("/live/connection.js", live!("connection.js")),
    script("/live/dom.js", live!("dom.js")),
    script("/live/format.js", live!("format.js")),
    script("/live/frame.js", live!("frame.js")),
    script("/live/history.js", live!("history.js")),
    script("/live/instrument.js", live!("instrument.js")),
    script("/live/ladder.js", live!("ladder.js")),
    script("/live/login.js", live!("login.js")),
    script("/live/main.js", live!("main.js")),
    script("/live/markets.js", live!("markets.js")),
    script("/live/matches.js", live!("matches.js")),
    script("/live/operator.js", live!("operator.js")),
    script("/live/raw.js", live!("raw.js")),
    script("/live/spark.js", live!("spark.js")),
    script("/live/theme.js", live!("theme.js")),
    script("/live/timeline.js", live!("timeline.js")),
    script("/live/token.js", live!("token.js")),
    script("/live/trades.js", live!("trades.js")),
    script("/tickcast.js", client!("tickcast.js")),
    script("/tickcast/addresses.js", client!("tickcast/addresses.js")),
    script("/tickcast/answers.js", client!("tickcast/answers.js")),
    script("/tickcast/asking.js", client!("tickcast/asking.js")),
    script("/tickcast/authentication.js", client!("tickcast/authentication.js")),
    script("/tickcast/backoff.js", client!("tickcast/backoff.js")),
    script("/tickcast/candidate.js", client!("tickcast/candidate.js")),
    script("/tickcast/connection.js", client!("tickcast/connection.js")),
    script("/tickcast/elsewhere.js", client!("tickcast/elsewhere.js")),
    script("/tickcast/entry.js", client!("tickcast/entry.js")),
    script("/tickcast/error.js", client!("tickcast/error.js")),
    script("/tickcast/events.js", client!("tickcast/events.js")),
    script("/tickcast/http.js", client!("tickcast/http.js")),
    script("/tickcast/merge_patch.js", client!("tickcast/merge_patch.js")),
    script("/tickcast/messages.js", client!("tickcast/messages.js")),
    script("/tickcast/options.js", client!("tickcast/options.js")),
    script("/tickcast/outage.js", client!("tickcast/outage.js")),
    script("/tickcast/patterns.js", client!("tickcast/patterns.js")),
    script("/tickcast/pending.js", client!("tickcast/pending.js")),
    script("/tickcast/plan.js", client!("tickcast/plan.js")),
    script("/tickcast/reader.js", client!("tickcast/reader.js")),
    script("/tickcast/requests.js", client!("tickcast/requests.js")),
    script("/tickcast/retries.js", client!("tickcast/retries.js")),
    script("/tickcast/silence.js", client!("tickcast/silence.js")),
    script("/tickcast/sse.js", client!("tickcast/sse.js")),
    script("/tickcast/sse_stream.js", client!("tickcast/sse_stream.js")),
    script("/tickcast/sse_streams.js", client!("tickcast/sse_streams.js")),
    script("/tickcast/stream.js", client!("tickcast/stream.js")),
    script("/tickcast/subscription.js", client!("tickcast/subscription.js")),
    script("/tickcast/token.js", client!("tickcast/token.js")),
    script("/tickcast/topics.js", client!("tickcast/topics.js")),
    script("/tickcast/transport.js", client!("tickcast/transport.js")),
    script("/tickcast/wake.js", client!("tickcast/wake.js")),
    Asset {
        path: "/tickcast.d.ts",
        content_type: "text/typescript; charset=utf-8",
        body: client!("tickcast.d.ts"),
        is_page: false,
    },
];

const fn script(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, content_type: "text/javascript; charset=utf-8", body, is_page: false }
}

const fn style(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, content_type: "text/css; charset=utf-8", body, is_page: false }
}

/// The entity tag of each asset's bytes (RFC 9110 §8.8.3), in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| ASSETS.iter().map(|asset| tag_of(asset.body)).collect());

/// The module with the addresses of all brokers of the cluster. The file has an empty list, in the place of which
/// the setting is served.
const BROKERS: &str = "/live/brokers.js";
const NO_BROKERS: &str = "brokers = []";

/// What the page of this broker may reach besides the broker itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// The port of the admin listener, which is for operators.
    pub(super) admin_port: Option<u16>,
    /// The setting `brokers`.
    pub(super) brokers: Vec<Origin>,
}

/// A file, as its index in [`ASSETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AssetId(usize);

impl AssetId {
    /// Finds the file at a path.
    pub(super) fn find(path: &str) -> Option<AssetId> {
        ASSETS.iter().position(|asset| asset.path == path).map(AssetId)
    }
}

/// Answers with the file, or with 304 and no body if the client's copy is current.
pub(super) fn serve(id: AssetId, request: &HeaderMap, reach: &Reach) -> Reply {
    let asset = &ASSETS[id.0];
    let (body, tag) = match asset.path == BROKERS && !reach.brokers.is_empty() {
        true => with_brokers(asset.body, &reach.brokers),
        false => (Bytes::from_static(asset.body), TAGS[id.0].clone()),
    };
    let known = request.get_all(IF_NONE_MATCH).iter().any(|given| names(given, &tag));
    let body = if known { Bytes::new() } else { body };
    let mut reply = Response::new(body.into());
    if known {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(ETAG, tag);
    // A browser keeps it and revalidates it each time, so a page and its broker have the same version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if asset.is_page {
        headers.insert(CONTENT_SECURITY_POLICY, policy(request.get(HOST), reach));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    reply
}

/// The module with these addresses, and its entity tag.
fn with_brokers(module: &[u8], brokers: &[Origin]) -> (Bytes, HeaderValue) {
    let origins: Vec<String> = brokers.iter().map(Origin::to_string).collect();
    let list = format!("brokers = {}", serde_json::Value::from(origins));
    let body = String::from_utf8_lossy(module).replace(NO_BROKERS, &list);
    let tag = tag_of(body.as_bytes());
    (body.into(), tag)
}

/// The policy of a page: only the broker's own files, and connections to the page's own origin and to the brokers of the
/// cluster, so that content that a feed might smuggle in can reach no other host. Browsers that do not count `ws:` of the same host as `'self'` (Safari
/// before 15.4) need it named. The admin listener, on a port of the same host, is for operators.
fn policy(host: Option<&HeaderValue>, reach: &Reach) -> HeaderValue {
    // The host was checked before anything was answered: it holds no space, semicolon or comma.
    let sockets = host.and_then(|host| host.to_str().ok()).map(|host| {
        // A colon in brackets belongs to an IPv6 address.
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.contains(']') { host } else { name });
        let admin = reach.admin_port.map(|port| format!(" http://{name}:{port}"));
        format!(" ws://{host} wss://{host}{}", admin.unwrap_or_default())
    });
    let named = |origin: &Origin| Some(format!(" {origin} {}", origin.of_sockets()?));
    let brokers: String = reach.brokers.iter().filter_map(named).collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{}{brokers}; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        sockets.unwrap_or_default()
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn tag_of(body: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Returns whether an `If-None-Match` names a tag. It is `*` or a list of tags, strong or weak, which makes no
/// difference here.
fn names(given: &HeaderValue, tag: &HeaderValue) -> bool {
    let given = given.to_str().unwrap_or_default().split(',').map(str::trim);
    given.map(|one| one.strip_prefix("W/").unwrap_or(one)).any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

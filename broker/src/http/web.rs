//! Files for browsers, part of the program: what is served is what was built, and there is nothing to install beside it.
//!
//! Parameters are ignored here. They belong to the page that is opened with them, not to the broker.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::reply::Reply;

/// A file, and how it is served.
#[derive(Debug)]
pub(super) struct Asset {
    /// Where it is, from the root of the listener.
    path: &'static str,
    content_type: &'static str,
    /// What it has beside the headers that all of them have.
    headers: &'static [(HeaderName, &'static str)],
    body: &'static [u8],
}

/// All of them. A page that runs scripts adds its `Content-Security-Policy` as a header of its row.
static ASSETS: &[Asset] = &[
    script("/tickcast.js", include_bytes!("../../../dashboards/web/tickcast.js")),
    script("/tickcast/candidate.js", include_bytes!("../../../dashboards/web/tickcast/candidate.js")),
    script("/tickcast/entry.js", include_bytes!("../../../dashboards/web/tickcast/entry.js")),
    script("/tickcast/error.js", include_bytes!("../../../dashboards/web/tickcast/error.js")),
    script("/tickcast/events.js", include_bytes!("../../../dashboards/web/tickcast/events.js")),
    script("/tickcast/options.js", include_bytes!("../../../dashboards/web/tickcast/options.js")),
    script("/tickcast/requests.js", include_bytes!("../../../dashboards/web/tickcast/requests.js")),
    script("/tickcast/sse.js", include_bytes!("../../../dashboards/web/tickcast/sse.js")),
    script("/tickcast/stream.js", include_bytes!("../../../dashboards/web/tickcast/stream.js")),
    script("/tickcast/subscription.js", include_bytes!("../../../dashboards/web/tickcast/subscription.js")),
    script("/tickcast/transport.js", include_bytes!("../../../dashboards/web/tickcast/transport.js")),
    Asset {
        path: "/tickcast.d.ts",
        content_type: "text/typescript; charset=utf-8",
        headers: &[],
        body: include_bytes!("../../../dashboards/web/tickcast.d.ts"),
    },
];

const fn script(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, content_type: "text/javascript; charset=utf-8", headers: &[], body }
}

/// Of each asset in its place, the entity tag of its bytes (RFC 9110 §8.8.3).
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| ASSETS.iter().map(|asset| tag_of(asset.body)).collect());

/// The file at a path, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AssetId(usize);

impl AssetId {
    /// The file at a path.
    pub(super) fn find(path: &str) -> Option<AssetId> {
        ASSETS.iter().position(|asset| asset.path == path).map(AssetId)
    }
}

/// The file; or 304 and no body for who has exactly that already.
pub(super) fn serve(id: AssetId, request: &HeaderMap) -> Reply {
    let (asset, tag) = (&ASSETS[id.0], &TAGS[id.0]);
    let known = request.get_all(IF_NONE_MATCH).iter().any(|given| names(given, tag));
    let body = if known { Bytes::new() } else { Bytes::from_static(asset.body) };
    let mut reply = Response::new(Full::new(body));
    if known {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(ETAG, tag.clone());
    // Kept, and asked for anew each time: a page and the broker that it talks to are of the same version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in asset.headers {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn tag_of(body: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether an `If-None-Match` names a tag: a list of them, strong or weak, which makes no difference here, or `*`.
fn names(given: &HeaderValue, tag: &HeaderValue) -> bool {
    let given = given.to_str().unwrap_or_default().split(',').map(str::trim);
    given.map(|one| one.strip_prefix("W/").unwrap_or(one)).any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

//! Finds the resource that a path names, and the methods that it takes.

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::Method;

use super::percent::decode;
use super::web::AssetId;

/// A resource of the client listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v1/ws`
    WebSocket,
    /// `/v1/sse`
    Sse,
    /// `/v1/publish`
    Publish,
    /// `/v1/topics`
    Topics,
    /// `/v1/images`
    Images,
    /// `/v1/topics/{topic}`, the name decoded and not yet checked
    Topic(String),
    /// `/v1/topics/{topic}/history`
    History(String),
    /// A file for browsers
    Asset(AssetId),
}

impl Route {
    /// Finds the resource by the raw path, in which only a topic's name is ever encoded: `%2F` is a slash inside it.
    pub(super) fn find(path: &str) -> Result<Route, Refusal> {
        if let Some(asset) = AssetId::find(path) {
            return Ok(Route::Asset(asset));
        }
        let segments: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
        match segments.as_slice() {
            ["ws"] => Ok(Route::WebSocket),
            ["sse"] => Ok(Route::Sse),
            ["publish"] => Ok(Route::Publish),
            ["topics"] => Ok(Route::Topics),
            ["images"] => Ok(Route::Images),
            ["topics", topic] => decode(topic).map(Route::Topic),
            ["topics", topic, "history"] => decode(topic).map(Route::History),
            ["topics", ..] => Err(nothing(path, ": a slash inside a topic is written %2F")),
            _ => Err(nothing(path, "")),
        }
    }

    /// The methods that it takes, for `Allow`. HEAD works wherever GET does, except for an upgrade.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Route::WebSocket => &[Method::GET],
            Route::Sse => &[Method::GET, Method::HEAD, Method::POST],
            Route::Publish => &[Method::POST],
            Route::Topics | Route::Images | Route::History(_) | Route::Asset(_) => &[Method::GET, Method::HEAD],
            Route::Topic(_) => &[Method::GET, Method::HEAD, Method::POST, Method::DELETE],
        }
    }
}

/// The refusal for a path without a resource.
pub(super) fn nothing(path: &str, hint: &str) -> Refusal {
    let path: String = path.chars().take(80).collect();
    Refusal { code: ErrorCode::NotFound, message: format!("there is nothing at {path:?}{hint}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let topic = |name: &str| Some(Route::Topic(name.into()));
        let cases = [
            ("/v1/ws", Some(Route::WebSocket)),
            ("/v1/sse", Some(Route::Sse)),
            ("/v1/publish", Some(Route::Publish)),
            ("/v1/topics", Some(Route::Topics)),
            ("/v1/images", Some(Route::Images)),
            ("/v1/images/a", None),
            ("/v1/topics/stocks.AAPL.quote", topic("stocks.AAPL.quote")),
            ("/v1/topics/BTC%2FUSD", topic("BTC/USD")),
            ("/v1/topics/history", topic("history")),
            ("/v1/topics/a%2Fhistory", topic("a/history")),
            ("/v1/topics/history/history", Some(Route::History("history".into()))),
            ("/v1/topics/", topic("")),
            ("/v1/topics/BTC/USD", None),
            ("/v1/topics/a/history/", None),
            ("/v1/topics/%2", None),
            ("/tickcast.js", AssetId::find("/tickcast.js").map(Route::Asset)),
            ("/tickcast.js/", None),
            ("/Tickcast.js", None),
            ("/v1/tickcast.js", None),
            ("/v1/ws/", None),
            ("/v1/%77s", None),
            ("/v2/ws", None),
            ("/ws", None),
            ("/", AssetId::find("/").map(Route::Asset)),
            ("/live/main.js", AssetId::find("/live/main.js").map(Route::Asset)),
            ("/live/", None),
            ("/index.html", None),
            ("", None),
            ("*", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Route::find(path).ok(), expected, "{path}");
        }
    }
}

//! The resources of the admin listener.

use broker_protocol::request::Refusal;
use hyper::Method;

use super::super::percent::decode;
use super::super::route::nothing;

/// A resource of the admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/`
    Root,
    /// `/metrics`
    Metrics,
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/v1/connections`
    Connections,
    /// `/v1/connections/close`
    Close,
    /// `/v1/connections/{session}`
    Connection(String),
    /// `/v1/topics/{topic}/publishers`
    Publishers(String),
    /// `/v1/reload`
    Reload,
}

impl Resource {
    pub(super) fn find(path: &str) -> Result<Resource, Refusal> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            [""] => Ok(Resource::Root),
            ["metrics"] => Ok(Resource::Metrics),
            ["healthz"] => Ok(Resource::Health),
            ["readyz"] => Ok(Resource::Ready),
            ["v1", "reload"] => Ok(Resource::Reload),
            ["v1", "connections"] => Ok(Resource::Connections),
            ["v1", "connections", "close"] => Ok(Resource::Close),
            ["v1", "connections", session] => decode(session).map(Resource::Connection),
            ["v1", "topics", topic, "publishers"] => decode(topic).map(Resource::Publishers),
            ["v1", "topics", _, .., "publishers"] => Err(nothing(path, ": a slash inside a topic is written %2F")),
            _ => Err(nothing(path, "")),
        }
    }

    /// Whether it is served without the operator's token: whoever watches over the broker need not be an operator.
    pub(super) fn is_open(path: &str) -> bool {
        matches!(path, "/healthz" | "/readyz")
    }

    /// The methods that it takes.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Resource::Close | Resource::Reload => &[Method::POST],
            _ => &[Method::GET, Method::HEAD],
        }
    }
}

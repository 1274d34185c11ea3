//! The gate through which every request passes: a refused one is answered, logged and counted. A browser does not tell
//! its page why it cannot connect, so an operator finds the reason in the log.

use std::fmt::Display;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Request, Uri, Version};

use super::{Access, AccessRules, Denied, Origin, PagePorts, check};
use crate::sync::{read, write};

/// The rules, and the counts of refused requests.
#[derive(Debug)]
pub struct Gate {
    rules: RwLock<AccessRules>,
    denied: [AtomicU64; Denied::COUNTED.len()],
}

impl Gate {
    /// Makes a gate with these rules.
    pub fn new(rules: AccessRules) -> Gate {
        Gate { rules: RwLock::new(rules), denied: Default::default() }
    }

    /// Replaces the rules. Connections that are open stay open.
    pub(crate) fn change(&self, rules: AccessRules) {
        *write(&self.rules) = rules;
    }

    /// The origins of all brokers of the cluster.
    pub(crate) fn brokers(&self) -> Vec<Origin> {
        read(&self.rules).brokers.clone()
    }

    /// Checks one request to the client listener.
    pub(crate) fn admit<B>(&self, request: &Request<B>, remote: &dyn Display) -> Result<Access, Refusal> {
        self.admit_with(request, remote, None)
    }

    /// Checks one request to the admin listener, which the live page on these ports of the same host may ask.
    pub(crate) fn admit_operator<B>(
        &self,
        request: &Request<B>,
        remote: &dyn Display,
        pages: PagePorts,
    ) -> Result<Access, Refusal> {
        self.admit_with(request, remote, Some(pages))
    }

    fn admit_with<B>(
        &self,
        request: &Request<B>,
        remote: &dyn Display,
        pages: Option<PagePorts>,
    ) -> Result<Access, Refusal> {
        let (version, uri, headers) = (request.version(), request.uri(), request.headers());
        self.decide(version, uri, headers, pages)
            .inspect_err(|(what, refusal)| {
                if *what != Denied::Malformed {
                    let header = |name| text(headers, name);
                    let (what, origin, host) = (what.as_str(), header(ORIGIN), header(HOST));
                    tracing::warn!(what, origin, host, %remote, "a request was refused: {}", refusal.message);
                }
            })
            .map_err(|(_, refusal)| refusal)
    }

    fn decide(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
        pages: Option<PagePorts>,
    ) -> Result<Access, (Denied, Refusal)> {
        check(version, uri, headers, &read(&self.rules), pages).map_err(|denied| {
            self.count(denied.what);
            let code = if denied.what == Denied::Malformed { ErrorCode::BadRequest } else { ErrorCode::Forbidden };
            (denied.what, Refusal { code, message: denied.message })
        })
    }

    /// Counts a connection that did not begin as `proxy_protocol` requires.
    pub(crate) fn count_proxy(&self) {
        self.count(Denied::Proxy);
    }

    fn count(&self, what: Denied) {
        if let Some(index) = Denied::COUNTED.iter().position(|counted| *counted == what) {
            self.denied[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many requests were refused since the start, by reason.
    pub fn denied(&self) -> impl Iterator<Item = (Denied, u64)> {
        Denied::COUNTED.iter().zip(&self.denied).map(|(what, count)| (*what, count.load(Ordering::Relaxed)))
    }
}

/// A client's header for the log: bounded and printable.
fn text(headers: &HeaderMap, name: HeaderName) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_default().chars().take(80).flat_map(char::escape_default).collect()
}

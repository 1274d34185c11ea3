//! What is written down, and how.

use std::net::IpAddr;

use broker_protocol::codes::ErrorCode;
use serde::Serialize;

/// Everything that the audit log tells. A line is `{"ts":…,"event":"…",…}` with the fields below; `ts` is in microseconds
/// since the UNIX epoch. None of them ever has a token, or a part of one.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A client proved who it is, by a token or a certificate.
    LoginTaken {
        /// Who it is.
        sub: &'a str,
        /// Its connection; null over HTTP.
        session: Option<&'a str>,
        /// Where it comes from.
        address: IpAddr,
        /// When what it showed ends, in microseconds since the UNIX epoch; null if it does not end.
        expires_ts: Option<u64>,
    },
    /// What a client showed was not taken.
    LoginRefused {
        /// Its connection; null over HTTP.
        session: Option<&'a str>,
        /// Where it comes from.
        address: IpAddr,
        /// What was wrong, without any of it.
        reason: &'a str,
    },
    /// A client may not publish what it wanted to publish.
    PublishRefused {
        /// Who it is, if that is known.
        sub: Option<&'a str>,
        /// Its connection; null over HTTP.
        session: Option<&'a str>,
        /// Where it comes from.
        address: IpAddr,
        /// The topic.
        topic: &'a str,
    },
    /// A topic was ended.
    Deleted {
        /// By whom, if that is known.
        sub: Option<&'a str>,
        /// Where the request came from.
        address: IpAddr,
        /// The topic.
        topic: &'a str,
    },
    /// A topic was not ended.
    DeleteRefused {
        /// Who asked for it, if that is known.
        sub: Option<&'a str>,
        /// Where the request came from.
        address: IpAddr,
        /// The topic.
        topic: &'a str,
        /// Why not.
        #[serde(serialize_with = "word")]
        code: ErrorCode,
    },
    /// An operator closed connections.
    Closed {
        /// Where the request came from.
        address: IpAddr,
        /// What the connections had in common: `session`, `sub` or `address`.
        by: &'static str,
        /// Which one.
        of: &'a str,
        /// How many were closed.
        closed: u64,
    },
    /// The configuration was read again.
    Reloaded {
        /// Where the request came from; null for SIGHUP.
        address: Option<IpAddr>,
        /// The areas that were read.
        reloaded: &'a [&'static str],
        /// The settings that only a restart would change.
        needs_restart: &'a [&'static str],
    },
    /// The configuration could not be used, and nothing changed.
    ReloadRefused {
        /// Where the request came from; null for SIGHUP.
        address: Option<IpAddr>,
        /// All that is wrong with it.
        problems: &'a str,
    },
    /// An operator's request to the admin listener had a wrong token, or none.
    OperatorRefused {
        /// Where the request came from.
        address: IpAddr,
        /// The path.
        path: &'a str,
    },
}

fn word<S: serde::Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

/// A line: the time and the event's own fields.
#[derive(Serialize)]
struct Line<'a> {
    ts: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl Event<'_> {
    /// Whether a stranger can cause any number of these.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Event::LoginRefused { .. }
                | Event::PublishRefused { .. }
                | Event::DeleteRefused { .. }
                | Event::OperatorRefused { .. }
        )
    }

    /// The line, with its end.
    pub(super) fn line(&self, ts: u64) -> Vec<u8> {
        // All of these have a JSON form.
        let mut line = serde_json::to_vec(&Line { ts, event: self }).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_object_of_one_line() {
        let event = Event::LoginRefused { session: None, address: [192, 0, 2, 7].into(), reason: "a\nb" };
        let line = String::from_utf8(event.line(5)).unwrap();
        assert_eq!(
            line,
            "{\"ts\":5,\"event\":\"login_refused\",\"session\":null,\"address\":\"192.0.2.7\",\"reason\":\"a\\nb\"}\n"
        );
        let event = Event::DeleteRefused {
            sub: Some("x"),
            address: [192, 0, 2, 7].into(),
            topic: "t",
            code: ErrorCode::Forbidden,
        };
        assert!(String::from_utf8(event.line(5)).unwrap().ends_with("\"topic\":\"t\",\"code\":\"forbidden\"}\n"));
    }
}

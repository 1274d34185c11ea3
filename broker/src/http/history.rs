//! What is retained of a topic, over HTTP.

use std::net::IpAddr;

use broker_engine::{Ask, HistoryPage};
use broker_protocol::request::Refusal;

use super::client::Context;
use super::query::{Query, bad_request};
use super::reply::{self, Reply};
use super::topics::{check, missing};

/// Updates given where the request does not say which.
const LAST_DEFAULT: u64 = 100;

/// `GET /v1/topics/{topic}/history`
pub(super) fn page(query: Option<&str>, topic: &str, remote: IpAddr, context: &Context) -> Result<Reply, Refusal> {
    let query = Query::parse(query, &["last", "after"])?;
    let ask = match (query.number("last")?, query.number("after")?) {
        (Some(_), Some(_)) => return Err(bad_request("last and after exclude each other")),
        (None, Some(seq)) => Ask::After(seq),
        (last, None) => Ask::Last(last.unwrap_or(LAST_DEFAULT)),
    };
    check(topic)?;
    context.check_visible(topic, remote)?;
    let page = context.engine.history(topic, ask).ok_or_else(|| missing(format!("there is no topic {topic:?}")))?;
    Ok(reply::json(encode(&page)))
}

/// The updates are the messages that subscribers got, to the byte.
fn encode(page: &HistoryPage) -> Vec<u8> {
    let head = serde_json::json!({
        "topic": &**page.topic.name(),
        "epoch": page.topic.epoch(),
        "kind": page.topic.kind().as_str(),
        "seq": page.seq,
        "oldest": page.oldest,
    });
    let mut out = head.to_string().into_bytes();
    let bytes: usize = page.updates.iter().map(|update| update.payload().len() + 1).sum();
    out.reserve(bytes + 16);
    // The closing brace makes way for the last member.
    out.pop();
    out.extend_from_slice(b",\"updates\":[");
    for (index, update) in page.updates.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(update.payload());
    }
    out.extend_from_slice(b"]}");
    out
}

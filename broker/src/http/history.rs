//! The retained updates of a topic, over HTTP.
//!
//! The updates are read from the topic while they are written, up to the one that was the newest when the request came.
//! So a client that reads slowly holds none of them. Updates that expire meanwhile are replaced by a `gap`, as for a
//! subscriber.

use broker_engine::{Ask, HistoryPage};
use broker_protocol::message::{self, GapReason};
use broker_protocol::request::Refusal;

use super::answer::{AnswerBody, Out, PORTION_BYTES, Payload, Source};
use super::client::{Caller, Context};
use super::query::{Query, bad_request};
use super::reply::{self, Reply};
use super::topics::{check, missing};

/// The number of updates by default.
const LAST_DEFAULT: u64 = 100;
/// Updates that cost as much as one step of a walk.
const UPDATES_PER_STEP: usize = 2;

/// `GET /v1/topics/{topic}/history`
pub(super) async fn page(
    query: Option<&str>,
    topic: &str,
    caller: Caller<'_>,
    context: &Context,
) -> Result<Reply, Refusal> {
    let query = Query::parse(query, &["last", "after"])?;
    let ask = match (query.number("last")?, query.number("after")?) {
        (Some(_), Some(_)) => return Err(bad_request("last and after exclude each other")),
        (None, Some(seq)) => Ask::After(seq),
        (last, None) => Ask::Last(last.unwrap_or(LAST_DEFAULT)),
    };
    check(topic)?;
    context.check_read(topic, caller)?;
    let page = context.engine.history(topic, ask).ok_or_else(|| missing(format!("there is no topic {topic:?}")))?;
    let history = History { next: page.first, page, begun: false, comma: false };
    AnswerBody::from_source(Box::new(history), &context.reads, context.bodies.hold(caller.peer)).await.map(reply::json)
}

/// A history that is being written.
struct History {
    page: HistoryPage,
    next: u64,
    begun: bool,
    comma: bool,
}

impl History {
    fn begin(&mut self, out: &mut Out) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let head = serde_json::json!({
            "topic": &**self.page.topic.name(),
            "epoch": self.page.topic.epoch(),
            "kind": self.page.topic.kind().as_str(),
            "seq": self.page.seq,
            "oldest": self.page.oldest,
        });
        out.write(|out| {
            out.extend_from_slice(head.to_string().as_bytes());
            // The closing brace is removed, so that the last member can follow.
            out.pop();
            out.extend_from_slice(b",\"updates\":[");
        });
    }

    fn comma(&mut self, out: &mut Out) {
        if std::mem::replace(&mut self.comma, true) {
            out.write(|out| out.push(b','));
        }
    }
}

impl Source for History {
    fn go_on(&mut self, out: &mut Out, steps: &mut usize) -> bool {
        self.begin(out);
        while *steps > 0 && !out.is_full() && self.next <= self.page.seq {
            let (first, updates) = self.page.updates(self.next, *steps * UPDATES_PER_STEP, PORTION_BYTES);
            *steps = steps.saturating_sub(1 + updates.len() / UPDATES_PER_STEP);
            if first > self.next {
                self.comma(out);
                let (name, lost) = (self.page.topic.name(), (self.next, self.page.seq.min(first - 1)));
                out.write(|out| message::gap(out, name, lost.0, lost.1, GapReason::Expired));
            }
            self.next = first + updates.len() as u64;
            // The updates are the messages that subscribers got, to the byte.
            for update in updates {
                self.comma(out);
                out.push(Payload(update));
            }
        }
        let more = self.next <= self.page.seq;
        if !more {
            out.write(|out| out.extend_from_slice(b"]}"));
        }
        more
    }
}

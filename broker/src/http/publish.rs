//! Publishing over HTTP: one update, or many as NDJSON.

use std::borrow::Cow;
use std::time::Duration;

use broker_engine::{Published, Publisher};
use broker_protocol::codes::ErrorCode;
use broker_protocol::data::Data;
use broker_protocol::kind::Kind;
use broker_protocol::message::{published_body, published_lines};
use broker_protocol::request::{ID_BYTES_MAX, Publication, Refusal, parse_line};
use bytes::Bytes;
use hyper::Request;
use hyper::body::Body;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::body::{check_type, read};
use super::client::Context;
use super::query::{Query, bad_request};
use super::reply::{self, Reply};

/// Lines taken in before others on this thread have their turn.
const LINES_PER_TURN: usize = 64;

/// Rejected lines that are listed one by one; the rest is counted in a last entry. A body can hold millions of bad lines.
const REJECTED_LISTED_MAX: usize = 10_000;

/// How long a publish waits for the shards to catch up before it is `unavailable`.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(5);

/// `POST /v1/topics/{topic}`
pub(super) async fn one<B>(request: Request<B>, topic: &str, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    counted(one_in(request, topic, context).await, context)
}

/// `POST /v1/publish`
pub(super) async fn many<B>(request: Request<B>, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    counted(lines_in(request, context).await, context)
}

/// Counts what is refused.
fn counted<T>(result: Result<T, Refusal>, context: &Context) -> Result<T, Refusal> {
    result.inspect_err(|refusal| context.engine.count_refused(refusal.code))
}

async fn one_in<B>(request: Request<B>, topic: &str, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let query = Query::parse(request.uri().query(), &["kind", "source", "source_seq", "source_ts"])?;
    let kind = kind(&query)?;
    let source = source(&query)?;
    let source_ts = query.number("source_ts")?;
    check_type(request.headers(), &["application/json"])?;
    let body = read(request.into_body(), context.bounds(context.message_bytes, "message_bytes")).await?;
    let text = std::str::from_utf8(&body.bytes).map_err(|_| not_utf8())?;
    let data = Data::check(text)?;
    if kind == Some(Kind::Patch) {
        data.patch()?;
    }
    let update = Publication { topic: Cow::Borrowed(topic), kind, data, source, source_ts };
    let published = publish(&update, context).await?;
    let mut out = Vec::new();
    let at = &published.topic;
    published_body(&mut out, at.name(), at.epoch(), published.seq, published.duplicate);
    Ok(reply::json(out))
}

async fn lines_in<B>(request: Request<B>, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    Query::parse(request.uri().query(), &[])?;
    check_type(request.headers(), &["application/x-ndjson", "application/json"])?;
    let body = read(request.into_body(), context.bounds(context.ndjson_bytes_max, "ndjson_bytes_max")).await?;
    let (mut accepted, mut duplicates) = (0, 0);
    let mut rejected = Rejected::default();
    for (index, line) in body.bytes.split(|byte| *byte == b'\n').enumerate() {
        match counted(line_in(line, context).await, context) {
            Ok(None) => {}
            Ok(Some(published)) => {
                accepted += 1;
                duplicates += u64::from(published.duplicate);
            }
            Err(refusal) => rejected.add(index + 1, refusal),
        }
        if (index + 1).is_multiple_of(LINES_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
    let mut out = Vec::new();
    published_lines(&mut out, accepted, duplicates, &rejected.into_list());
    Ok(reply::json(out))
}

/// One line, without its line feed; `None` where it is blank.
async fn line_in(line: &[u8], context: &Context) -> Result<Option<Published>, Refusal> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    if line.len() as u64 > context.message_bytes {
        let message = format!("the line has more than {} bytes (message_bytes)", context.message_bytes);
        return Err(Refusal { code: ErrorCode::TooLarge, message });
    }
    let text = std::str::from_utf8(line).map_err(|_| not_utf8())?;
    publish(&parse_line(text)?, context).await.map(Some)
}

/// Publishes as soon as the shards are near enough.
async fn publish(update: &Publication<'_>, context: &Context) -> Result<Published, Refusal> {
    if !context.engine.has_room() {
        wait_for_room(context).await?;
    }
    context.engine.publish((context.now)(), update, Publisher::Client)
}

/// The shards say how far they are once per round; looking every millisecond is often enough, and needs no list of waiters.
async fn wait_for_room(context: &Context) -> Result<(), Refusal> {
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < ROOM_WAIT_MAX {
        ticks.tick().await;
        if context.engine.has_room() {
            return Ok(());
        }
    }
    Err(Refusal { code: ErrorCode::Unavailable, message: "the broker is behind with what was published before".into() })
}

fn kind(query: &Query) -> Result<Option<Kind>, Refusal> {
    let Some(text) = query.text("kind") else { return Ok(None) };
    Kind::parse(text).map(Some).ok_or_else(|| bad_request("the parameter kind must be event, state or patch"))
}

fn source(query: &Query) -> Result<Option<(Cow<'_, str>, u64)>, Refusal> {
    match (query.text("source"), query.number("source_seq")?) {
        (None, None) => Ok(None),
        (Some(source), Some(_)) if source.len() > ID_BYTES_MAX => {
            Err(bad_request(format!("the parameter source must be at most {ID_BYTES_MAX} bytes long")))
        }
        (Some(source), Some(seq)) => Ok(Some((Cow::Borrowed(source), seq))),
        (Some(_), None) => Err(bad_request("the parameter source needs source_seq")),
        (None, Some(_)) => Err(bad_request("the parameter source_seq needs source")),
    }
}

fn not_utf8() -> Refusal {
    Refusal { code: ErrorCode::BadJson, message: "this is not UTF-8".into() }
}

#[derive(Default)]
struct Rejected {
    listed: Vec<(usize, ErrorCode, String)>,
    /// The first line that is not listed, and how many there are from it on.
    more: Option<(usize, u64)>,
}

impl Rejected {
    fn add(&mut self, line: usize, refusal: Refusal) {
        if self.listed.len() < REJECTED_LISTED_MAX {
            self.listed.push((line, refusal.code, refusal.message));
        } else {
            self.more.get_or_insert((line, 0)).1 += 1;
        }
    }

    fn into_list(mut self) -> Vec<(usize, ErrorCode, String)> {
        if let Some((line, count)) = self.more {
            let message = format!("from this line on {count} lines were rejected and are not listed");
            self.listed.push((line, ErrorCode::Limit, message));
        }
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_lines_are_listed_to_a_bound_and_counted_beyond() {
        let mut rejected = Rejected::default();
        for line in 1..=REJECTED_LISTED_MAX + 5 {
            rejected.add(line, not_utf8());
        }
        let list = rejected.into_list();
        assert_eq!(list.len(), REJECTED_LISTED_MAX + 1);
        let (line, code, message) = &list[REJECTED_LISTED_MAX];
        assert_eq!((*line, *code), (REJECTED_LISTED_MAX + 1, ErrorCode::Limit));
        assert!(message.contains(" 5 lines"), "{message}");
    }

    #[test]
    fn a_source_needs_its_number() {
        let parse = |text| {
            Query::parse(Some(text), &["source", "source_seq"]).and_then(|query| source(&query).map(|s| s.is_some()))
        };
        assert_eq!(parse(""), Ok(false));
        assert_eq!(parse("source=a&source_seq=1"), Ok(true));
        for text in
            ["source=a", "source_seq=1", "source=a&source_seq=x", &format!("source={}&source_seq=1", "x".repeat(65))]
        {
            assert_eq!(parse(text).map_err(|refusal| refusal.code), Err(ErrorCode::BadRequest), "{text}");
        }
    }
}

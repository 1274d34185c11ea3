//! Publishing over HTTP: one update, or many as NDJSON.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker_engine::journal::unknown;
use broker_engine::{Published, Publisher};
use broker_protocol::codes::ErrorCode;
use broker_protocol::data::Data;
use broker_protocol::kind::Kind;
use broker_protocol::message::published_body;
use broker_protocol::request::{ID_BYTES_MAX, Publication, Refusal, parse_line};
use bytes::Bytes;
use hyper::Request;
use hyper::body::Body;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Author;
use super::answer::{AnswerBody, Out};
use super::awaiting::{Answer, Awaiting};
use super::body::{check_type, read};
use super::budget::{Held, unavailable};
use super::client::{Caller, Context};
use super::lines::{Lines, Next};
use super::query::{Query, bad_request};
use super::quota::PublishQuota;
use super::rejected::Rejected;
use super::reply::{self, Reply};
use crate::audit::Event;

/// Bytes of lines that are published in one turn.
const TURN_BYTES: usize = 32 << 10;
/// The cost of publishing a line besides its bytes, in bytes.
const LINE_BYTES: usize = 128;
/// The cost of a blank line, in bytes.
const BLANK_BYTES: usize = 8;
/// A line that is only counted costs this many times less.
const COUNTING_IS_CHEAPER: usize = 16;
/// A single update that is larger than this is published in a turn.
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// The longest time for which a portion of many updates waits for shards that do not keep up.
const PACE_WAIT_MAX: Duration = Duration::from_millis(100);
/// How long one request waits for the shards to catch up before its updates are `unavailable`.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(5);

/// `POST /v1/topics/{topic}`
pub(super) async fn one<B>(
    request: Request<B>,
    topic: &str,
    caller: Caller<'_>,
    context: &Context,
) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    counted(one_in(request, topic, caller, context).await, context)
}

/// `POST /v1/publish`
pub(super) async fn many<B>(request: Request<B>, caller: Caller<'_>, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    counted(lines_in(request, caller, context).await, context)
}

/// Counts a refusal.
fn counted<T>(result: Result<T, Refusal>, context: &Context) -> Result<T, Refusal> {
    result.inspect_err(|refusal| context.engine.count_refused(refusal.code))
}

async fn one_in<B>(request: Request<B>, topic: &str, caller: Caller<'_>, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let query = Query::parse(request.uri().query(), &["kind", "source", "source_seq", "source_ts"])?;
    let kind = kind(&query)?;
    let source = source(&query)?;
    let source_ts = query.number("source_ts")?;
    check_allowed(topic, caller, context)?;
    check_type(request.headers(), &["application/json"])?;
    let bounds = context.bounds(context.message_bytes, "message_bytes", caller.peer);
    let (bytes, held) = read(request.into_body(), bounds).await?.into_bytes();
    // A body may take long, and what the client had then may have ended.
    let again = context.again(caller)?;
    let caller = Caller { who: again.as_ref().unwrap_or(caller.who), ..caller };
    check_allowed(topic, caller, context)?;
    if bytes.len() > AT_ONCE_BYTES_MAX {
        context.publishes.turn().await;
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| not_utf8())?;
    let data = Data::check(text)?;
    if kind == Some(Kind::Patch) {
        data.patch()?;
    }
    let mut quota = PublishQuota::of(context, caller);
    if let Err(refusal) = quota.take(data.raw().len()) {
        context.engine.count_refused(refusal.code);
        return Ok(reply::rate_limited(&refusal.message, quota.retry_ms().unwrap_or(1)));
    }
    Room::default().wait(&held, context).await?;
    let update = Publication { topic: Cow::Borrowed(topic), kind, data, source, source_ts };
    let mut journaled = context.engine.journal().map(Awaiting::new);
    let published = match publish(&update, caller, context, journaled.as_mut().map(|awaiting| (awaiting, 0)))? {
        Some(published) => published,
        None => back(answer(journaled.as_mut()).await?, caller, context).1?,
    };
    let mut out = Vec::new();
    let at = &published.topic;
    published_body(&mut out, at.name(), at.epoch(), published.seq, published.duplicate);
    Ok(reply::json(out.into()))
}

async fn lines_in<B>(request: Request<B>, caller: Caller<'_>, context: &Context) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    Query::parse(request.uri().query(), &[])?;
    check_type(request.headers(), &["application/x-ndjson", "application/json"])?;
    let bounds = context.bounds(context.ndjson_bytes_max.load(Ordering::Relaxed), "ndjson_bytes_max", caller.peer);
    let body = read(request.into_body(), bounds).await?;
    let again = context.again(caller)?;
    let caller = Caller { who: again.as_ref().unwrap_or(caller.who), ..caller };
    let held = body.held;
    // A line may end with CR LF.
    let line_bytes_max = usize::try_from(context.message_bytes).unwrap_or(usize::MAX).saturating_add(1);
    let mut lines = Lines::new(body.blocks, line_bytes_max);
    let (mut number, mut room) = (0, Room::default());
    let mut tally = Tally::default();
    let mut quota = PublishQuota::of(context, caller);
    let mut cost = 0;
    let mut journaled = context.engine.journal().map(Awaiting::new);
    loop {
        if cost >= TURN_BYTES {
            cost = 0;
            context.publishes.turn().await;
            keep_pace(context).await;
        }
        let line = match lines.next() {
            Next::End => break,
            Next::Used(bytes) => {
                held.shrink(bytes);
                continue;
            }
            Next::Blank => {
                number += 1;
                cost += BLANK_BYTES;
                continue;
            }
            Next::Line(line) => line,
        };
        number += 1;
        // The lines of a body that was given up are only counted.
        cost += (line.len() + LINE_BYTES) / if held.is_given_up() { COUNTING_IS_CHEAPER } else { 1 };
        let result = match room.wait(&held, context).await {
            Ok(()) => {
                let awaiting = journaled.as_mut().map(|awaiting| (awaiting, number));
                line_in(line, caller, &mut quota, context, awaiting)
            }
            Err(refusal) => Err(refusal),
        };
        let Some(awaiting) = &mut journaled else {
            if let Some(answer) = result.transpose() {
                tally.add((number, answer), &held, context);
            }
            continue;
        };
        if let Err(refusal) = result {
            awaiting.submitted(number, Err(refusal));
        }
        while let Some(answer) = awaiting.take() {
            tally.add(back(answer, caller, context), &held, context);
        }
        while awaiting.is_full()
            && let Some(answer) = awaiting.next().await
        {
            tally.add(back(answer, caller, context), &held, context);
        }
    }
    while let Some(awaiting) = &mut journaled
        && let Some(answer) = awaiting.next().await
    {
        tally.add(back(answer, caller, context), &held, context);
    }
    // The answer says what was published even if the body was given up in the middle.
    let held = if held.is_given_up() { context.bodies.hold(caller.peer) } else { held };
    AnswerBody::of(tally.answer(quota.retry_ms()), &context.reads, held).map(reply::json)
}

/// What came of the lines so far.
#[derive(Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    rejected: Rejected,
}

impl Tally {
    /// Adds what came of a line.
    fn add(&mut self, (number, answer): (u64, Answer), held: &Held, context: &Context) {
        match counted(answer, context) {
            Ok(published) => {
                self.accepted += 1;
                self.duplicates += u64::from(published.duplicate);
            }
            Err(refusal) => self.rejected.add(number, &refusal, held),
        }
    }

    fn answer(self, retry_ms: Option<u64>) -> Out {
        self.rejected.answer(self.accepted, self.duplicates, retry_ms)
    }
}

/// Publishes one line, without its line feed.
fn line_in(
    line: &[u8],
    caller: Caller<'_>,
    quota: &mut PublishQuota<'_>,
    context: &Context,
    journaled: Option<(&mut Awaiting<'_>, u64)>,
) -> Result<Option<Published>, Refusal> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() as u64 > context.message_bytes {
        let message = format!("the line has more than {} bytes (message_bytes)", context.message_bytes);
        return Err(Refusal { code: ErrorCode::TooLarge, message });
    }
    let text = std::str::from_utf8(line).map_err(|_| not_utf8())?;
    let update = parse_line(text)?;
    check_allowed(&update.topic, caller, context)?;
    quota.take(update.data.raw().len())?;
    publish(&update, caller, context, journaled)
}

/// Publishes one update, and keeps account of who did it. With a journal it is submitted under this number, and what
/// comes of it is told later.
fn publish(
    update: &Publication<'_>,
    caller: Caller<'_>,
    context: &Context,
    journaled: Option<(&mut Awaiting<'_>, u64)>,
) -> Result<Option<Published>, Refusal> {
    let engine = &context.engine;
    let result = match journaled {
        None => {
            let now = (context.now)();
            let published = engine.publish(now, update, Publisher::Client);
            published.inspect(|published| context.note_publisher(now, published, caller)).map(Some)
        }
        Some((awaiting, number)) => {
            let submitted = engine.submit_publish(awaiting.journal, update, awaiting.reply_to(number));
            submitted.map(|()| {
                awaiting.submitted(number, Ok(()));
                None
            })
        }
    };
    result.inspect_err(|refusal| note_forbidden(refusal, &update.topic, caller, context))
}

/// Waits for the answer to the only update of a request.
async fn answer(journaled: Option<&mut Awaiting<'_>>) -> Result<(u64, Answer), Refusal> {
    match journaled {
        Some(awaiting) => awaiting.next().await.ok_or_else(unknown),
        None => Err(unknown()),
    }
}

/// Keeps account of who published an update that is back from the log.
fn back(answer: (u64, Answer), caller: Caller<'_>, context: &Context) -> (u64, Answer) {
    if let (_, Ok(published)) = &answer {
        let now = (context.now)();
        context.engine.note_publish(now);
        context.note_publisher(now, published, caller);
    }
    answer
}

/// Refuses an update to a topic to which the client may not publish.
fn check_allowed(topic: &str, caller: Caller<'_>, context: &Context) -> Result<(), Refusal> {
    caller.who.check_publish(topic).inspect_err(|refusal| note_forbidden(refusal, topic, caller, context))
}

/// Keeps account of who tried what is forbidden.
fn note_forbidden(refusal: &Refusal, topic: &str, caller: Caller<'_>, context: &Context) {
    if refusal.code == ErrorCode::Forbidden {
        let Author { sub, address } = caller.author();
        let event = Event::PublishRefused { sub: sub.as_deref(), session: None, address, topic };
        context.audit.record((context.now)(), &event);
    }
}

/// Waits a moment if the shards do not keep up, so that one client's many updates do not delay those of others.
async fn keep_pace(context: &Context) {
    let end = Instant::now() + PACE_WAIT_MAX;
    while !context.engine.keeps_up() && Instant::now() < end {
        sleep(Duration::from_millis(1)).await;
    }
}

/// The wait until the shards have caught up with the publishers. One request has one deadline, however many updates it
/// has.
#[derive(Default)]
struct Room {
    until: Option<Instant>,
}

impl Room {
    /// Waits for room in the feed.
    ///
    /// # Errors
    /// `unavailable` if the time is up, or if the request's body was given up.
    async fn wait(&mut self, held: &Held, context: &Context) -> Result<(), Refusal> {
        if held.is_given_up() {
            return Err(unavailable());
        }
        if context.engine.has_room() {
            return Ok(());
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + ROOM_WAIT_MAX);
        // The shards report how far they have read once per round. Looking every millisecond is often enough, and needs
        // no list of waiters.
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            tokio::select! {
                biased;
                () = held.given_up() => return Err(unavailable()),
                _ = ticks.tick() => {}
            }
            if context.engine.has_room() {
                return Ok(());
            }
        }
        let message = "the broker is behind: it still delivers what was published before".into();
        Err(Refusal { code: ErrorCode::Unavailable, message })
    }
}

fn kind(query: &Query) -> Result<Option<Kind>, Refusal> {
    query.word("kind", Kind::parse, "event, state or patch")
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
    Refusal { code: ErrorCode::BadJson, message: "the body or line is not UTF-8".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

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

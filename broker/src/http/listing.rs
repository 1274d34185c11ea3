//! Listings in pages: of topics, and of their images.

use std::sync::Arc;

use broker_engine::{Engine, Met, TopicRow, Walk};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{page_begin, page_end};
use broker_protocol::pattern::{Pattern, Segment};
use broker_protocol::request::Refusal;
use serde::Serialize;

use super::answer::{AnswerBody, Out, Payload, Source};
use super::client::{Caller, Context};
use super::query::Query;
use super::reply::{self, Reply};
use super::topics::check;

/// How many items are listed by default, and at most.
const LISTED: (u64, u64) = (100, 1000);

/// A page of images ends before it would be longer than this, but has at least one image.
const IMAGES_BYTES_MAX: usize = 8 << 20;
/// The bytes around the images of a page, the longest name included.
const PAGE_BYTES: usize = 512;

/// The cost of writing one item, in steps of a walk.
const ROW_STEPS: usize = 2;
/// The bytes of an image that cost about as much as a step.
const BYTES_PER_STEP: usize = 512;

/// The items of a listing.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Topics,
    Images,
}

/// `GET /v1/topics`, `GET /v1/images`
pub(super) async fn page(of: Of, query: Option<&str>, caller: Caller<'_>, context: &Context) -> Result<Reply, Refusal> {
    let query = Query::parse(query, &["match", "limit", "after"])?;
    let pattern = Pattern::parse(query.text("match").unwrap_or(">"))
        .map_err(|error| Refusal { code: ErrorCode::BadPattern, message: error.to_string() })?;
    let permissions = caller.who.permissions()?.cloned();
    // Only a pattern that names the first segment reaches the broker's own topics. With permissions, `match` is a filter.
    if let Some(Segment::Literal(first)) = pattern.segments().next()
        && permissions.is_none()
    {
        context.check_read(first, caller)?;
    }
    let limit = query.count("limit", LISTED.0, 1, LISTED.1)?;
    let after = query.text("after");
    if let Some(after) = after {
        check(after)?;
    }
    let page = Page {
        engine: context.engine.clone(),
        walk: Walk::new(pattern, after).permitted(permissions),
        limit,
        written: 0,
        last: None,
        begun: false,
    };
    let source: Box<dyn Source> = match of {
        Of::Topics => Box::new(Topics(page)),
        Of::Images => Box::new(Images { page, bytes: 0 }),
    };
    AnswerBody::from_source(source, &context.reads, context.bodies.hold(caller.peer)).await.map(reply::json)
}

/// A page that is being written.
struct Page {
    engine: Arc<Engine>,
    walk: Walk,
    limit: usize,
    written: usize,
    /// The name of the item that was written last.
    last: Option<Arc<str>>,
    begun: bool,
}

impl Page {
    fn begin(&mut self, out: &mut Out, list: &str) {
        if !self.begun {
            self.begun = true;
            out.write(|out| page_begin(out, list));
        }
    }

    /// Begins one more item of the list.
    fn begin_item(&mut self, out: &mut Out, name: Arc<str>) {
        if self.written > 0 {
            out.write(|out| out.push(b','));
        }
        self.written += 1;
        self.last = Some(name);
    }

    fn end(&self, out: &mut Out, more: bool) {
        let next = self.last.as_deref().filter(|_| more);
        out.write(|out| page_end(out, next));
    }
}

struct Topics(Page);

impl Source for Topics {
    fn go_on(&mut self, out: &mut Out, steps: &mut usize) -> bool {
        let Topics(page) = self;
        page.begin(out, "topics");
        while !out.is_full() {
            let row = match page.engine.next_row(&mut page.walk, steps) {
                Met::One(row) => row,
                Met::Pause => return true,
                Met::End => {
                    page.end(out, false);
                    return false;
                }
            };
            if page.written == page.limit {
                page.end(out, true);
                return false;
            }
            *steps = steps.saturating_sub(ROW_STEPS);
            page.begin_item(out, row.topic.clone());
            out.write(|out| push_row(out, &row));
        }
        true
    }
}

#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    kind: &'a str,
    epoch: &'a str,
    seq: u64,
    oldest: u64,
    subscribers: u64,
    last_ts: u64,
}

fn push_row(out: &mut Vec<u8>, row: &TopicRow) {
    let row = Row {
        topic: &row.topic,
        kind: row.kind.as_str(),
        epoch: &row.epoch,
        seq: row.seq,
        oldest: row.oldest,
        subscribers: row.subscribers,
        last_ts: row.last_ts,
    };
    // Writing to memory does not fail, and all of these have a JSON form.
    let _ = serde_json::to_writer(out, &row);
}

struct Images {
    page: Page,
    bytes: usize,
}

impl Source for Images {
    fn go_on(&mut self, out: &mut Out, steps: &mut usize) -> bool {
        let page = &mut self.page;
        page.begin(out, "images");
        while !out.is_full() {
            let image = match page.engine.next_image(&mut page.walk, steps) {
                Met::One(image) => image,
                Met::Pause => return true,
                Met::End => {
                    page.end(out, false);
                    return false;
                }
            };
            if page.written == page.limit {
                page.end(out, true);
                return false;
            }
            *steps = steps.saturating_sub(ROW_STEPS + image.bytes() / BYTES_PER_STEP);
            let payload = Payload(image.encode());
            self.bytes += payload.as_ref().len() + 1;
            if page.written > 0 && self.bytes + PAGE_BYTES > IMAGES_BYTES_MAX {
                page.end(out, true);
                return false;
            }
            page.begin_item(out, image.topic().clone());
            out.push(payload);
        }
        true
    }
}

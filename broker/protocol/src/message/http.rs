//! Bodies of HTTP answers: the fields of the WebSocket answers, without `op` and `id`.

use super::answer::{accepted, code_and_message, how_many};
use super::object::Object;
use crate::codes::ErrorCode;

/// The body of an error.
pub fn http_error(out: &mut Vec<u8>, code: ErrorCode, message: &str) {
    let mut body = Object::open(out);
    code_and_message(&mut Object::open(body.key("error")), code, message).close();
    body.close();
}

/// The beginning of a page; its items follow, separated by commas.
pub fn page_begin(out: &mut Vec<u8>, list: &str) {
    Object::open(out).key(list).push(b'[');
}

/// The end of a page; `next` is the name after which to continue.
pub fn page_end(out: &mut Vec<u8>, next: Option<&str>) {
    out.push(b']');
    Object::go_on(out).text_or_null("next", next).close();
}

/// The answer for one published update, or an ended topic.
pub fn published_body(out: &mut Vec<u8>, topic: &str, epoch: &str, seq: u64, duplicate: bool) {
    accepted(&mut Object::open(out), topic, epoch, seq, duplicate);
}

/// The beginning of the answer for many updates. The rejected lines follow, then [`published_lines_end`].
pub fn published_lines_begin(out: &mut Vec<u8>, accepted: u64, duplicates: u64) {
    how_many(&mut Object::open(out), accepted, duplicates).key("rejected").push(b'[');
}

/// Appends one rejected line, counted from 1. `out` contains nothing but such lines.
pub fn rejected_line(out: &mut Vec<u8>, line: u64, code: ErrorCode, message: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    code_and_message(Object::open(out).number("line", line), code, message).close();
}

/// The end of the answer for many updates; `retry_ms` says when those that a quota refused will fit.
pub fn published_lines_end(out: &mut Vec<u8>, retry_ms: Option<u64>) {
    out.push(b']');
    Object::go_on(out).number_if("retry_ms", retry_ms).close();
}

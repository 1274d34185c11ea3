//! Bodies of HTTP answers: what the WebSocket answers say, without `op` and `id`.

use super::answer::{accepted, code_and_message, counted};
use super::object::Object;
use crate::codes::ErrorCode;

/// The body of an error.
pub fn http_error(out: &mut Vec<u8>, code: ErrorCode, message: &str) {
    let mut body = Object::open(out);
    code_and_message(&mut Object::open(body.key("error")), code, message).close();
    body.close();
}

/// A page of images, each the payload that [`super::image`] writes; `next` is the name to ask for more after.
pub fn images_body(out: &mut Vec<u8>, images: impl IntoIterator<Item: AsRef<[u8]>>, next: Option<&str>) {
    Object::open(out)
        .list("images", images, |out, image| out.extend_from_slice(image.as_ref()))
        .text_or_null("next", next)
        .close();
}

/// One update was published, or a topic ended.
pub fn published_body(out: &mut Vec<u8>, topic: &str, epoch: &str, seq: u64, duplicate: bool) {
    accepted(&mut Object::open(out), topic, epoch, seq, duplicate);
}

/// Many were published. What was rejected is named by its line, from 1.
pub fn published_lines(out: &mut Vec<u8>, accepted: u64, duplicates: u64, rejected: &[(usize, ErrorCode, String)]) {
    counted(&mut Object::open(out), "line", accepted, duplicates, rejected);
}

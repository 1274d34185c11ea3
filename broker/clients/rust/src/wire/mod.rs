//! The messages of the protocol, as a client reads and writes them: JSON in, JSON out, no I/O.

pub(crate) mod entry;
pub(crate) mod incoming;
pub(crate) mod outgoing;
mod raw;

/// Appends a JSON string. Names rarely need an escape, so they are looked at before they are handed to serde.
fn push_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

//! The NATS client protocol (docs.nats.io, "Client Protocol"): lines and counted payloads, a stream of bytes inside
//! binary WebSocket frames.

use std::io::Write as _;

use memchr::memmem;

use super::{Entry, Received};

pub(super) fn connect(out: &mut Vec<u8>) {
    out.extend(
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"loadgen\",\"version\":\"1\",\"protocol\":1}\r\n",
    );
}

pub(super) fn subscribe(out: &mut Vec<u8>, entries: &[Entry<'_>]) {
    connect(out);
    for (index, entry) in entries.iter().enumerate() {
        write!(out, "SUB {} {}\r\n", entry.name, index + 1).expect("memory takes everything");
    }
    // The answer to it means that all of that was taken.
    out.extend(b"PING\r\n");
}

pub(super) fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    write!(out, "PUB {topic} {}\r\n", payload.len()).expect("memory takes everything");
    out.extend(payload);
    out.extend(b"\r\n");
}

pub(super) fn decode(bytes: &[u8], each: &mut impl FnMut(Received<'_>)) -> Result<usize, String> {
    let mut at = 0;
    while let Some(end) = memmem::find(&bytes[at..], b"\r\n") {
        let line = &bytes[at..at + end];
        let after = at + end + 2;
        match line.split(|byte| *byte == b' ').next().unwrap_or_default() {
            // MSG <subject> <sid> [reply-to] <#bytes>
            b"MSG" => {
                let len = line.rsplit(|byte| *byte == b' ').next().and_then(|len| std::str::from_utf8(len).ok());
                let len: usize = len.and_then(|len| len.parse().ok()).ok_or_else(|| quote(line))?;
                let Some(data) = bytes.get(after..after + len + 2) else { return Ok(at) };
                let topic = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
                each(Received::Update { topic, seq: None, from: None, ts_us: 0, data: &data[..len] });
                at = after + len + 2;
                continue;
            }
            b"PING" => each(Received::Reply(b"PONG\r\n")),
            b"PONG" => each(Received::Subscribed),
            b"-ERR" => each(Received::Refused(quote(line))),
            b"INFO" | b"+OK" => {}
            _ => return Err(quote(line)),
        }
        at = after;
    }
    Ok(at)
}

fn quote(line: &[u8]) -> String {
    format!("the server sent {:?}", String::from_utf8_lossy(&line[..line.len().min(200)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decoded_however_they_are_split() {
        let bytes = b"INFO {}\r\nPONG\r\nMSG a.b 1 5\r\nhe\r\no\r\nPING\r\nMSG a 2 reply 0\r\n\r\n-ERR 'x'\r\n";
        let whole = decoded(&[bytes]);
        assert_eq!(whole.len(), 5, "{whole:?}");
        for cut in 0..bytes.len() {
            assert_eq!(decoded(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
    }

    fn decoded(parts: &[&[u8]]) -> Vec<String> {
        let (mut all, mut rest) = (Vec::new(), Vec::new());
        for part in parts {
            rest.extend_from_slice(part);
            let used = decode(&rest, &mut |received| all.push(format!("{received:?}"))).expect("it is NATS");
            rest.drain(..used);
        }
        assert!(rest.is_empty());
        all
    }
}

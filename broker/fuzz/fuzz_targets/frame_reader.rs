//! A stream of bytes in pieces of any size: the frame reader returns the same events, or the same violation, as a naive
//! reading of RFC 6455 on the whole stream, and never holds more than its rules allow.
//!
//! The first three bytes of the input choose the rules, the next eight how the stream is cut, and the rest is the
//! stream.
#![no_main]

use broker_protocol::CloseReason;
use libfuzzer_sys::fuzz_target;

// Only this file is included, so that the rest of the broker need not be built.
#[path = "../../src/websocket/reader.rs"]
mod reader;

use reader::{Event, Input, Rules};

/// The longest head of a frame.
const HEAD_BYTES_MAX: usize = 14;
/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// The events up to the end, or up to the violation.
type Outcome = (Vec<String>, Option<CloseReason>);

fuzz_target!(|bytes: &[u8]| {
    let Some((&[large, small, fragments], rest)) = bytes.split_first_chunk() else { return };
    let Some((cuts, stream)) = rest.split_first_chunk::<8>() else { return };
    let rules = Rules {
        message_bytes: usize::from(u16::from_be_bytes([large, small])) + 1,
        fragments_max: u32::from(fragments) + 1,
    };
    let expected = plainly(stream, &rules);
    assert_eq!(read(stream, &rules, |left| left), expected, "at once");
    assert_eq!(read(stream, &rules, |_| 1), expected, "byte by byte");
    let mut dice = u64::from_le_bytes(*cuts);
    let cut = |left: usize| {
        // xorshift: any sequence will do, as long as the input determines it.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice as usize % 40 + 1).min(left)
    };
    assert_eq!(read(stream, &rules, cut), expected, "in pieces");
});

/// Feeds the stream in pieces, as a connection does.
fn read(stream: &[u8], rules: &Rules, mut cut: impl FnMut(usize) -> usize) -> Outcome {
    let (mut input, mut waiting, mut events) = (None::<Box<Input>>, Vec::new(), Vec::new());
    let mut left = stream;
    while !left.is_empty() {
        let (piece, rest) = left.split_at(cut(left.len()));
        left = rest;
        waiting.extend_from_slice(piece);
        loop {
            let before = waiting.len();
            let taken = match reader::next(&mut input, &mut waiting, rules) {
                Ok(None) => break,
                Ok(Some((taken, event))) => {
                    events.push(word(&event));
                    taken
                }
                Err(violation) => {
                    assert!(violation.text.len() <= CONTROL_BYTES_MAX - 2, "it has to fit into a close frame");
                    return (events, Some(violation.reason));
                }
            };
            assert!((2..=before).contains(&taken), "{taken} of {before}");
            waiting.drain(..taken);
            let held = input.as_ref().map_or(0, |input| input.bytes());
            assert!(held <= rules.message_bytes, "{held} bytes are held");
        }
        let longest = HEAD_BYTES_MAX + rules.message_bytes.max(CONTROL_BYTES_MAX);
        assert!(waiting.len() < longest, "{} bytes wait for a frame that is complete or too large", waiting.len());
    }
    (events, None)
}

fn word(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text {text}"),
        Event::Binary(bytes) => format!("binary {bytes:?}"),
        Event::Ping(payload) => format!("ping {payload:?}"),
        Event::Pong => "pong".into(),
        Event::Close(code) => format!("close {code:?}"),
        Event::Fragment => "fragment".into(),
    }
}

/// Reads the whole stream, rule by rule.
fn plainly(mut stream: &[u8], rules: &Rules) -> Outcome {
    let mut events = Vec::new();
    // The opcode of the incomplete message, its bytes so far, and the number of its frames.
    let mut open: Option<(u8, Vec<u8>, u32)> = None;
    loop {
        match frame(stream, &mut open, rules) {
            Ok(Some((word, len))) => {
                events.push(word);
                stream = &stream[len..];
            }
            Ok(None) => return (events, None),
            Err(reason) => return (events, Some(reason)),
        }
    }
}

type Open = Option<(u8, Vec<u8>, u32)>;

fn frame(bytes: &[u8], open: &mut Open, rules: &Rules) -> Result<Option<(String, usize)>, CloseReason> {
    const PROTOCOL: CloseReason = CloseReason::ProtocolError;
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    let (fin, opcode, masked, short) = (first >= &128, first % 16, second >= &128, u64::from(second % 128));
    let control = opcode >= 8;
    if first / 16 % 8 != 0 || ![0, 1, 2, 8, 9, 10].contains(&opcode) || !masked || control && (!fin || short > 125) {
        return Err(PROTOCOL);
    }
    let width = [0, 2, 8][short.saturating_sub(125) as usize];
    let Some(extended) = bytes.get(2..2 + width) else { return Ok(None) };
    let len = if width == 0 { short } else { extended.iter().fold(0, |len, byte| len * 256 + u64::from(*byte)) };
    if width == 2 && len < 126 || width == 8 && (len < 65_536 || len > u64::MAX / 2) {
        return Err(PROTOCOL);
    }
    let Some(mask) = bytes.get(2 + width..6 + width) else { return Ok(None) };
    if !control {
        if (opcode == 0) != open.is_some() {
            return Err(PROTOCOL);
        }
        let (before, frames) = open.as_ref().map_or((0, 0), |(_, text, frames)| (text.len() as u64, *frames));
        if len > rules.message_bytes as u64 - before || frames == rules.fragments_max {
            return Err(CloseReason::TooBig);
        }
    }
    let len = len as usize;
    let Some(payload) = bytes.get(6 + width..6 + width + len) else { return Ok(None) };
    let payload: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
    let word = match opcode {
        8 => {
            let code = match payload.as_slice() {
                [] => None,
                [_] => return Err(PROTOCOL),
                [high, low, reason @ ..] => {
                    let code = u16::from_be_bytes([*high, *low]);
                    if !matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999) {
                        return Err(PROTOCOL);
                    }
                    std::str::from_utf8(reason).map_err(|_| CloseReason::InvalidUtf8)?;
                    Some(code)
                }
            };
            format!("close {code:?}")
        }
        9 => format!("ping {payload:?}"),
        10 => "pong".into(),
        _ => {
            let (kind, mut message, frames) = open.take().unwrap_or((opcode, Vec::new(), 0));
            message.extend(payload);
            let utf8 = std::str::from_utf8(&message);
            match (kind, fin, utf8) {
                (1, true, Ok(text)) => format!("text {text}"),
                (1, true, Err(_)) => return Err(CloseReason::InvalidUtf8),
                (1, false, Err(error)) if error.error_len().is_some() => return Err(CloseReason::InvalidUtf8),
                (_, true, _) => format!("binary {message:?}"),
                (_, false, _) => {
                    *open = Some((kind, message, frames + 1));
                    "fragment".into()
                }
            }
        }
    };
    Ok(Some((word, 6 + width + len)))
}

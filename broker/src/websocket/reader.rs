//! Reads frames from the bytes that have arrived, with every check that RFC 6455 requires of a server.

use std::borrow::Cow;

use broker_protocol::codes::CloseReason;
use fastwebsockets::{CloseCode, OpCode, unmask};

/// Bounds on what a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The most bytes of a message, all its fragments together.
    pub message_bytes: usize,
    /// The most fragments of a message.
    pub fragments_max: u32,
}

/// The part of a connection's input that is held: an incomplete message. Most connections hold none.
#[derive(Debug, Default)]
pub struct Input {
    message: Vec<u8>,
    /// The first fragment's opcode, while a message is incomplete.
    opcode: Option<OpCode>,
    fragments: u32,
}

impl Input {
    /// The bytes of the message so far.
    pub fn bytes(&self) -> usize {
        self.message.len()
    }
}

/// One frame or message of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message, valid UTF-8.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong, solicited or not.
    Pong,
    /// A close frame with its code; `None` if it has none.
    Close(Option<u16>),
    /// A fragment: the message is not complete.
    Fragment,
}

/// A client's violation of the protocol, with which the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The close code.
    pub reason: CloseReason,
    /// A sentence for the close frame.
    pub text: &'static str,
}

fn protocol(text: &'static str) -> Violation {
    Violation { reason: CloseReason::ProtocolError, text }
}

const UTF8: Violation = Violation { reason: CloseReason::InvalidUtf8, text: "text that is not UTF-8" };
const TOO_BIG: Violation =
    Violation { reason: CloseReason::TooBig, text: "the message is larger than message_bytes (see hello)" };
const TOO_MANY: Violation = Violation { reason: CloseReason::TooBig, text: "more fragments than fragments_max" };

/// A frame's head, as far as it has arrived.
struct Head {
    len: usize,
    fin: bool,
    opcode: OpCode,
    mask: [u8; 4],
    payload: usize,
}

/// Takes the first frame out of `bytes`, and unmasks it in place. Returns how many bytes it took and its event; `None`
/// if it is not complete yet.
///
/// # Errors
/// The first violation, as soon as the bytes show it: a length is checked before the payload arrives.
pub fn next<'a>(
    input: &mut Option<Box<Input>>,
    bytes: &'a mut [u8],
    rules: &Rules,
) -> Result<Option<(usize, Event<'a>)>, Violation> {
    let Some(head) = head(bytes)? else { return Ok(None) };
    let held = input.as_deref();
    let assembling = held.is_some_and(|input| input.opcode.is_some());
    match head.opcode {
        OpCode::Continuation if !assembling => return Err(protocol("a continuation of no message")),
        OpCode::Text | OpCode::Binary if assembling => return Err(protocol("a message inside an unfinished one")),
        OpCode::Continuation | OpCode::Text | OpCode::Binary => {
            let before = held.map_or(0, |input| input.message.len());
            if head.payload > rules.message_bytes - before.min(rules.message_bytes) {
                return Err(TOO_BIG);
            }
            if held.map_or(0, |input| input.fragments) >= rules.fragments_max {
                return Err(TOO_MANY);
            }
        }
        OpCode::Ping | OpCode::Pong | OpCode::Close => {}
    }
    let total = head.len + head.payload;
    if bytes.len() < total {
        return Ok(None);
    }
    let payload = &mut bytes[head.len..total];
    unmask(payload, head.mask);
    let event = match head.opcode {
        OpCode::Ping => Event::Ping(payload),
        OpCode::Pong => Event::Pong,
        OpCode::Close => close(payload)?,
        OpCode::Text if head.fin => Event::Text(Cow::Borrowed(std::str::from_utf8(payload).map_err(|_| UTF8)?)),
        OpCode::Binary if head.fin => Event::Binary(Cow::Borrowed(payload)),
        opcode => assemble(input, opcode, head.fin, payload)?,
    };
    Ok(Some((total, event)))
}

/// Whether the first frame of `bytes`, of which the head has arrived, brings its message above `long` bytes.
pub fn is_long(input: Option<&Input>, bytes: &[u8], long: usize) -> bool {
    let before = input.map_or(0, Input::bytes);
    // Mostly neither of them is long, and then the frame need not be looked at.
    before + bytes.len() > long && matches!(head(bytes), Ok(Some(head)) if before + head.payload > long)
}

fn head(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(protocol("a reserved bit is set: no extension was agreed"));
    }
    let fin = first & 0x80 != 0;
    let opcode = OpCode::try_from(first & 0x0f).map_err(|_| protocol("an opcode that does not exist"))?;
    if second & 0x80 == 0 {
        return Err(protocol("a frame that is not masked"));
    }
    let control = matches!(opcode, OpCode::Ping | OpCode::Pong | OpCode::Close);
    let short = second & 0x7f;
    if control && (!fin || short > 125) {
        return Err(protocol("a control frame that is fragmented or over 125 bytes"));
    }
    let (at, payload) = match short {
        126 => {
            let Some(len) = bytes.get(2..4) else { return Ok(None) };
            let payload = u64::from(u16::from_be_bytes([len[0], len[1]]));
            if payload < 126 {
                return Err(protocol("a length that is not written in its shortest form"));
            }
            (4, payload)
        }
        127 => {
            let Some(len) = bytes.get(2..10).and_then(|len| <[u8; 8]>::try_from(len).ok()) else { return Ok(None) };
            let payload = u64::from_be_bytes(len);
            if payload >> 63 != 0 {
                return Err(protocol("a length above 2^63 - 1"));
            }
            if payload <= 0xffff {
                return Err(protocol("a length that is not written in its shortest form"));
            }
            (10, payload)
        }
        short => (2, u64::from(short)),
    };
    let payload = usize::try_from(payload).map_err(|_| TOO_BIG)?;
    // The length is checked as soon as it is known, although the mask may not have arrived.
    let mask = bytes.get(at..at + 4).and_then(|mask| <[u8; 4]>::try_from(mask).ok());
    match mask {
        Some(mask) => Ok(Some(Head { len: at + 4, fin, opcode, mask, payload })),
        None => Ok(None),
    }
}

fn close<'a>(payload: &[u8]) -> Result<Event<'a>, Violation> {
    match payload {
        [] => Ok(Event::Close(None)),
        [_] => Err(protocol("a close frame of one byte")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(protocol("a close code that may not be sent"));
            }
            std::str::from_utf8(reason).map_err(|_| UTF8)?;
            Ok(Event::Close(Some(code)))
        }
    }
}

fn assemble<'a>(
    input: &mut Option<Box<Input>>,
    opcode: OpCode,
    fin: bool,
    payload: &[u8],
) -> Result<Event<'a>, Violation> {
    let held = input.get_or_insert_default();
    if opcode != OpCode::Continuation {
        held.opcode = Some(opcode);
    }
    held.fragments += 1;
    held.message.extend_from_slice(payload);
    if held.opcode == Some(OpCode::Text) && !may_become_utf8(&held.message, payload.len()) {
        return Err(UTF8);
    }
    if !fin {
        return Ok(Event::Fragment);
    }
    let held = input.take().unwrap_or_default();
    match held.opcode {
        Some(OpCode::Text) => {
            String::from_utf8(held.message).map(|text| Event::Text(Cow::Owned(text))).map_err(|_| UTF8)
        }
        _ => Ok(Event::Binary(Cow::Owned(held.message))),
    }
}

/// Returns whether the text so far, whose last `new` bytes have just arrived, can still become UTF-8: no byte is wrong,
/// but the last character may be incomplete. The earlier bytes were checked before.
fn may_become_utf8(text: &[u8], new: usize) -> bool {
    // The earlier bytes may end inside a character. Go back to its beginning, at most four bytes.
    let mut from = text.len() - new;
    for _ in 0..4 {
        if from == 0 {
            break;
        }
        from -= 1;
        if text[from] & 0xc0 != 0x80 {
            break;
        }
    }
    match std::str::from_utf8(&text[from..]) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { message_bytes: 70_000, fragments_max: 4 };

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ws_frames::masked(&mut out, first, payload);
        out
    }

    /// Feeds `bytes` in pieces of `step`, and returns the events until the end or the violation.
    fn read(bytes: &[u8], step: usize) -> (Vec<String>, Option<Violation>) {
        let (mut input, mut waiting, mut events) = (None, Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            waiting.extend_from_slice(piece);
            loop {
                let taken = match next(&mut input, &mut waiting, &RULES) {
                    Ok(None) => break,
                    Ok(Some((taken, event))) => {
                        events.push(format!("{event:?}"));
                        taken
                    }
                    Err(violation) => return (events, Some(violation)),
                };
                waiting.drain(..taken);
            }
        }
        (events, None)
    }

    #[track_caller]
    fn check(bytes: &[u8], events: &[&str], reason: Option<CloseReason>) {
        for step in [1, 2, 3, 7, bytes.len().max(1)] {
            let (got, violation) = read(bytes, step);
            assert_eq!(violation.map(|violation| violation.reason), reason, "in steps of {step}: {got:?}");
            assert_eq!(got, events, "in steps of {step}");
        }
    }

    #[test]
    fn messages() {
        check(&frame(0x81, b"hi"), &[r#"Text("hi")"#], None);
        check(&frame(0x82, b"\x01"), &["Binary([1])"], None);
        check(&frame(0x89, b"p"), &["Ping([112])"], None);
        check(&frame(0x8a, b""), &["Pong"], None);
        let text = "x".repeat(66_000);
        check(&frame(0x81, text.as_bytes()), &[&format!("Text({text:?})")], None);
    }

    #[test]
    fn long_messages() {
        let long = |input: Option<&Input>, bytes: &[u8]| is_long(input, bytes, 1000);
        let (short, other) = (frame(0x81, &[b'x'; 600]), frame(0x81, &[b'x'; 1200]));
        assert!(!long(None, &short) && !long(None, &[&short[..], &short].concat()), "two that are short");
        assert!(long(None, &other) && long(None, &other[..1100]), "one that is long, also before its end");
        let begun = Input { message: vec![b'x'; 600], opcode: Some(OpCode::Text), fragments: 1 };
        assert!(long(Some(&begun), &frame(0x80, &[b'x'; 600])) && !long(Some(&begun), &frame(0x80, b"end")));
    }

    #[test]
    fn fragments() {
        let euro = "a€b".as_bytes();
        let split =
            [frame(0x01, &euro[..2]), frame(0x89, b""), frame(0x00, &euro[2..3]), frame(0x80, &euro[3..])].concat();
        check(&split, &["Fragment", "Ping([])", "Fragment", r#"Text("a€b")"#], None);
        let invalid = [frame(0x01, &euro[..2]), frame(0x80, b"x")].concat();
        check(&invalid, &["Fragment"], Some(CloseReason::InvalidUtf8));
        check(&frame(0x81, &euro[..3]), &[], Some(CloseReason::InvalidUtf8));
        let ends_inside = [frame(0x01, b"a"), frame(0x80, &euro[1..3])].concat();
        check(&ends_inside, &["Fragment"], Some(CloseReason::InvalidUtf8));
        let early = [frame(0x01, b"\xff"), frame(0x80, b"")].concat();
        check(&early, &[], Some(CloseReason::InvalidUtf8));
        let many: Vec<u8> =
            std::iter::once(frame(0x01, b"")).chain((0..9).map(|_| frame(0x00, b""))).flatten().collect();
        check(&many, &["Fragment"; 4], Some(CloseReason::TooBig));
        let large: Vec<u8> = [frame(0x01, &[b'x'; 60_000]), frame(0x80, &[b'x'; 10_001])].concat();
        check(&large, &["Fragment"], Some(CloseReason::TooBig));
        check(&[frame(0x01, b""), frame(0x81, b"")].concat(), &["Fragment"], Some(CloseReason::ProtocolError));
        check(&frame(0x80, b""), &[], Some(CloseReason::ProtocolError));
    }

    #[test]
    fn violations() {
        let protocol = Some(CloseReason::ProtocolError);
        check(&[0x81, 0x02, b'h', b'i'], &[], protocol);
        check(&frame(0xc1, b""), &[], protocol);
        check(&frame(0x83, b""), &[], protocol);
        check(&frame(0x8b, b""), &[], protocol);
        check(&frame(0x89, &[0; 126]), &[], protocol);
        check(&frame(0x09, b""), &[], protocol);
        check(&frame(0x88, b"\x03"), &[], protocol);
        check(&frame(0x88, &1005u16.to_be_bytes()), &[], protocol);
        check(&frame(0x88, &0u16.to_be_bytes()), &[], protocol);
        check(&frame(0x88, b"\x03\xe8\xff"), &[], Some(CloseReason::InvalidUtf8));
        check(&frame(0x88, b"\x03\xe8bye"), &["Close(Some(1000))"], None);
        check(&frame(0x88, b""), &["Close(None)"], None);
        check(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], &[], protocol);
        check(&[0x81, 0xfe, 0, 5], &[], protocol);
        check(&[0x81, 0xff, 0, 0, 0, 0, 0, 2, 0, 0, 1, 2, 3, 4], &[], Some(CloseReason::TooBig));
    }
}

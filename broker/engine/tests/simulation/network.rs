//! The network between a shard and a client: sockets with little room, cut anywhere, and a strict frame reader.

use std::cell::RefCell;
use std::rc::Rc;

use broker_engine::{Encoding, Sink, Wrote};

use super::encoded::{MARKS, take_message};

/// The direction from the broker to one client.
#[derive(Default)]
pub struct Pipe {
    /// Bytes that arrived and were not read as frames yet.
    pub arrived: Vec<u8>,
    /// The transport has an encoding of its own.
    pub is_encoded: bool,
    /// Bytes that such a transport holds for the client.
    pub held: Vec<u8>,
    /// Bytes that fit before the client reads again.
    pub room: usize,
    /// The peer is gone: nothing will fit any more.
    pub gone: bool,
    /// A write was cut, so the broker waits for notice that there is room again.
    pub waits: bool,
    /// A write was cut since this was last checked.
    pub was_cut: bool,
    /// The broker announced that it will write no more.
    pub finished: bool,
    /// The broker dropped the connection.
    pub dropped: bool,
    /// The newest position that such a transport was given with what it wrote.
    pub id: Option<u64>,
    /// Bytes that were written after `finished`, which is an error.
    pub after_finish: usize,
}

/// A pipe shared by both ends.
pub type SharedPipe = Rc<RefCell<Pipe>>;

/// A pipe with unlimited room.
pub fn pipe(is_encoded: bool) -> SharedPipe {
    Rc::new(RefCell::new(Pipe { room: usize::MAX, is_encoded, ..Pipe::default() }))
}

/// The broker's end of a pipe.
pub struct SimSink(pub SharedPipe);

impl Sink for SimSink {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        let pipe = &mut *self.0.borrow_mut();
        if pipe.gone {
            return Wrote::Gone;
        }
        if pipe.finished {
            pipe.after_finish += bytes.len();
        }
        if pipe.is_encoded {
            if !pipe.flush() {
                return Wrote::Full;
            }
            pipe.held.extend_from_slice(bytes);
            return Wrote::Bytes(bytes.len());
        }
        let taken = bytes.len().min(pipe.room);
        if pipe.room != usize::MAX {
            pipe.room -= taken;
        }
        if taken < bytes.len() {
            (pipe.waits, pipe.was_cut) = (true, true);
        }
        pipe.arrived.extend_from_slice(&bytes[..taken]);
        if taken == 0 { Wrote::Full } else { Wrote::Bytes(taken) }
    }

    fn encoding(&self) -> Option<&'static Encoding> {
        self.0.borrow().is_encoded.then_some(&MARKS)
    }

    fn end_turn(&mut self, position: Option<u64>) {
        let mut pipe = self.0.borrow_mut();
        pipe.flush();
        pipe.id = position.or(pipe.id);
    }

    fn finish(&mut self) {
        self.0.borrow_mut().finished = true;
    }
}

impl Drop for SimSink {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

/// One frame as read by the client.
#[derive(Debug)]
pub enum Incoming {
    Text(String),
    Close(Option<u16>),
    Ping,
    Pong,
    Heartbeat,
}

impl Pipe {
    /// Takes the first frame or message off what arrived.
    pub fn take(&mut self) -> Result<Option<Incoming>, String> {
        if self.is_encoded { take_message(&mut self.arrived) } else { take_frame(&mut self.arrived) }
    }
}

/// Takes the first frame off `bytes` by RFC 6455, as strictly as the RFC allows towards a server.
fn take_frame(bytes: &mut Vec<u8>) -> Result<Option<Incoming>, String> {
    let [first, second, ..] = bytes[..] else { return Ok(None) };
    let opcode = first & 0x0f;
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err(format!("a frame begins with {first:02x} {second:02x}: not final, reserved bits, or masked"));
    }
    let (head, len) = match second {
        len @ 0..=125 => (2, usize::from(len)),
        126 => match bytes.get(2..4) {
            Some(len) => (4, usize::from(u16::from_be_bytes([len[0], len[1]]))),
            None => return Ok(None),
        },
        _ => match bytes.get(2..10) {
            Some(len) => (10, u64::from_be_bytes(len.try_into().expect("eight bytes")) as usize),
            None => return Ok(None),
        },
    };
    let shortest = match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    if head != shortest || (opcode >= 8 && head != 2) || len > 1 << 24 {
        return Err(format!("a frame of opcode {opcode} claims {len} bytes in a head of {head}"));
    }
    if bytes.len() < head + len {
        return Ok(None);
    }
    let payload = bytes[head..head + len].to_vec();
    bytes.drain(..head + len);
    match opcode {
        1 => String::from_utf8(payload).map(|text| Some(Incoming::Text(text))).map_err(|error| error.to_string()),
        8 if len == 0 => Ok(Some(Incoming::Close(None))),
        8 if len >= 2 => Ok(Some(Incoming::Close(Some(u16::from_be_bytes([payload[0], payload[1]]))))),
        9 => Ok(Some(Incoming::Ping)),
        10 => Ok(Some(Incoming::Pong)),
        _ => Err(format!("a frame of opcode {opcode} with {len} bytes")),
    }
}

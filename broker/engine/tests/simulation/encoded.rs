//! A transport with an encoding of its own, which holds a turn's bytes until the client has taken them. To the engine
//! it looks like Server-Sent Events.

use broker_engine::Encoding;

use super::network::{Incoming, Pipe};

/// The marks are control characters, which do not occur in JSON.
pub const MARKS: Encoding = Encoding {
    before: b"\x01",
    after: b"\x02",
    heartbeat: b"\x03",
    close: |out, code, _| out.extend_from_slice(format!("\x04{code}\x05").as_bytes()),
};

impl Pipe {
    /// Moves the held bytes to the client, as far as there is room. Returns whether none are left.
    pub fn flush(&mut self) -> bool {
        let taken = self.held.len().min(self.room);
        if self.room != usize::MAX {
            self.room -= taken;
        }
        self.arrived.extend(self.held.drain(..taken));
        if !self.held.is_empty() {
            (self.waits, self.was_cut) = (true, true);
        }
        self.held.is_empty()
    }
}

/// Removes the first message from `bytes`.
pub fn take_message(bytes: &mut Vec<u8>) -> Result<Option<Incoming>, String> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let end = match first {
        1 => 2,
        4 => 5,
        3 => {
            bytes.remove(0);
            return Ok(Some(Incoming::Heartbeat));
        }
        other => return Err(format!("a message begins with {other:02x}")),
    };
    let Some(len) = bytes.iter().position(|byte| *byte == end) else { return Ok(None) };
    let message: Vec<u8> = bytes.drain(..=len).collect();
    let text = String::from_utf8(message[1..len].to_vec()).map_err(|error| error.to_string())?;
    if text.contains('\x01') {
        return Err(format!("a message inside another one: {text}"));
    }
    match end {
        2 => Ok(Some(Incoming::Text(text))),
        _ => text
            .parse()
            .map(|code| Some(Incoming::Close(Some(code))))
            .map_err(|_| format!("the close code is {text:?}")),
    }
}

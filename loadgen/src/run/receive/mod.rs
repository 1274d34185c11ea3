//! Splits received bytes into frames and messages, and passes the meaning of the messages to the [`Verifier`].
//!
//! ```text
//! verifier   judges every stream
//!   topics   names, numbers and epochs
//!   counts   how much, how late
//! recent     updates that were judged just now, for subscribers that get the same bytes
//! ```

mod counts;
mod recent;
mod topics;
mod verifier;

use std::sync::Arc;

pub(super) use counts::{Counts, Stays};
use recent::Recent;
use verifier::{Known, Outcome, Verifier};

use super::Shared;
use super::connection::Conn;
use crate::plan::Plan;
use crate::protocol::Protocol;
use ws_frames::{self as wire, FIN, Frame, Head};

/// The longest message made of several frames.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What happens to a connection after a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The server has ended it, for this reason.
    End(String),
}

/// Reads the frames of one thread's subscribers.
pub(super) struct Receiver {
    protocol: Protocol,
    pub(super) verifier: Verifier,
    recent: Recent,
}

impl Receiver {
    pub(super) fn new(protocol: Protocol, plan: &Plan, shared: Arc<Shared>, every_payload: bool) -> Self {
        let verifier = Verifier::new(&protocol, plan, shared, every_payload);
        Self { protocol, verifier, recent: Recent::new() }
    }

    /// Reads all whole frames of a connection, and appends the frames to send in answer to `replies`. Returns how many
    /// bytes were used up.
    pub(super) fn read(&mut self, conn: &mut Conn, bytes: &[u8], now_ns: u64, replies: &mut Vec<u8>) -> (usize, Next) {
        self.verifier.counts.begin_read(now_ns);
        self.recent.begin();
        let mut at = 0;
        let next = loop {
            match wire::head(&bytes[at..]) {
                Head::Part => break Next::GoOn,
                Head::TooLong(len) => break Next::End(format!("sent a frame of {len} bytes")),
                Head::Whole(frame) => {
                    let payload = &bytes[at + frame.payload.start..at + frame.payload.end];
                    at += frame.payload.end;
                    match frame.opcode() {
                        wire::CLOSE => break Next::End(close_reason(payload)),
                        wire::PING => wire::masked(replies, FIN | wire::PONG, payload),
                        0..=2 => {
                            if let Err(error) = self.frame(conn, &frame, payload, replies) {
                                break Next::End(error);
                            }
                        }
                        _ => {}
                    }
                }
            }
        };
        self.verifier.counts.end_read(at);
        (at, next)
    }

    /// Takes in a frame of data: a message, a part of one, or a part of a stream of bytes.
    fn frame(&mut self, conn: &mut Conn, frame: &Frame, payload: &[u8], replies: &mut Vec<u8>) -> Result<(), String> {
        let waits = conn.rest.as_ref().is_some_and(|rest| !rest.message.is_empty());
        let whole = !waits && frame.is_last() && frame.opcode() != 0;
        if whole && !self.protocol.is_stream() {
            if !self.protocol.is_lines() {
                return self.message(conn, payload, replies);
            }
            let mut begin = 0;
            for end in memchr::memchr_iter(b'\n', payload).chain([payload.len()]) {
                self.message(conn, &payload[begin..end], replies)?;
                begin = end + 1;
            }
            return Ok(());
        }
        if !waits && self.protocol.is_stream() {
            let (used, _) = self.judge(conn, payload, replies)?;
            if used < payload.len() {
                conn.rest().message.extend(&payload[used..]);
            }
            return Ok(());
        }
        let mut message = std::mem::take(&mut conn.rest().message);
        message.extend(payload);
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(format!("sent a message of more than {MESSAGE_BYTES_MAX} bytes"));
        }
        if frame.is_last() || self.protocol.is_stream() {
            let (used, _) = self.judge(conn, &message, replies)?;
            message.drain(..used);
        }
        conn.rest().message = message;
        Ok(())
    }

    /// Takes in a whole message. An update that another subscriber got just now, and that is the next one here, is
    /// counted without being decoded again.
    fn message(&mut self, conn: &mut Conn, message: &[u8], replies: &mut Vec<u8>) -> Result<(), String> {
        if let Some(known) = self.recent.find(message)
            && self.verifier.again(conn, known)
        {
            return Ok(());
        }
        let (_, known) = self.judge(conn, message, replies)?;
        known.into_iter().for_each(|known| self.recent.learn(message, known));
        Ok(())
    }

    /// Decodes these bytes and has the verifier judge them. Returns how many were used up, and what is known of the
    /// last update.
    fn judge(
        &mut self,
        conn: &mut Conn,
        bytes: &[u8],
        replies: &mut Vec<u8>,
    ) -> Result<(usize, Option<Known>), String> {
        let Self { protocol, verifier, recent } = self;
        let opcode = protocol.opcode();
        let mut last = None;
        let used = protocol.decode(bytes, &mut |received| match verifier.judge(conn, received) {
            Outcome::Counted => {}
            Outcome::Known(known) => last = Some(known),
            Outcome::Renumbered => recent.forget(),
            Outcome::Reply(bytes) => wire::masked(replies, FIN | opcode, bytes),
        })?;
        Ok((used, last))
    }
}

fn close_reason(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        Some((code, text)) => {
            let text = String::from_utf8_lossy(text);
            format!("closed with {} {text}", u16::from_be_bytes(*code)).trim_end().to_owned()
        }
        None => "closed without a code".to_owned(),
    }
}

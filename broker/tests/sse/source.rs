//! A client of Server-Sent Events, written from WHATWG HTML §9.2.6 alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::common::{Message, PATIENCE};

/// One block of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Event(String),
    Comment(String),
    /// An id without data.
    Id,
    /// The broker ended the stream.
    End,
}

/// An open stream.
pub(crate) struct Source {
    reader: BufReader<TcpStream>,
    /// The id that a browser would send as `Last-Event-ID`.
    pub(crate) last_id: String,
}

impl Source {
    /// Opens a stream, which has to succeed.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, query: &str, last_id: &str) -> Self {
        Self::ask(address, &format!("GET /v1/sse?{query}"), "", last_id)
    }

    /// The same with a posted form.
    #[track_caller]
    pub(crate) fn post(address: SocketAddr, form: &str, last_id: &str) -> Self {
        Self::ask(address, "POST /v1/sse", form, last_id)
    }

    #[track_caller]
    fn ask(address: SocketAddr, line: &str, form: &str, last_id: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = if last_id.is_empty() { String::new() } else { format!("Last-Event-ID: {last_id}\r\n") };
        let body = match form.len() {
            0 => String::new(),
            len => format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len}\r\n"),
        };
        let request =
            format!("{line} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{header}{body}\r\n{form}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut source = Self { reader: BufReader::new(stream), last_id: last_id.to_owned() };
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(source.reader.read_line(&mut head).unwrap() > 0, "no answer: {head:?}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        source
    }

    /// Reads the next block.
    #[track_caller]
    pub(crate) fn block(&mut self) -> Block {
        let (mut data, mut comment, mut id) = (None, None, None);
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).expect("a line or the end comes in time") == 0 {
                assert!(data.is_none() && comment.is_none() && id.is_none(), "a block that does not end");
                return Block::End;
            }
            let line = line.strip_suffix('\n').expect("a whole line");
            match line.split_once(':') {
                None if line.is_empty() => break,
                Some(("", text)) => comment = Some(text.trim_start().to_owned()),
                Some(("data", text)) => {
                    assert!(data.is_none(), "one line each");
                    data = Some(text.strip_prefix(' ').unwrap_or(text).to_owned());
                }
                Some(("id", text)) => id = Some(text.strip_prefix(' ').unwrap_or(text).to_owned()),
                _ => panic!("an unexpected line: {line:?}"),
            }
        }
        if let Some(id) = &id {
            let number = |id: &str| id.parse::<u64>().unwrap_or_else(|_| panic!("{id:?} is no number"));
            assert!(number(id) < 1 << 53, "{id} is not exact in a JavaScript number");
            assert!(self.last_id.is_empty() || number(id) >= number(&self.last_id), "{id} after {}", self.last_id);
            self.last_id.clone_from(id);
        }
        match (data, comment) {
            (Some(data), None) => Block::Event(data),
            (None, Some(comment)) => Block::Comment(comment),
            (None, None) if id.is_some() => Block::Id,
            other => panic!("{other:?} in one block"),
        }
    }

    /// Reads the next event.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.block() {
                Block::Event(text) => return Message::parse(text),
                Block::Comment(_) | Block::Id => {}
                Block::End => panic!("the stream has ended"),
            }
            assert!(Instant::now() < end, "no event came for {PATIENCE:?}, only comments and ids");
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, op: &str) -> Message {
        let message = self.message();
        assert_eq!(message.op(), op, "{message:?}");
        message
    }

    /// Reads on until an event is `good`.
    #[track_caller]
    pub(crate) fn until(&mut self, mut good: impl FnMut(&Message) -> bool) -> Message {
        loop {
            let message = self.message();
            if good(&message) {
                return message;
            }
        }
    }
}

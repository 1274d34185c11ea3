//! A client that checks continuity: PROTOCOL §4, as far as it can be checked without knowing what is published.

use std::collections::BTreeMap;

use broker_engine::{Ask, ConnId, Engine};

use super::message::Message;
use super::network::{Incoming, SharedPipe};

#[derive(Debug)]
enum At {
    /// Any update from this one on.
    From(u64),
    Next(u64),
    Image,
    Closed,
}

pub struct Reader {
    pub conn: ConnId,
    pipe: SharedPipe,
    request: &'static str,
    streams: BTreeMap<String, (String, At)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}: {:?}", self.conn, self.request, self.streams)
    }
}

impl Reader {
    pub fn new(conn: ConnId, pipe: SharedPipe, request: &'static str) -> Self {
        Self { conn, pipe, request, streams: BTreeMap::new() }
    }

    /// Reads and checks all that arrived.
    pub fn read(&mut self) {
        let pipe = self.pipe.clone();
        let mut pipe = pipe.borrow_mut();
        while let Some(frame) = pipe.take().expect("whole messages") {
            let text = match frame {
                Incoming::Text(text) => text,
                Incoming::Close(code) => panic!("{}: closed with {code:?}", self.request),
                Incoming::Ping | Incoming::Pong | Incoming::Heartbeat => continue,
            };
            if let Err(error) = Message::parse(&text).and_then(|message| self.message(&message)) {
                panic!("{}: {error}\n  in {text}", self.request);
            }
        }
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), String> {
        if message.op() == "subscribed" {
            return message.list("topics")?.iter().try_for_each(|begun| self.begins(begun));
        }
        if message.op() == "topic" {
            return self.begins(message);
        }
        if !matches!(message.op(), "update" | "patch" | "image" | "gap" | "closed") {
            return Ok(());
        }
        let name = message.text("topic")?;
        let (epoch, at) = self.streams.get_mut(&name).ok_or("never introduced")?;
        let seq = message.optional_number("seq")?;
        *at = match (message.op(), &*at, seq) {
            ("image", At::Next(next), Some(seq)) if seq < *next => return Err(format!("{next} should come next")),
            ("image", At::Image | At::Next(_) | At::From(_), Some(seq)) if message.text("epoch")? == *epoch => {
                At::Next(seq + 1)
            }
            ("update" | "patch", At::Next(next), Some(seq)) if seq == *next => At::Next(seq + 1),
            ("update" | "patch", At::From(least), Some(seq)) if seq >= *least => At::Next(seq + 1),
            ("gap", At::Next(next), _) if message.number("from")? == *next => At::Next(message.number("to")? + 1),
            ("gap", At::From(least), _) if message.number("from")? >= *least => At::Next(message.number("to")? + 1),
            ("closed", At::Next(_) | At::From(_), _) => At::Closed,
            (_, at, _) => return Err(format!("the client is at {at:?} of {epoch}")),
        };
        Ok(())
    }

    fn begins(&mut self, begun: &Message<'_>) -> Result<(), String> {
        let (name, epoch) = (begun.text("topic")?, begun.optional_text("epoch")?);
        let Some(epoch) = epoch else { return Ok(()) };
        if let Some((held, at)) = self.streams.get(&name)
            && (*held == epoch || !matches!(at, At::Closed))
        {
            return Err(format!("introduced while at {at:?} of {held}"));
        }
        let (seq, oldest) = (begun.number("seq")?, begun.number("oldest")?);
        let at = match &*begun.text("start")? {
            "image" => At::Image,
            "history" => At::From(oldest),
            _ => At::Next(seq + 1),
        };
        self.streams.insert(name, (epoch, at));
        Ok(())
    }

    /// Checks that the client knows everything that it subscribed to, once nothing is published any more.
    pub fn is_complete(&mut self, engine: &Engine) {
        self.read();
        for (name, (epoch, at)) in &self.streams {
            let live = engine.history(name, Ask::Last(0)).filter(|page| page.topic.epoch() == epoch);
            let right = match (live, at) {
                (Some(page), At::Next(next)) => *next == page.seq + 1,
                (None, At::Closed) => true,
                _ => false,
            };
            assert!(right, "{}: {name} is at {at:?} of {epoch}", self.request);
        }
        // A client that asked for everything was introduced to everything.
        if self.request.contains("[\">\"]") {
            for (name, _) in super::TOPICS {
                let live = engine.history(name, Ask::Last(0)).is_some_and(|page| page.seq > 0);
                assert!(!live || self.streams.contains_key(name), "{name} was never introduced");
            }
        }
    }
}

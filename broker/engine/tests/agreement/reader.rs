//! A client that moves between brokers: it goes on by the `seq` of each topic, by its position, or as a stream by its id.
//! Whatever brokers it comes to, also one that lags, it must get every update of an epoch once and in order, and may be
//! told to begin anew only if the epoch is over.

use std::collections::BTreeMap;

use broker_engine::{Ask, ConnId, Now, Shard};
use broker_protocol::request::{From, OnSlow, Request, Subscribe, SubscribeEntry};

use crate::cluster::Met;
use crate::log::Log;
use crate::message::Message;
use crate::network::{Incoming, SharedPipe, SimSink, pipe};
use crate::node::Node;
use crate::truth::Truth;

pub const TOPICS: [&str; 7] = ["a", "b", "b.c", "d.e.f", "ids.n0", "ids.n1", "ids.n2"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Seq,
    Position,
    Stream,
}

/// How far a client is with a topic.
#[derive(Clone, Debug, Default)]
struct Held {
    generation: u64,
    epoch: String,
    seq: u64,
    /// An image is to come.
    expects_image: bool,
    /// It is from before the present connection, which has not mentioned the topic.
    is_old: bool,
}

impl Held {
    /// Whether its epoch goes on.
    fn lives(&self, log: &Log, truth: &Truth, name: &str) -> bool {
        self.generation == log.generation && !truth.is_over(&(name.to_owned(), self.epoch.clone()))
    }
}

#[derive(Debug)]
struct At {
    node: usize,
    conn: ConnId,
    /// It had something that the broker lacked when it came.
    is_ahead: bool,
    is_answered: bool,
}

pub struct Reader {
    way: Way,
    at: Option<At>,
    pipe: SharedPipe,
    topics: BTreeMap<String, Held>,
    /// What it had at its position.
    position: Option<u64>,
    held: BTreeMap<String, Held>,
    /// It is to leave its broker.
    pub ends: bool,
    /// Requests on their way.
    outgoing: Vec<&'static str>,
}

impl Reader {
    pub fn new(way: Way) -> Self {
        let (topics, held) = Default::default();
        Self { way, at: None, pipe: pipe(false), topics, position: None, held, ends: false, outgoing: Vec::new() }
    }

    pub fn node(&self) -> Option<usize> {
        self.at.as_ref().map(|at| at.node)
    }

    /// Its connection to a broker.
    pub fn conn(&self, node: usize) -> Option<ConnId> {
        self.at.as_ref().filter(|at| at.node == node).map(|at| at.conn)
    }

    pub fn is_answered(&self) -> bool {
        self.at.as_ref().is_some_and(|at| at.is_answered)
    }

    /// Hangs up, and forgets what it has behind its position if it goes on from there.
    pub fn leave(&mut self, node: Option<&mut Node>) {
        if let (Some(at), Some(shard)) = (self.at.take(), node.and_then(|node| node.shard.as_mut())) {
            shard.disconnect(at.conn);
        }
        self.outgoing.clear();
        if self.way != Way::Seq {
            self.topics = self.held.clone();
        }
        self.topics.values_mut().for_each(|held| (held.expects_image, held.is_old) = (false, true));
    }

    /// Whether a broker lacks something that it has.
    fn is_ahead_of(&self, node: &Node) -> bool {
        if self.way != Way::Seq {
            let ordinal = |id: u64| id.saturating_sub(node.engine.limits().order_base);
            return self.position.is_some_and(|id| ordinal(id) > node.engine.feed().ordinal());
        }
        self.topics.iter().any(|(name, held)| {
            let topic = node.engine.topic(name);
            let row = topic.filter(|topic| topic.epoch() == held.epoch);
            let seq = row.and_then(|_| node.engine.history(name, Ask::Last(0))).map(|page| page.seq);
            held.generation == node.generation && seq.is_none_or(|seq| seq < held.seq)
        })
    }

    /// Connects to a broker, and goes on.
    pub fn come(&mut self, now: Now, node: &mut Node, met: &mut Met) {
        let is_ahead = self.is_ahead_of(node);
        let (index, engine) = (node.index, node.engine.clone());
        let Some(shard) = &mut node.shard else { return };
        self.pipe = pipe(self.way == Way::Stream);
        let conn = shard.connect(now, SimSink(self.pipe.clone()));
        self.at = Some(At { node: index, conn, is_ahead, is_answered: false });
        met.came += 1;
        met.ahead[self.way as usize] += usize::from(is_ahead);
        match self.way {
            Way::Seq => {
                let entries: Vec<_> = TOPICS.iter().map(|name| self.entry(name)).collect();
                let text = format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, entries.join(","));
                shard.handle(now, conn, &text);
            }
            Way::Position => {
                let resume = self.position.map(|id| format!(r#","resume":"{id}""#)).unwrap_or_default();
                let text = format!(r#"{{"op":"subscribe","id":1,"topics":[">"],"positions":true{resume}}}"#);
                shard.handle(now, conn, &text);
                // What comes behind it waits, and a sign of life does not.
                self.outgoing = vec![r#"{"op":"ping","id":3}"#, r#"{"op":"list","id":2}"#];
            }
            Way::Stream => {
                let from = self.position.map_or(From::Image, |id| From::After(engine.ordinal_of(id)));
                let subscribe = Subscribe {
                    id: None,
                    entries: vec![SubscribeEntry::Plain(">".into())],
                    from,
                    conflate_ms: 0,
                    on_slow: OnSlow::default(),
                    ready: false,
                    positions: false,
                    resume: None,
                };
                shard.request(now, conn, Request::Subscribe(subscribe));
            }
        }
    }

    /// Hands over what it asks, as far as its connection is read.
    pub fn ask(&mut self, now: Now, shard: &mut Shard<SimSink>) {
        let Some(at) = &self.at else { return };
        while shard.may_read(at.conn)
            && let Some(text) = self.outgoing.pop()
        {
            shard.handle(now, at.conn, text);
        }
    }

    fn entry(&self, name: &str) -> String {
        match self.topics.get(name) {
            Some(held) => format!(r#"{{"topic":"{name}","epoch":"{}","seq":{}}}"#, held.epoch, held.seq),
            None => format!(r#""{name}""#),
        }
    }

    /// Reads what has come. Returns whether it is to leave: the broker cannot serve it at present.
    pub fn read(&mut self, log: &Log, truth: &Truth, met: &mut Met) -> Result<bool, String> {
        let (pipe, mut leaves) = (self.pipe.clone(), false);
        loop {
            let Some(incoming) = pipe.borrow_mut().take()? else { break };
            match incoming {
                Incoming::Text(text) => {
                    let message = Message::parse(&text)?;
                    let took = self.take(log, truth, &message, met);
                    leaves |= took.map_err(|error| format!("{:?}: {error}; it read {text}", self.way))?;
                }
                Incoming::Close(Some(1001)) if self.way == Way::Stream => {
                    self.refused(met)?;
                    leaves = true;
                }
                Incoming::Close(code) => return Err(format!("closed with {code:?}")),
                Incoming::Ping | Incoming::Pong | Incoming::Heartbeat => {}
            }
        }
        if self.way == Way::Stream
            && let Some(id) = pipe.borrow_mut().id.take()
        {
            self.reached(log, truth, id)?;
        }
        Ok(leaves)
    }

    /// Everything has begun: what has not is over.
    fn reached(&mut self, log: &Log, truth: &Truth, id: u64) -> Result<(), String> {
        if self.position.is_some_and(|before| id < before) {
            return Err(format!("its position goes back from {:?} to {id}", self.position));
        }
        if let Some((name, _)) = self.topics.iter().find(|(name, held)| held.is_old && held.lives(log, truth, name)) {
            return Err(format!("{name} has not begun"));
        }
        self.topics.retain(|_, held| !held.is_old);
        (self.position, self.held) = (Some(id), self.topics.clone());
        Ok(())
    }

    /// It is told to ask again.
    fn refused(&self, met: &mut Met) -> Result<(), String> {
        met.unavailable += 1;
        let is_ahead = self.at.as_ref().is_some_and(|at| at.is_ahead);
        if is_ahead { Ok(()) } else { Err("it is not ahead, and refused".to_owned()) }
    }

    fn take(&mut self, log: &Log, truth: &Truth, message: &Message<'_>, met: &mut Met) -> Result<bool, String> {
        match message.op() {
            "hello" | "heartbeat" | "pong" => Ok(false),
            // It waits, as what is before it.
            "subscriptions" if !self.is_answered() => Err("it overtakes".to_owned()),
            "subscriptions" => Ok(false),
            "position" => {
                let id = message.text("id")?.parse().map_err(|_| "no id".to_owned())?;
                self.reached(log, truth, id).map(|()| false)
            }
            "subscribed" => {
                if message.optional_number("id")?.is_some() != (self.way != Way::Stream) {
                    return Err("an answer to something else".to_owned());
                }
                if let Some(at) = &mut self.at {
                    at.is_answered = true;
                    met.waited += usize::from(at.is_ahead);
                }
                let errors = message.list("errors")?;
                for error in &errors {
                    if error.text("code")? != "unavailable" || error.raw("retry")? != "true" {
                        return Err("another error".to_owned());
                    }
                    self.refused(met)?;
                }
                for row in message.list("topics")? {
                    self.begin(log, truth, &row, met)?;
                }
                Ok(!errors.is_empty())
            }
            "topic" => self.begin(log, truth, message, met).map(|()| false),
            _ => self.follow(truth, message).map(|()| false),
        }
    }

    /// A topic begins, or goes on.
    fn begin(&mut self, log: &Log, truth: &Truth, row: &Message<'_>, met: &mut Met) -> Result<(), String> {
        let (name, start) = (row.text("topic")?, row.text("start")?);
        let before = self.topics.remove(&name);
        let lives = before.as_ref().is_some_and(|held| held.lives(log, truth, &name));
        let Some(epoch) = row.optional_text("epoch")? else {
            met.reset += usize::from(start == "reset");
            return if lives { Err("its epoch lives".to_owned()) } else { Ok(()) };
        };
        let seq = row.number("seq")?;
        let same = before.filter(|held| held.epoch == epoch);
        if same.is_none() && lives {
            return Err("another epoch, and its own lives".to_owned());
        }
        if start == "reset" {
            met.reset += 1;
        }
        let has = match (&*start, &same) {
            ("resumed", Some(held)) if held.seq <= seq => held.seq,
            (_, Some(held)) => return Err(format!("it has {} of this epoch", held.seq)),
            ("resumed", None) => return Err("it has nothing of this epoch".to_owned()),
            ("history" | "reset" | "image", None) => 0,
            (_, None) => seq,
        };
        let expects_image = start == "image" || (start == "reset" && row.text("kind")? != "event");
        let (generation, is_old) = (log.generation, false);
        self.topics.insert(name, Held { generation, epoch, seq: has, expects_image, is_old });
        Ok(())
    }

    fn follow(&mut self, truth: &Truth, message: &Message<'_>) -> Result<(), String> {
        let name = message.text("topic")?;
        let held = self.topics.get_mut(&name).ok_or("it has not begun")?;
        let life = (name.clone(), held.epoch.clone());
        match message.op() {
            "update" | "patch" if !held.expects_image => {
                let seq = message.number("seq")?;
                if seq != held.seq + 1 {
                    return Err(format!("it has {}", held.seq));
                }
                let right = truth.data(&life, seq);
                if right.is_some_and(|right| message.raw("data").ok() != Some(right)) {
                    return Err(format!("the data is {right:?}"));
                }
                held.seq = seq;
            }
            "image" if held.expects_image => {
                let seq = message.number("seq")?;
                if message.text("epoch")? != held.epoch || seq < held.seq {
                    return Err(format!("it has {held:?}"));
                }
                (held.seq, held.expects_image) = (seq, false);
            }
            "closed" if truth.is_over(&life) && truth.data(&life, held.seq + 1).is_none() => {
                self.topics.remove(&name);
            }
            other => return Err(format!("{other} after {held:?}")),
        }
        Ok(())
    }

    /// Checks that it has everything that a broker has.
    pub fn is_complete(&self, node: &Node) -> Result<(), String> {
        for name in TOPICS {
            let right = node.engine.history(name, Ask::Last(0));
            let right = right.map(|page| (page.topic.epoch().to_owned(), page.seq));
            let has = self.topics.get(name).filter(|held| !held.is_old);
            let has = has.map(|held| (held.epoch.clone(), held.seq));
            if has != right {
                return Err(format!("{:?}: it has {has:?} of {name}, and not {right:?}", self.way));
            }
        }
        Ok(())
    }
}

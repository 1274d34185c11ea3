//! A simulated client: it assumes nothing that it was not sent, and checks everything that it is sent.

use std::collections::{BTreeMap, VecDeque};

use broker_engine::ConnId;

use super::message::Message;
use super::network::{Incoming, SharedPipe};
use super::request::{Answer, Request};
use super::start::start;
use super::stream::{Expect, Pace, Phase, Stream, Truth};
use super::subscriptions::{Subscriptions, is_pattern};

pub struct Client {
    pub shard: usize,
    pub conn: ConnId,
    pub pipe: SharedPipe,
    /// Requests on their way to the broker.
    pub outgoing: VecDeque<Request>,
    /// Answers that must come, in this order.
    pub awaited: VecDeque<(u64, Answer)>,
    pub ids: u64,
    /// Its subscriptions in the broker, according to what that has read.
    pub held: Subscriptions,
    /// Its subscriptions as the client knows them, according to the answers.
    pub known: Subscriptions,
    /// What new permissions have ended, with the code, until they are announced.
    pub revoked: BTreeMap<String, String>,
    pub streams: BTreeMap<String, Stream>,
    /// What an earlier connection had, for resuming.
    pub remembered: BTreeMap<String, Stream>,
    greeted: bool,
    pub closed: Option<u16>,
    /// No more bytes are sent in either direction.
    pub over: bool,
    /// Prints what it gets.
    trace: bool,
    /// Pings that wait for a pong.
    pub pings: u32,
    /// Bytes that may wait for it, an upper estimate.
    pub waiting_bytes: u64,
    pub was_behind: bool,
    /// Its socket was full at some time.
    pub was_full: bool,
    /// Some subscription asked to be disconnected when it is slow.
    pub strict: bool,
    /// Number of entries for which a sum of all connections had no room.
    pub lacked_room: u64,
    /// It left a pattern: others may introduce its topics again.
    pub left_a_pattern: bool,
    /// Updates above this one came unimpeded: they are in order across topics.
    pub in_step_since: Option<u64>,
    newest_in_step: u64,
}

impl Client {
    pub fn new(shard: usize, conn: ConnId, pipe: SharedPipe, trace: bool) -> Self {
        Self {
            shard,
            conn,
            pipe,
            outgoing: VecDeque::new(),
            awaited: VecDeque::new(),
            ids: 0,
            held: Subscriptions::default(),
            known: Subscriptions::default(),
            revoked: BTreeMap::new(),
            streams: BTreeMap::new(),
            remembered: BTreeMap::new(),
            greeted: false,
            closed: None,
            over: false,
            trace,
            pings: 0,
            waiting_bytes: 0,
            was_behind: false,
            was_full: false,
            strict: false,
            lacked_room: 0,
            left_a_pattern: false,
            in_step_since: None,
            newest_in_step: 0,
        }
    }

    /// Whether the next request waits for an answer: until it comes, what the broker holds is unknown if a sum of all
    /// connections may refuse entries.
    pub fn waits_for_subscribed(&self) -> bool {
        let unknown = |answer: &Answer| {
            matches!(answer, Answer::Subscribed { may_lack_room: true, .. } | Answer::Authenticated(_))
        };
        self.awaited.iter().any(|(_, answer)| unknown(answer))
    }

    /// Something may have taken the client out of step.
    pub fn disturb(&mut self) {
        self.in_step_since = None;
    }

    /// Nothing waits for the client: from now on everything comes in order.
    pub fn is_idle(&mut self, updates: u64) {
        (self.waiting_bytes, self.was_behind) = (0, false);
        if self.in_step_since.is_none() {
            (self.in_step_since, self.newest_in_step) = (Some(updates), updates);
        }
    }

    /// Reads everything that arrived.
    pub fn read(&mut self, truth: Truth<'_>, calm: bool) -> Result<(), String> {
        let pipe = self.pipe.clone();
        let mut pipe = pipe.borrow_mut();
        if pipe.after_finish > 0 {
            return Err("bytes after the broker announced that none follow".to_owned());
        }
        if std::mem::take(&mut pipe.was_cut) {
            self.was_full = true;
            self.disturb();
        }
        while let Some(frame) = pipe.take()? {
            if self.closed.is_some() {
                return Err(format!("{frame:?} after the close frame"));
            }
            if self.trace {
                let shown = if let Incoming::Text(text) = &frame { text.clone() } else { format!("{frame:?}") };
                eprintln!("{:>10}   {}:{} gets {shown}", truth.now_us, self.shard, self.conn);
            }
            match frame {
                Incoming::Text(text) => {
                    self.message(truth, calm, &text).map_err(|error| format!("{error}\n  in {text}"))?;
                }
                Incoming::Close(code) => self.closed = Some(code.unwrap_or(1005)),
                Incoming::Ping => self.pings += 1,
                Incoming::Pong => return Err("a pong without a ping".to_owned()),
                Incoming::Heartbeat => {}
            }
        }
        Ok(())
    }

    fn message(&mut self, truth: Truth<'_>, calm: bool, text: &str) -> Result<(), String> {
        let message = Message::parse(text)?;
        if !std::mem::replace(&mut self.greeted, true) {
            return if message.op() == "hello" { Ok(()) } else { Err("hello must be first".to_owned()) };
        }
        match message.op() {
            "update" | "patch" | "image" | "gap" | "closed" => self.data(truth, calm, &message),
            "topic" => self.topic(truth, &message),
            "heartbeat" => Ok(()),
            "error" if message.raw("id").is_err() => self.revoked(&message),
            _ => {
                let (id, answer) = self.awaited.pop_front().ok_or("an answer to nothing")?;
                if message.number("id")? != id {
                    return Err(format!("the answer to {id} should come first: {answer:?}"));
                }
                self.answer(truth, &message, answer)
            }
        }
    }

    fn data(&mut self, truth: Truth<'_>, calm: bool, message: &Message<'_>) -> Result<(), String> {
        let name = message.text("topic")?;
        if self.revoked.contains_key(&name) {
            return Err("a topic that is no longer allowed".to_owned());
        }
        let best = self.known.best(&name).ok_or("a topic that is not subscribed to")?;
        let stream = self.streams.get_mut(&name).ok_or("a topic that was not introduced")?;
        let epoch = stream.epoch_at.map(|at| &truth.model.topics[&name][at]);
        let conflate_ms = epoch.map_or(0, |epoch| best.conflate_ms(epoch.kind));
        let pace = Pace {
            was_behind: self.was_behind,
            on_slow: best.options.on_slow,
            conflate_ms,
            calm: calm && !self.was_full,
        };
        stream.take(truth, message, pace)?;
        let plain = matches!(message.op(), "update" | "patch") && conflate_ms == 0 && !stream.merged;
        let update = epoch.and_then(|epoch| epoch.update(stream.last)).filter(|_| plain);
        if let (Some(update), Some(since)) = (update, self.in_step_since)
            && update.index > since
        {
            if update.index < self.newest_in_step {
                return Err(format!("update {} of all after update {}", update.index, self.newest_in_step));
            }
            self.newest_in_step = update.index;
        }
        Ok(())
    }

    fn topic(&mut self, truth: Truth<'_>, message: &Message<'_>) -> Result<(), String> {
        let name = message.text("topic")?;
        let best = self.known.best(&name).ok_or("a topic that is not subscribed to")?;
        let called = message.optional_text("epoch")?.ok_or("a topic without an epoch")?;
        let (at, epoch) = truth.model.epoch(&name, &called).ok_or("an epoch that never existed")?;
        let held = self.streams.get(&name);
        let may_come = match held.map(|held| held.phase) {
            None => is_pattern(&best.entry),
            Some(Phase::Waiting | Phase::Unintroduced) => true,
            Some(Phase::Closed) => held.and_then(|held| held.epoch_at) < Some(at),
            Some(Phase::Running) => held.is_some_and(|held| held.loose),
        };
        if !may_come {
            return Err(format!(
                "it is already introduced: {:?}",
                held.map(|held| (held.phase, &held.epoch, held.last))
            ));
        }
        let loose = self.left_a_pattern || epoch.closed || held.is_some_and(|held| held.loose);
        let (seq, oldest) = (message.number("seq")?, message.number("oldest")?);
        if message.text("kind")? != epoch.kind.as_str() || seq > epoch.seq() || oldest > seq + 1 || oldest == 0 {
            return Err(format!("the topic is of kind {} at {}", epoch.kind.as_str(), epoch.seq()));
        }
        let conflate_ms = best.conflate_ms(epoch.kind);
        if message.number("conflate_ms")? != conflate_ms && !loose {
            return Err(format!("an interval of {conflate_ms} ms was asked for"));
        }
        let word = message.text("start")?;
        let expect = match &*word {
            "live" if seq == 0 && oldest == 1 => Expect::Next(1),
            "image" if loose && epoch.has_image() => Expect::Image(seq),
            "live" if loose => Expect::Next(seq + 1),
            "history" if loose && seq > 0 => Expect::From(oldest),
            _ if is_pattern(&best.entry) => {
                let (right, expect) = start(epoch, seq, oldest, best.options.from, conflate_ms);
                if word != right {
                    return Err(format!("it should start with {right}"));
                }
                expect
            }
            _ => return Err("a topic subscribed by its name begins at 0".to_owned()),
        };
        let mut stream = Stream::begun(at, &called, expect, None, truth.now_us);
        if loose && seq == 0 {
            // It began under the old options: the pattern has still to introduce it.
            stream.loosen();
        }
        self.streams.insert(name, stream);
        Ok(())
    }
}

//! What a client may get of one topic: PROTOCOL §4, implemented from that page alone.

use broker_engine::{Ask, Engine};
use broker_protocol::kind::Kind;
use serde_json::Value;

use super::message::Message;
use super::model::{Epoch, Model, merge};

/// What is true while a message is checked.
#[derive(Clone, Copy)]
pub struct Truth<'a> {
    pub model: &'a Model,
    pub engine: &'a Engine,
    pub now_us: u64,
}

impl Truth<'_> {
    /// The oldest retained `seq` of an incarnation, if it is the live one.
    pub fn oldest(&self, name: &str, epoch: &Epoch) -> Option<u64> {
        let page = self.engine.history(name, Ask::Last(0)).filter(|_| !epoch.closed)?;
        Some(page.oldest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Subscribed to by name, and not published yet.
    Waiting,
    /// A pattern has still to introduce it.
    Unintroduced,
    Running,
    /// Ended; the next incarnation may follow.
    Closed,
}

/// What must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The update, or an image or gap that covers it and more.
    Next(u64),
    /// An image of this `seq` or a later one.
    Image(u64),
    /// Some update from this one on: the number asked for belongs to a pattern that is gone.
    From(u64),
}

/// How well the client keeps up, as far as that excuses anything.
#[derive(Clone, Copy)]
pub struct Pace {
    /// More than `behind_bytes` may have waited for it.
    pub was_behind: bool,
    /// From the subscription that applies.
    pub on_slow: &'static str,
    /// The interval in effect.
    pub conflate_ms: u64,
    /// Its socket was never full, and its shard took no connection out of step.
    pub calm: bool,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub phase: Phase,
    /// The index of the incarnation, counted from the name's first.
    pub epoch_at: Option<usize>,
    pub epoch: String,
    /// The newest `seq` that the client has, by update, image or gap.
    pub last: u64,
    pub expect: Expect,
    /// The state that the client has assembled.
    pub state: Option<Value>,
    /// Its keys are in the broker's order.
    ordered: bool,
    /// The options changed without a new start, which may still come.
    pub loose: bool,
    /// Meanwhile the pattern that introduced it was subscribed to again: a topic that has ended by then is not
    /// mentioned.
    pub forgotten: bool,
    /// Some message may cover several updates.
    pub merged: bool,
    /// No message has come since the start.
    fresh: bool,
    /// The time of the start, and the number of messages since.
    counted: (u64, u64),
}

impl Stream {
    pub fn waiting() -> Self {
        Self {
            phase: Phase::Waiting,
            epoch_at: None,
            epoch: String::new(),
            last: 0,
            expect: Expect::Next(1),
            state: None,
            ordered: true,
            loose: false,
            forgotten: false,
            merged: false,
            fresh: true,
            counted: (0, 0),
        }
    }

    /// A start in an incarnation; `held` is what the client already has, if it continues from that.
    pub fn begun(at: usize, epoch: &str, expect: Expect, held: Option<&Stream>, now_us: u64) -> Self {
        let last = match expect {
            Expect::Next(next) => next - 1,
            Expect::Image(_) => 0,
            Expect::From(first) => first - 1,
        };
        let held = held.filter(|held| held.epoch == epoch && held.last == last && last > 0);
        Self {
            phase: Phase::Running,
            epoch_at: Some(at),
            epoch: epoch.to_owned(),
            last,
            expect,
            state: held.and_then(|held| held.state.clone()),
            ordered: held.is_none_or(|held| held.ordered),
            counted: (now_us, 0),
            ..Self::waiting()
        }
    }

    /// The options changed and the stream continues.
    pub fn loosen(&mut self) {
        (self.loose, self.merged) = (true, true);
    }

    /// Whether the client has everything of the incarnation.
    pub fn is_current(&self, epoch: &Epoch) -> bool {
        self.phase == Phase::Running && self.last == epoch.seq() && matches!(self.expect, Expect::Next(_))
    }

    /// Takes an `update`, `patch`, `image`, `gap` or `closed` of the topic.
    pub fn take(&mut self, truth: Truth<'_>, message: &Message<'_>, pace: Pace) -> Result<(), String> {
        if self.phase != Phase::Running {
            return Err(format!("a topic in the phase {:?}", self.phase));
        }
        if let Expect::From(least) = self.expect
            && message.op() != "image"
        {
            let first = message.optional_number("seq")?.or(message.optional_number("from")?).unwrap_or(least);
            self.expect = Expect::Next(first.max(least));
        }
        let name = message.text("topic")?;
        let epochs = &truth.model.topics[&*name];
        let epoch = &epochs[self.epoch_at.expect("a running stream has an incarnation")];
        match message.op() {
            "image" => self.take_image(truth, &name, epoch, message, pace)?,
            "gap" => self.take_gap(truth, &name, epoch, message, pace)?,
            "closed" => {
                let next = self.next().ok_or("`closed` instead of the image")?;
                if !epoch.closed || next != epoch.seq() + 1 {
                    return Err(format!("`closed` after {}, the topic has {}", next - 1, epoch.seq()));
                }
                self.phase = Phase::Closed;
            }
            _ => self.take_update(epoch, message, pace)?,
        }
        self.fresh = false;
        self.count(truth.now_us, epoch, pace)
    }

    fn next(&self) -> Option<u64> {
        match self.expect {
            Expect::Next(next) => Some(next),
            Expect::Image(_) | Expect::From(_) => None,
        }
    }

    fn moved_to(&mut self, seq: u64) {
        (self.last, self.expect) = (seq, Expect::Next(seq + 1));
    }

    fn take_update(&mut self, epoch: &Epoch, message: &Message<'_>, pace: Pace) -> Result<(), String> {
        let next = self.next().ok_or("an update instead of the image")?;
        let (seq, from) = (message.number("seq")?, message.optional_number("from")?);
        let merging = pace.conflate_ms > 0 || self.merged;
        if from.is_some() && !merging {
            return Err("`from` on a topic that is not conflated".to_owned());
        }
        if from.unwrap_or(seq) != next || from.is_some_and(|from| from >= seq) {
            return Err(format!("{next} should come next"));
        }
        let update = epoch.update(seq).ok_or("it was never published")?;
        if message.number("ts")? != update.ts || message.optional_number("source_ts")? != update.source_ts {
            return Err(format!("published at {}, source_ts {:?}", update.ts, update.source_ts));
        }
        let (op, data) = (message.op(), message.raw("data")?);
        let word = if update.kind == Kind::Patch { "patch" } else { "update" };
        let plain = from.is_none() && op == word && data == update.data;
        // A client that resumed may have a state that the model does not know.
        let difference = op == "patch" && merging;
        if !plain && !difference {
            return Err(format!("the {} is {}", update.kind.as_str(), update.data));
        }
        let value: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        self.ordered &= plain;
        self.state = match (op, self.state.take()) {
            ("patch", None) => None,
            ("patch", Some(mut state)) => {
                merge(&mut state, &value);
                Some(state)
            }
            (_, _) => {
                self.ordered = true;
                Some(value)
            }
        };
        self.moved_to(seq);
        self.check_state(update.state.as_ref())
    }

    fn check_state(&self, truth: Option<&Value>) -> Result<(), String> {
        let (Some(own), Some(truth)) = (&self.state, truth) else { return Ok(()) };
        // Two objects are equal in any order of keys, two texts only in the same order.
        let (own_text, truth_text) = (own.to_string(), truth.to_string());
        let same = if self.ordered { own_text == truth_text } else { own == truth };
        if same { Ok(()) } else { Err(format!("the client has {own}, the topic {truth}")) }
    }

    fn take_image(
        &mut self,
        truth: Truth<'_>,
        name: &str,
        epoch: &Epoch,
        message: &Message<'_>,
        pace: Pace,
    ) -> Result<(), String> {
        let seq = message.number("seq")?;
        let update = epoch.update(seq).ok_or("it was never published")?;
        if message.text("epoch")? != self.epoch {
            return Err(format!("the topic is in epoch {}", self.epoch));
        }
        match self.expect {
            Expect::Image(least) if seq < least => return Err(format!("an image of {least} at least was promised")),
            Expect::Image(_) | Expect::From(_) => {}
            Expect::Next(next) if seq < next => return Err(format!("the client already has {}", next - 1)),
            Expect::Next(next) if pace.conflate_ms == 0 && !self.merged => {
                let dropped = truth.oldest(name, epoch).is_none_or(|oldest| next < oldest);
                let excused = pace.was_behind && pace.on_slow == "conflate";
                if !dropped && !excused {
                    return Err(format!("{next} is retained, and the client was not behind"));
                }
                if pace.on_slow == "disconnect" && !self.fresh {
                    return Err("the client asked to be disconnected instead".to_owned());
                }
            }
            Expect::Next(_) => {}
        }
        if message.number("ts")? != update.ts || message.optional_number("source_ts")? != update.source_ts {
            return Err(format!("published at {}, source_ts {:?}", update.ts, update.source_ts));
        }
        let value = serde_json::from_str(message.raw("data")?).map_err(|error| error.to_string())?;
        (self.state, self.ordered) = (Some(value), true);
        self.moved_to(seq);
        self.check_state(Some(update.state.as_ref().ok_or("an image of events")?))
    }

    fn take_gap(
        &mut self,
        truth: Truth<'_>,
        name: &str,
        epoch: &Epoch,
        message: &Message<'_>,
        pace: Pace,
    ) -> Result<(), String> {
        let (from, to, reason) = (message.number("from")?, message.number("to")?, message.text("reason")?);
        // A topic that ended may have dropped what it held: then a gap replaces the image as well.
        let released = epoch.closed && epoch.has_image() && to == epoch.seq();
        let next = match self.expect {
            Expect::Image(_) if released => from,
            _ => self.next().ok_or("a gap instead of the image")?,
        };
        if from != next || to < from || to > epoch.seq() || (epoch.has_image() && !released) {
            return Err(format!("{next} should come next, of {} in all", epoch.seq()));
        }
        if truth.oldest(name, epoch).is_some_and(|oldest| to >= oldest) {
            return Err(format!("{to} is retained"));
        }
        if reason != "slow" && reason != "expired" {
            return Err("an unknown reason".to_owned());
        }
        if pace.on_slow == "disconnect" && reason == "slow" && !self.loose {
            return Err("the client asked to be disconnected instead".to_owned());
        }
        self.moved_to(to);
        Ok(())
    }

    /// At most one message per interval, except for the start, the first change, and what a late turn writes at once.
    fn count(&mut self, now_us: u64, epoch: &Epoch, pace: Pace) -> Result<(), String> {
        self.counted.1 += 1;
        let (since_us, messages) = self.counted;
        let most = match pace.conflate_ms {
            0 => return Ok(()),
            interval_ms => 3 + (now_us - since_us) / (interval_ms * 1000),
        };
        if pace.calm && !self.loose && !epoch.closed && messages > most {
            return Err(format!(
                "message {messages} in {} µs, at an interval of {} ms",
                now_us - since_us,
                pace.conflate_ms
            ));
        }
        Ok(())
    }
}

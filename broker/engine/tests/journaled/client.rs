//! A connection's client: its requests, and their answers in the order of the requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use broker_engine::{ConnId, Publishes, Rates};

use super::asked::{Asked, Request};
use super::message::Message;
use super::model::Model;
use super::network::SharedPipe;
use super::offer::{Told, Update};
use super::stream::Stream;

/// How often something was met.
pub type Counts = RefCell<BTreeMap<&'static str, u64>>;

pub fn count(counts: &Counts, what: &'static str) {
    *counts.borrow_mut().entry(what).or_default() += 1;
}

/// What a client's messages are compared with.
pub struct Truth<'a> {
    pub model: &'a Model,
    pub updates: &'a [Update],
    pub now_us: u64,
    pub gives_up_us: Option<u64>,
    pub met: &'a Counts,
}

pub struct Client {
    pub shard: usize,
    pub conn: ConnId,
    pub pipe: SharedPipe,
    pub over: bool,
    pub closed: Option<Option<u16>>,
    pub quota: Option<(Publishes, Rates)>,
    pub outgoing: VecDeque<Request>,
    pub asked: VecDeque<Asked>,
    /// What it will be subscribed to when all of its requests are done.
    pub planned: BTreeSet<String>,
    pub streams: BTreeMap<String, Stream>,
    /// How many updates it has seen, of all in order, if it is subscribed to every topic.
    pub watched: Option<usize>,
    /// The newest update of a topic that it was told to be published: the epoch's index, and the `seq`.
    published: BTreeMap<String, (usize, u64)>,
    /// Its first number: no two clients have one in common.
    first_number: u64,
    asked_len: u64,
}

impl Client {
    pub fn new(index: u64, shard: usize, conn: ConnId, pipe: SharedPipe) -> Self {
        Self {
            shard,
            conn,
            pipe,
            over: false,
            closed: None,
            quota: None,
            outgoing: VecDeque::new(),
            asked: VecDeque::new(),
            planned: BTreeSet::new(),
            streams: BTreeMap::new(),
            watched: None,
            published: BTreeMap::new(),
            first_number: (index + 1) * 100_000,
            asked_len: 0,
        }
    }

    pub fn next_number(&mut self) -> u64 {
        self.asked_len += 1;
        self.first_number + self.asked_len
    }

    /// Takes a message in, and checks it.
    pub fn take(&mut self, truth: Truth<'_>, text: &str) -> Result<(), String> {
        let message = Message::parse(text)?;
        match message.op() {
            "hello" | "heartbeat" | "goaway" => Ok(()),
            "topic" | "update" | "patch" | "image" | "closed" | "gap" => self.follow(truth.model, &message),
            "pong" => {
                let number = message.number("id")?;
                let is_it = |asked: &Asked| asked.number == number && matches!(asked.request, Request::Ping);
                let at = self.asked.iter().position(is_it).ok_or("a pong to nothing")?;
                if self.asked.iter().take(at).any(|asked| !matches!(asked.request, Request::Ping)) {
                    count(truth.met, "pongs that overtook");
                }
                self.asked.remove(at);
                Ok(())
            }
            _ => {
                let asked = self.answered(&truth, message.optional_number("id")?)?;
                self.check(&truth, &message, &asked)
            }
        }
    }

    /// Takes out the request that is answered: the first that has an answer, but for pings.
    fn answered(&mut self, truth: &Truth<'_>, number: Option<u64>) -> Result<Asked, String> {
        let mut at = 0;
        loop {
            let asked = self.asked.get(at).ok_or("an answer to nothing")?;
            if matches!(asked.request, Request::Ping) {
                at += 1;
            } else if asked.is_silent(truth.updates) {
                self.asked.remove(at);
            } else if number.is_some() != asked.has_id || number.is_some_and(|number| number != asked.number) {
                return Err(format!("the answer overtakes {} ({})", asked.number, asked.text()));
            } else {
                return self.asked.remove(at).ok_or_else(|| "it is there".to_owned());
            }
        }
    }

    fn check(&mut self, truth: &Truth<'_>, message: &Message<'_>, asked: &Asked) -> Result<(), String> {
        let same = |is: bool| if is { Ok(()) } else { Err(format!("it is not what {asked:?} comes to")) };
        let met = |what| count(truth.met, what);
        let is_error = |code: &str| message.op() == "error" && message.text("code").is_ok_and(|text| text == code);
        match &asked.request {
            Request::Publish(..) | Request::Batch(_) if is_error("unavailable") && asked.may_be_given_up(truth) => {
                met("given up");
                Ok(())
            }
            Request::Publish(_, offer) => match asked.told(truth.updates)?[0] {
                Told::Refused(code) => {
                    met(code);
                    same(is_error(code))
                }
                Told::Done { epoch, seq, duplicate } => {
                    met(if *duplicate { "duplicates" } else { "published" });
                    let newest = (truth.model.epoch(&offer.topic, epoch)?, *seq);
                    self.published.insert(offer.topic.clone(), newest);
                    let told = message.op() == "published" && message.text("epoch")? == *epoch;
                    same(told && message.number("seq")? == *seq && message.raw("duplicate").is_ok() == *duplicate)
                }
            },
            Request::Batch(_) => {
                met("batches");
                let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
                for (index, told) in (0..).zip(asked.told(truth.updates)?) {
                    match told {
                        Told::Refused(code) => rejected.push((index, (*code).to_owned())),
                        Told::Done { duplicate, .. } => {
                            accepted += 1;
                            duplicates += u64::from(*duplicate);
                        }
                    }
                }
                same(message.op() == "published" && message.number("accepted")? == accepted)?;
                let rows = message.list("rejected")?;
                let told: Result<Vec<_>, String> =
                    rows.iter().map(|row| Ok((row.number("index")?, row.text("code")?))).collect();
                let left_out = rejected.iter().any(|(_, code)| code == "rate_limited");
                same(message.optional_number("duplicates")?.unwrap_or(0) == duplicates && told? == rejected)?;
                same(message.raw("retry_ms").is_ok() == left_out)
            }
            Request::Ping => same(false),
            Request::Wrong(code, _) => same(is_error(code)),
            Request::List => {
                let rows = message.list("topics")?;
                let told: Result<BTreeSet<_>, String> = rows.iter().map(|row| row.text("topic")).collect();
                same(told? == self.streams.keys().cloned().collect())
            }
            Request::Unsubscribe(entries) => {
                entries.iter().for_each(|entry| _ = self.streams.remove(entry));
                same(message.op() == "unsubscribed")
            }
            Request::Subscribe(_) => {
                same(message.op() == "subscribed" && message.list("errors")?.is_empty())?;
                for row in message.list("topics")? {
                    self.subscribed(truth, asked, &row)?;
                }
                Ok(())
            }
        }
    }

    /// A subscription takes effect after the publishes before it, and before those behind it.
    fn subscribed(&mut self, truth: &Truth<'_>, asked: &Asked, row: &Message<'_>) -> Result<(), String> {
        let topic = row.text("topic")?;
        let mut stream = Stream::default();
        stream.begin(truth.model, &topic, row)?;
        let at = stream.position();
        self.streams.insert(topic.clone(), stream);
        let before = self.published.get(&topic).copied();
        // A topic that is not there may have ended.
        if let (Some(at), Some(before)) = (at, before)
            && before > at
        {
            return Err(format!("{} begins {topic} at {at:?}, and {before:?} was published before", asked.number));
        }
        for later in self.asked.iter().filter(|later| later.number > asked.number) {
            for update in later.updates.iter().map(|update| &truth.updates[*update]).filter(|it| it.topic == topic) {
                if let (Some(Told::Done { epoch, seq, duplicate: false }), Some(at)) = (&update.told, at)
                    && (truth.model.epoch(&topic, epoch)?, *seq) <= at
                {
                    return Err(format!("{} begins {topic} at {at:?}, behind update {seq}", asked.number));
                }
            }
        }
        Ok(())
    }

    fn follow(&mut self, model: &Model, message: &Message<'_>) -> Result<(), String> {
        let topic = message.text("topic")?;
        let stream = match self.watched {
            Some(_) => self.streams.entry(topic.clone()).or_default(),
            None => self.streams.get_mut(&topic).ok_or("it is not subscribed to this")?,
        };
        if message.op() == "topic" {
            return stream.begin(model, &topic, message);
        }
        stream.take(model, &topic, message)?;
        if let (Some(at), Some((_, seq))) = (&mut self.watched, stream.position())
            && message.op() != "closed"
        {
            if model.order.get(*at) != Some(&(topic.clone(), seq)) {
                return Err(format!("the update before it in the log was {:?}", model.order.get(*at)));
            }
            *at += 1;
        }
        Ok(())
    }
}

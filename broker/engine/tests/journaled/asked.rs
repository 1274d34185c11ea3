//! A request of a client, and when it may be answered in which way.

use super::client::Truth;
use super::offer::{Offer, Told, Update};

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum Request {
    Publish(usize, Offer),
    Batch(Vec<(usize, Offer)>),
    Ping,
    List,
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    /// A message with this error, and its fields.
    Wrong(&'static str, &'static str),
}

/// A request that is not answered.
#[derive(Debug)]
pub struct Asked {
    pub number: u64,
    pub has_id: bool,
    pub request: Request,
    /// When a publish was executed.
    pub executed_us: Option<u64>,
    pub updates: Vec<usize>,
    pub offers: Vec<Offer>,
}

impl Request {
    /// Whether it publishes, well-formed.
    pub fn publishes(&self) -> bool {
        matches!(self, Request::Publish(..) | Request::Batch(_))
    }
}

impl Asked {
    pub fn new(number: u64, has_id: bool, request: Request) -> Self {
        let (updates, offers) = match &request {
            Request::Publish(update, offer) => (vec![*update], vec![offer.clone()]),
            Request::Batch(lines) => lines.iter().cloned().unzip(),
            _ => (Vec::new(), Vec::new()),
        };
        let has_id = has_id && !matches!(request, Request::Wrong("bad_json", _));
        Self { number, has_id, request, executed_us: None, updates, offers }
    }

    pub fn text(&self) -> String {
        let list =
            |entries: &[String]| entries.iter().map(|entry| format!("\"{entry}\"")).collect::<Vec<_>>().join(",");
        let fields = match &self.request {
            Request::Publish(_, offer) => format!(r#""op":"publish",{}"#, offer.fields()),
            Request::Batch(lines) => {
                let lines: Vec<_> = lines.iter().map(|(_, offer)| format!("{{{}}}", offer.fields())).collect();
                format!(r#""op":"publish","batch":[{}]"#, lines.join(","))
            }
            Request::Ping => r#""op":"ping""#.to_owned(),
            Request::List => r#""op":"list""#.to_owned(),
            Request::Subscribe(entries) => format!(r#""op":"subscribe","topics":[{}]"#, list(entries)),
            Request::Unsubscribe(entries) => format!(r#""op":"unsubscribe","topics":[{}]"#, list(entries)),
            Request::Wrong("bad_json", fields) => return (*fields).to_owned(),
            Request::Wrong(_, fields) => (*fields).to_owned(),
        };
        if self.has_id { format!(r#"{{"id":{},{fields}}}"#, self.number) } else { format!("{{{fields}}}") }
    }

    pub fn publishes(&self) -> bool {
        self.request.publishes()
    }

    pub fn is_batch(&self) -> bool {
        matches!(self.request, Request::Batch(_))
    }

    /// Whether publishes may have to wait for it.
    pub fn waits(&self) -> bool {
        !matches!(self.request, Request::Ping) && (!self.publishes() || self.executed_us.is_none())
    }

    pub fn told<'a>(&self, updates: &'a [Update]) -> Result<Vec<&'a Told>, String> {
        let told = self.updates.iter().map(|update| updates[*update].told.as_ref());
        told.collect::<Option<_>>()
            .filter(|_| self.executed_us.is_some())
            .ok_or_else(|| format!("{} is answered before it is applied", self.number))
    }

    /// Whether it has no answer: it has no id, and everything was accepted.
    pub fn is_silent(&self, updates: &[Update]) -> bool {
        let accepted = |told: &Told| matches!(told, Told::Done { .. });
        !self.has_id && self.publishes() && self.told(updates).is_ok_and(|told| told.into_iter().all(accepted))
    }

    /// Whether it may have been given up.
    pub fn may_be_given_up(&self, truth: &Truth<'_>) -> bool {
        let (Some(gives_up_us), Some(executed_us)) = (truth.gives_up_us, self.executed_us) else { return false };
        let passed = self.updates.iter().map(|update| &truth.updates[*update]).filter(|update| !update.at_once);
        passed.map(|update| update.passed_us.unwrap_or(truth.now_us)).any(|us| us >= executed_us + gives_up_us)
    }
}

//! An ordinary subscriber: it applies what it gets.

use std::collections::HashMap;

use broker_client::{Client, Event, Kind, Start, Subscription, TopicStart};
use feed_player::progress::Progress;
use serde_json::Value;

use crate::market::{Market, fingerprint, merge, parse};
use crate::running::{Line, PATIENCE};
use crate::until_published;

/// How a subscriber behaves.
pub(crate) enum Manner<'a> {
    /// Cuts a line, its own or another one, after every `every` updates.
    Cuts { line: &'a Line, every: u64 },
    /// Reads nothing while the number of published updates is between `from` and `to`.
    Stops { progress: &'a Progress, from: u64, to: u64 },
}

#[derive(Default)]
struct Topic {
    /// The last `seq` since its stream began.
    seq: Option<u64>,
    state: Value,
    /// The last event that came. A client delivers none twice, however often it is disconnected.
    last_event: Option<u64>,
    /// How its stream began.
    begun: Option<TopicStart>,
    /// Whether it is at its last update.
    is_complete: bool,
}

/// The state that a subscriber holds.
pub(crate) struct Held<'a> {
    market: &'a Market,
    topics: HashMap<String, Topic>,
    complete: usize,
    /// The number of updates that came.
    pub(crate) came: u64,
    /// The number of events that gaps named as lost.
    pub(crate) lost: u64,
}

impl<'a> Held<'a> {
    pub(crate) fn new(market: &'a Market) -> Held<'a> {
        Held { market, topics: HashMap::new(), complete: 0, came: 0, lost: 0 }
    }

    /// Follows until every topic is at its last update. `who` names the subscriber in errors.
    pub(crate) async fn follow(
        &mut self,
        who: &str,
        client: &Client,
        mut subscription: Subscription,
        manner: Manner<'_>,
    ) {
        let (mut stopped, mut cuts) = (false, 0);
        while self.complete < self.market.topics.len() {
            let Ok(event) = tokio::time::timeout(PATIENCE, subscription.next()).await else {
                panic!("{who}: nothing came for {PATIENCE:?}; {:?}; {}", client.counters(), self.missing());
            };
            self.apply(event.expect("the subscription goes on"));
            match manner {
                Manner::Cuts { line, every } if self.came / every > cuts => {
                    cuts = self.came / every;
                    line.cut();
                }
                Manner::Stops { progress, from, to } if !stopped && progress.snapshot().published >= from => {
                    stopped = true;
                    until_published(progress, to).await;
                }
                _ => {}
            }
        }
    }

    /// What has come so far, and the topics that are not at their last updates.
    fn missing(&self) -> String {
        let mut behind: Vec<String> = Vec::new();
        for (name, own) in &self.market.topics {
            let known = self.topics.get(name);
            let seq = known.and_then(|topic| topic.seq);
            if seq != Some(own.updates) {
                behind.push(format!("{name}: {seq:?} of {}, {:?}", own.updates, known.map(|topic| &topic.begun)));
            }
        }
        behind.sort();
        let (topics, all) = (self.topics.len(), self.market.topics.len());
        format!(
            "{} updates came, {topics} topics of {all} are known, {} are behind: {behind:?}",
            self.came,
            behind.len()
        )
    }

    fn apply(&mut self, event: Event) {
        match event {
            // Anything but a resumption starts over: the next message need not be continuous with the last.
            Event::Topic(begun) if begun.start != Start::Resumed => self.begin(&begun),
            Event::Topic(_) => {}
            Event::Image { topic, seq, data, .. } => self.topic(&topic, seq, |state| *state = parse(data.text())),
            Event::Patch { topic, seq, data, .. } => {
                self.came += 1;
                self.topic(&topic, seq, |state| merge(state, parse(data.text())));
            }
            Event::Update { topic, kind: Kind::Event, seq, data, .. } => {
                self.came += 1;
                let events = self.market.topics[&*topic].events.as_ref().expect("a topic of events");
                assert_eq!(events[seq as usize - 1], fingerprint(data.text()), "{topic} {seq}: {data}");
                let last = self.topics.get(&*topic).and_then(|topic| topic.last_event);
                assert!(last < Some(seq), "{topic}: event {seq} comes after {last:?}");
                self.topics.entry(topic.to_string()).or_default().last_event = Some(seq);
                self.topic(&topic, seq, |_| {});
            }
            Event::Update { topic, seq, data, .. } => {
                self.came += 1;
                self.topic(&topic, seq, |state| *state = parse(data.text()));
            }
            Event::Gap { topic, from, to, .. } => {
                let is_event = self.market.topics[&*topic].events.is_some();
                if let Some(last) = self.topics.get(&*topic).and_then(|topic| topic.seq) {
                    assert_eq!(from, last + 1, "{topic}: a gap continues what came");
                }
                if is_event {
                    self.lost += to + 1 - from;
                    self.topic(&topic, to, |_| {});
                } else {
                    // The image that follows contains what was missed of a state.
                    self.topics.entry(topic.to_string()).or_default().seq = Some(to);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, begun: &TopicStart) {
        let topic = self.topics.entry(begun.topic.to_string()).or_default();
        topic.seq = None;
        topic.begun = Some(begun.clone());
        self.complete -= usize::from(std::mem::take(&mut topic.is_complete));
        // If all events are there, no further message may come.
        if begun.kind == Some(Kind::Event) && begun.start == Start::Live && begun.seq > 0 {
            self.topic(&begun.topic, begun.seq, |_| {});
        }
    }

    fn topic(&mut self, name: &str, seq: u64, change: impl FnOnce(&mut Value)) {
        let topic = self.topics.entry(name.to_owned()).or_default();
        assert!(topic.seq.is_none_or(|before| before <= seq), "{name} goes back from {:?} to {seq}", topic.seq);
        change(&mut topic.state);
        topic.seq = Some(seq);
        let last = self.market.topics[name].updates;
        assert!(seq <= last, "{name}: {seq} of {last}");
        if seq == last && !topic.is_complete {
            topic.is_complete = true;
            self.complete += 1;
        }
    }

    pub(crate) fn assert_is(&self, market: &Market, who: &str) {
        assert_eq!(self.topics.len(), market.topics.len(), "{who}");
        for (name, own) in &market.topics {
            let held = &self.topics[name];
            assert_eq!((held.seq, &held.state), (Some(own.updates), &own.state), "{who}: {name}");
        }
    }
}

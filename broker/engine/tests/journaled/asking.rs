//! Requests are handed over. What is refused at once is known by what the broker knows at that moment.

use std::sync::Arc;

use broker_engine::journal::ReplyTo;
use broker_protocol::codes::ErrorCode;
use broker_protocol::request::parse_line;

use super::asked::Asked;
use super::log::{Command, Submitted};
use super::offer::{Offer, Told};
use super::producer::{Answer, Producer};
use super::world::World;

impl World {
    /// What changes when publishes are executed, whether they are submitted or refused.
    fn executed(&self) -> (u64, u64) {
        let refused = ErrorCode::ALL.iter().map(|code| self.engine.refused(*code)).sum();
        (self.journal().gathering().bytes(), refused)
    }

    /// Hands a client's next request over to its shard.
    pub fn hand_over(&mut self, id: usize) -> Result<(), String> {
        let Some(request) = self.clients[id].outgoing.pop_front() else { return Ok(()) };
        let has_id = self.gives_up_us.is_some() || !request.publishes() || self.dice.percent(70);
        let asked = Asked::new(self.clients[id].next_number(), has_id, request);
        let (now, text) = (self.now(), asked.text());
        let (shard, conn) = (self.clients[id].shard, self.clients[id].conn);
        self.log(|| format!("client {id} asks {text}"));
        self.clients[id].asked.push_back(asked);
        let before = self.executed();
        self.drivers[shard].shard.handle(now, conn, &text);
        if self.executed() != before {
            return self.execute(id);
        }
        let mut asked = self.clients[id].asked.iter().rev();
        if !asked.next().is_some_and(Asked::publishes) {
            return Ok(());
        }
        let waits = asked.any(Asked::waits);
        self.met("publishes held");
        if waits { Ok(()) } else { Err(format!("client {id}: {text} waits for no request")) }
    }

    /// Lets a shard execute the first message of a client that waited for answers.
    pub fn release(&mut self, id: usize) -> Result<(), String> {
        let (now, before) = (self.now(), self.executed());
        let (shard, conn) = (self.clients[id].shard, self.clients[id].conn);
        self.log(|| format!("client {id} is released"));
        self.met("messages released");
        self.drivers[shard].shard.handle_released(now, conn);
        if self.executed() == before { Ok(()) } else { self.execute(id) }
    }

    /// A publish of a client was executed: the first that was not.
    fn execute(&mut self, id: usize) -> Result<(), String> {
        let now = self.now();
        let mut asked = self.clients[id].asked.iter_mut();
        let waiting = asked.find(|asked| asked.publishes() && asked.executed_us.is_none());
        let asked = waiting.ok_or("something was executed that is no publish")?;
        asked.executed_us = Some(now.mono_us);
        let (number, is_batch) = (asked.number, asked.is_batch());
        let updates: Vec<_> = asked.updates.iter().copied().zip(asked.offers.iter().cloned()).collect();
        self.log(|| format!("client {id}: {number} is executed"));
        let (before, submitted) = (self.log.beginning, self.log.submitted.len());
        for (update, offer) in updates {
            let allowed = self.predict(id, &offer, is_batch);
            self.take(update, offer, allowed, Some(self.clients[id].shard), None);
        }
        if self.log.beginning > before {
            self.met("topics that would begin");
        }
        if self.log.submitted.len() > submitted && self.engine.budget().buffers() == 0 {
            return Err(format!("client {id}: {number} waits, and no budget knows"));
        }
        Ok(())
    }

    /// What a client's update must be refused with at once; else whether it would begin a topic.
    fn predict(&mut self, id: usize, offer: &Offer, in_batch: bool) -> Result<bool, &'static str> {
        let (now, bytes) = (self.now(), offer.data.to_string().len() as u64);
        if offer.is_torn {
            return Err("bad_request");
        }
        if let Some((publishes, rates)) = &mut self.clients[id].quota
            && publishes.take(now, rates, 1, bytes).is_err()
        {
            self.met(if in_batch { "lines over a quota" } else { "publishes over a quota" });
            return Err("rate_limited");
        }
        self.admit(offer)
    }

    /// The same for an update of anybody.
    fn admit(&mut self, offer: &Offer) -> Result<bool, &'static str> {
        if offer.topic.contains("..") {
            return Err("bad_topic");
        }
        if offer.topic.starts_with('$') {
            return Err("forbidden");
        }
        let begins = self.model.live(&offer.topic).is_none() || self.log.may_end(&offer.topic);
        if begins && self.model.live_len() + self.log.beginning >= self.limits.topics_max {
            self.met("topics over topics_max");
            return Err("limit");
        }
        if self.log.is_refused { Err("unavailable") } else { Ok(begins) }
    }

    /// Notes what became of an update when it was offered.
    fn take(
        &mut self,
        update: usize,
        offer: Offer,
        allowed: Result<bool, &'static str>,
        shard: Option<usize>,
        waiter: Option<(Arc<Producer>, u64)>,
    ) {
        match allowed {
            Ok(begins) => {
                let what = Command::Update { update, offer, shard };
                self.log.submit(Submitted { what, begins, waiter });
            }
            Err(code) => {
                self.updates[update].told = Some(Told::Refused(code));
                (self.updates[update].never, self.updates[update].at_once) = (true, true);
            }
        }
    }

    /// Publishes as somebody does who is no connection.
    pub fn publish(&mut self, update: usize, offer: Offer) -> Result<(), String> {
        if !self.engine.has_room() {
            return Ok(());
        }
        let (producer, number) = (Arc::<Producer>::default(), update as u64);
        self.log(|| format!("a producer publishes {}", offer.fields()));
        let line = format!("{{{}}}", offer.fields());
        let told = match parse_line(&line) {
            Ok(parsed) => {
                let reply_to = ReplyTo::Waiter(producer.clone(), number);
                self.engine.submit_publish(self.journal(), &parsed, reply_to).map_err(|refusal| refusal.code.as_str())
            }
            Err(_) => return Ok(()),
        };
        let allowed = self.admit(&offer);
        if told != allowed.map(|_| ()) {
            return Err(format!("a producer was told {told:?} and not {allowed:?} of {line}"));
        }
        self.take(update, offer, allowed, None, Some((producer, number)));
        self.met("updates of producers");
        Ok(())
    }

    /// Ends a topic as an operator does.
    pub fn end(&mut self, topic: &str) -> Result<(), String> {
        self.log(|| format!("an operator ends {topic}"));
        let (producer, number) = (Arc::<Producer>::default(), u64::MAX);
        let reply_to = ReplyTo::Waiter(producer.clone(), number);
        let told = self.engine.submit_end(self.journal(), topic, reply_to).map_err(|refusal| refusal.code.as_str());
        let right = match self.model.live(topic) {
            None => Err("not_found"),
            Some(_) if self.log.is_refused => Err("unavailable"),
            Some(_) => Ok(()),
        };
        if told != right {
            return Err(format!("an operator was told {told:?} and not {right:?} of {topic}"));
        }
        if right.is_ok() {
            let what = Command::End { topic: topic.to_owned(), only: None };
            self.log.submit(Submitted { what, begins: false, waiter: Some((producer, number)) });
        }
        Ok(())
    }

    /// Lets the engine end topics that nobody publishes to.
    pub fn tidy(&mut self) -> Result<(), String> {
        self.log(|| "tidy".to_owned());
        let (engine, idle_us) = (self.engine.clone(), self.limits.topic_idle_ms * 1000);
        let journal = engine.journal().ok_or("it has no journal")?;
        let (mut after, gathering) = (None, journal.gathering());
        loop {
            let (before, may) = (gathering.bytes(), gathering.has_room() && !self.log.is_refused);
            let next = engine.tidy(self.now(), after.as_deref(), 1);
            let Some(name) = next else { return Ok(()) };
            let epoch = self.model.live(&name).ok_or_else(|| format!("{name} should have ended"))?;
            let is_idle = idle_us > 0 && self.now_us - epoch.last_us > idle_us;
            if (is_idle && may) != (gathering.bytes() > before) {
                return Err(format!("{name}: idle {is_idle}, may end {may}"));
            }
            if is_idle && may {
                let only = Some((epoch.name.clone(), epoch.seq()));
                let what = Command::End { topic: name.to_string(), only };
                self.log.submit(Submitted { what, begins: false, waiter: None });
                self.met("idle topics");
            }
            after = Some(name);
        }
    }

    /// Checks what a producer was told, if the command had one.
    pub fn check_waiter(waiter: Option<(Arc<Producer>, u64)>, right: &Answer) -> Result<(), String> {
        waiter.map_or(Ok(()), |(producer, number)| producer.check(number, right))
    }
}

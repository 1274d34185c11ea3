//! The log, and whoever drives it: records are taken out, stored after a while or lost, applied, and answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_engine::journal::{Answers, Waiting};
use broker_engine::log::Entry;
use broker_engine::{Applied, Logged, Outcome, Verdict};
use broker_protocol::request::Refusal;

use super::model;
use super::offer::Offer;
use super::producer::{Answer, Producer};
use super::said::Said;
use super::world::World;

pub const NODE: &str = "n0";
/// Records on their way.
const IN_FLIGHT: usize = 8;

/// A command that waits for the log, in the order in which all of them were submitted.
pub struct Submitted {
    pub what: Command,
    pub begins: bool,
    pub waiter: Option<(Arc<Producer>, u64)>,
}

pub enum Command {
    /// Of a connection of a shard, or of a producer.
    Update {
        update: usize,
        offer: Offer,
        shard: Option<usize>,
    },
    End {
        topic: String,
        only: Option<(String, u64)>,
    },
    Control,
}

/// A record on its way.
pub struct Sent {
    bytes: Vec<u8>,
    pub commands: Vec<Submitted>,
    /// Who waits; nobody for a record that was given up.
    pub waiting: Option<Vec<Waiting>>,
    due_us: u64,
}

pub struct Log {
    pub session: u64,
    pub is_refused: bool,
    /// Topics that would begin with what is not answered.
    pub beginning: u64,
    /// Topics that began or ended with what nobody expected any more: only by so many may topics_max be exceeded.
    pub late: u64,
    pub submitted: VecDeque<Submitted>,
    pub in_flight: VecDeque<Sent>,
    /// Records that were given up, and may still arrive.
    pub lost: VecDeque<Sent>,
    pub stored: Vec<(u64, Vec<u8>)>,
    unapplied: VecDeque<(usize, Sent)>,
    pub applied: Applied,
    answers: Answers,
    /// The updates that are answered, with their shards.
    answered: Vec<(usize, usize)>,
    woken: Arc<AtomicBool>,
    /// Nothing waited when it last looked.
    is_idle: bool,
}

impl Log {
    pub fn new(woken: Arc<AtomicBool>) -> Self {
        Self {
            session: 0,
            is_refused: true,
            beginning: 0,
            late: 0,
            submitted: VecDeque::new(),
            in_flight: VecDeque::new(),
            lost: VecDeque::new(),
            stored: Vec::new(),
            unapplied: VecDeque::new(),
            applied: Applied::default(),
            answers: Answers::default(),
            answered: Vec::new(),
            woken,
            is_idle: true,
        }
    }

    /// Notes that a command waits from now on.
    pub fn submit(&mut self, submitted: Submitted) {
        self.beginning += u64::from(submitted.begins);
        self.submitted.push_back(submitted);
    }

    /// Whether the end of a topic waits.
    pub fn may_end(&self, name: &str) -> bool {
        let sent = self.in_flight.iter().chain(self.unapplied.iter().map(|(_, sent)| sent));
        let sent = sent.filter(|sent| sent.waiting.is_some()).flat_map(|sent| &sent.commands);
        sent.chain(&self.submitted).any(|command| matches!(&command.what, Command::End { topic, .. } if topic == name))
    }

    /// Whether nothing waits or is on its way.
    pub fn is_at_rest(&self) -> bool {
        let answered = self.answered.is_empty() && self.unapplied.is_empty();
        answered && self.submitted.is_empty() && self.in_flight.is_empty() && self.beginning == 0
    }
}

impl World {
    /// Begins the next session.
    pub fn open_session(&mut self) -> Result<(), String> {
        let engine = self.engine.clone();
        let journal = engine.journal().ok_or("it has no journal")?;
        self.log.session += 1;
        self.log(|| format!("session {}", self.log.session));
        let opening = journal.gathering().open(NODE, self.log.session).map_err(|flaw| flaw.to_string())?;
        let control = || Submitted { what: Command::Control, begins: false, waiter: None };
        let (commands, waiting) = (vec![control()], Some(opening.waiting));
        // Nothing is taken in before it stands in the log.
        self.log.put(self.now_us, Sent { bytes: opening.bytes, commands, waiting, due_us: self.now_us });
        while self.apply()? {}
        journal.gathering().begin(self.log.session);
        self.log.is_refused = false;
        if journal.settings().is_none() {
            self.log.submit(control());
        }
        engine.submit_settings(journal).map_err(|refusal| refusal.message)
    }

    /// Takes out the next record, which is on its way from now on for this long.
    pub fn write(&mut self, for_us: u64) {
        if self.log.in_flight.len() >= IN_FLIGHT {
            return;
        }
        if !self.log.woken.swap(false, Ordering::Relaxed) && self.log.is_idle {
            return;
        }
        let Some(gathered) = self.journal().gathering().take() else {
            self.log.is_idle = true;
            return;
        };
        self.log.is_idle = false;
        if gathered.waiting.len() > 1 {
            self.met("records of many");
        }
        let commands = self.log.submitted.drain(..gathered.waiting.len().min(self.log.submitted.len())).collect();
        let due_us = self.now_us + for_us;
        self.log(|| format!("a record of {} commands is on its way", gathered.waiting.len()));
        self.log.in_flight.push_back(Sent { bytes: gathered.bytes, commands, waiting: Some(gathered.waiting), due_us });
    }

    /// The log stores what is due, or everything.
    pub fn store(&mut self, all: bool) {
        while self.log.in_flight.front().is_some_and(|sent| all || sent.due_us <= self.now_us) {
            let Some(sent) = self.log.in_flight.pop_front() else { return };
            self.log.put(self.now_us, sent);
        }
    }

    /// A record that was given up arrives late, or never.
    pub fn arrive(&mut self) {
        if let Some(sent) = self.log.lost.pop_front()
            && self.dice.percent(60)
        {
            self.met("late records");
            self.log.put(self.now_us, sent);
        }
    }

    /// Applies the next record. Returns false if there is none.
    pub fn apply(&mut self) -> Result<bool, String> {
        let Some((position, sent)) = self.log.unapplied.pop_front() else { return Ok(false) };
        self.log(|| format!("record at {position} is applied"));
        let ts_us = self.log.stored[position].0;
        let logged = Logged { node: NODE, position: position as u64, ts_us, bytes: &sent.bytes };
        let (mut said, mut has_settings) = (Vec::new(), false);
        let verdict = self.log.applied.apply(&self.engine, self.now_us, logged, |entry, result| {
            has_settings |= matches!(entry, Entry::Settings(_));
            said.push((Said::of(entry), result));
        });
        let Sent { commands, waiting, .. } = sent;
        match verdict.map_err(|error| error.to_string())? {
            Verdict::Dropped(why) if waiting.is_some() => return Err(format!("record at {position}: {why}")),
            Verdict::Dropped(_) => {
                self.met("records dropped");
                return Ok(true);
            }
            Verdict::Counted(_) => {}
        }
        self.model.has_settings |= has_settings;
        let mut waiting = waiting.map(Vec::into_iter);
        let mut commands = commands.into_iter();
        for (said, result) in said {
            let command = commands.next();
            self.check_said(&said, command.as_ref())?;
            let Some(command) = command else { return Err(format!("{said:?} was not submitted")) };
            let right = self.come_to(&command.what, result.as_ref(), waiting.is_some())?;
            let Some(waiting) = &mut waiting else { continue };
            let Some(waiting) = waiting.next() else {
                // Whoever opens a session writes its first record.
                if result.is_none() { continue } else { return Err("a command for which nobody waits".to_owned()) }
            };
            self.answer(command, waiting, result, right)?;
        }
        Ok(true)
    }

    /// Compares an entry of the log with the command that was submitted at its place.
    fn check_said(&self, said: &Said, command: Option<&Submitted>) -> Result<(), String> {
        if let Said::Update(topic, Some(update)) = said
            && self.updates[*update as usize].never
        {
            return Err(format!("update {update} of {topic} stands in the log, and was refused"));
        }
        let right = command.map(|command| match &command.what {
            Command::Update { update, offer, .. } => Said::Update(offer.topic.clone(), Some(*update as u64)),
            Command::End { topic, only } => Said::End(topic.clone(), only.clone()),
            Command::Control => Said::Control,
        });
        if right.as_ref() == Some(said) { Ok(()) } else { Err(format!("the log has {said:?}, and not {right:?}")) }
    }

    /// Applies a command to the model, and compares. Returns what whoever waits is to be told.
    fn come_to(
        &mut self,
        command: &Command,
        result: Option<&Result<Outcome, Refusal>>,
        is_awaited: bool,
    ) -> Result<Option<Answer>, String> {
        let outcome = match command {
            Command::Control => return if result.is_none() { Ok(None) } else { Err("a result of nothing".to_owned()) },
            Command::Update { offer, .. } => self.model.publish(offer, self.now_us),
            Command::End { topic, only } => {
                let only = only.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
                self.model.end(topic, only)
            }
        };
        let told = match result {
            Some(Ok(Outcome::Published(done))) => {
                let begins = matches!(outcome, model::Outcome::Published { begins: true, .. });
                if begins {
                    self.log.late += u64::from(!is_awaited);
                    self.model.learn(done.topic.name(), done.topic.epoch())?;
                } else {
                    self.model.epoch(done.topic.name(), done.topic.epoch())?;
                }
                model::Outcome::Published { seq: done.seq, duplicate: done.duplicate, begins }
            }
            Some(Ok(Outcome::Ended(done))) => model::Outcome::Ended { seq: done.seq },
            Some(Ok(Outcome::WentOn)) => model::Outcome::WentOn,
            Some(Err(refusal)) => model::Outcome::Refused(refusal.code.as_str()),
            other => return Err(format!("a command came to {other:?}")),
        };
        if !is_awaited && matches!(outcome, model::Outcome::Ended { .. }) {
            // What was published meanwhile was not counted as the beginning of another.
            self.log.late += 1;
        }
        if told != outcome {
            return Err(format!("a command came to {told:?}, and not to {outcome:?}"));
        }
        let Command::Update { update, offer, .. } = command else { return Ok(Some(Answer::End(outcome))) };
        let told = self.model.told(&offer.topic, &outcome);
        if is_awaited {
            self.updates[*update].told = Some(told.clone());
        }
        Ok(Some(Answer::Update(told)))
    }

    /// Answers a command that is applied.
    pub fn answer(
        &mut self,
        command: Submitted,
        waiting: Waiting,
        result: Option<Result<Outcome, Refusal>>,
        right: Option<Answer>,
    ) -> Result<(), String> {
        self.log.beginning -= u64::from(command.begins);
        let engine = self.engine.clone();
        let journal = engine.journal().ok_or("it has no journal")?;
        let (Some(result), Some(right)) = (result, right) else {
            self.log.answers.settle(journal, &waiting);
            return Ok(());
        };
        self.log.answers.push(journal, waiting, result);
        if let Command::Update { update, shard: Some(shard), .. } = command.what {
            self.log.answered.push((shard, update));
        }
        Self::check_waiter(command.waiter, &right)
    }

    /// The shards get what was answered.
    pub fn flush(&mut self) {
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return };
        self.log.answers.flush(journal, engine.feed());
        for (shard, update) in self.log.answered.drain(..) {
            self.drivers[shard].given.push(update);
        }
    }
}

impl Log {
    fn put(&mut self, now_us: u64, sent: Sent) {
        self.stored.push((now_us, sent.bytes.clone()));
        self.unapplied.push_back((self.stored.len() - 1, sent));
    }
}

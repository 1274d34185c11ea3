//! Producers: what was not answered when a connection was lost is sent again, with the same number, before anything newer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker_client::{Backoff, Client, Options, Publish, PublishError};
use serde_json::{Value, json};

use super::contents::{Update, topics_of, update};
use super::ledger::Ledger;
use super::pass;
use crate::link::{Link, post};

/// Publishes on their way at once.
const WINDOW: usize = 64;
const BATCH: usize = 20;
/// How long a producer waits that has nothing to do, or no broker.
const PAUSE: Duration = Duration::from_millis(2);

/// An update on its way: the topic's index and the number.
pub(super) type Job = (usize, u64);

/// What one producer has published, and what is not answered yet.
pub(super) struct Producer {
    ledger: Arc<Ledger>,
    index: usize,
    /// Its topics, and the last number on each.
    topics: Vec<Job>,
    turn: usize,
    /// How often it has gone to another broker.
    moves: usize,
    /// When it lost a connection; nothing was answered since.
    lost: Option<Instant>,
    open: VecDeque<Job>,
}

impl Producer {
    pub(super) fn new(ledger: Arc<Ledger>, index: usize) -> Self {
        let topics = topics_of(index).into_iter().map(|topic| (topic, 0)).collect();
        Self { ledger, index, topics, turn: 0, moves: 0, lost: None, open: VecDeque::new() }
    }

    /// Publishes in the way of its index, until the test is over. Returns its topics and the last number on each.
    pub(super) fn run(mut self) -> Vec<Job> {
        if self.index == 4 {
            self.client();
        }
        while !self.is_done() {
            let result = match self.index {
                0 => self.pipelined(),
                1 => self.batches(),
                2 => self.http(),
                _ => self.lines(),
            };
            if result.is_err() {
                self.ledger.lost(&mut self.lost);
                self.moves += 1;
                pass(PAUSE);
            }
        }
        self.topics
    }

    fn address(&self) -> SocketAddr {
        self.ledger.brokers.address(self.index + self.moves)
    }

    fn link(&self) -> io::Result<Link> {
        Link::open(self.address(), self.ledger.brokers.silence)
    }

    /// So many were answered.
    fn count(&mut self, answers: u64) {
        self.ledger.count_answers(answers);
        if let Some(lost) = self.lost.take() {
            self.ledger.published.lock().unwrap().push(lost.elapsed());
        }
    }

    fn is_done(&self) -> bool {
        self.ledger.is_over() && self.open.is_empty()
    }

    /// The next update, if it is time for one. It then waits for its answer.
    fn next(&mut self) -> Option<Job> {
        if self.ledger.is_over() {
            return None;
        }
        for _ in 0..self.topics.len() {
            self.turn = (self.turn + 1) % self.topics.len();
            let (topic, last) = &mut self.topics[self.turn];
            if self.ledger.begin_one(*topic) {
                *last += 1;
                self.open.push_back((*topic, *last));
                return Some((*topic, *last));
            }
        }
        None
    }

    /// Fills up what is on its way. Returns all of it.
    fn fill(&mut self, max: usize) -> Vec<Job> {
        while self.open.len() < max && self.next().is_some() {}
        self.open.iter().copied().collect()
    }

    fn update(&self, (topic, n): Job) -> Update {
        update(self.ledger.topics[topic].kind, self.index, n)
    }

    /// The members of an update, as JSON without the braces.
    fn members(&self, job: Job) -> String {
        let Update { kind, data, .. } = self.update(job);
        let (topic, source) = (&self.ledger.topics[job.0].name, self.source());
        format!(
            "\"topic\":\"{topic}\",\"kind\":\"{kind}\",\"data\":{data},\"source\":\"{source}\",\"source_seq\":{}",
            job.1
        )
    }

    fn source(&self) -> String {
        format!("producer-{}", self.index)
    }

    /// The oldest that is open was answered like this.
    #[track_caller]
    fn answered(&mut self, epoch: &str, seq: u64, duplicate: bool) {
        let (topic, n) = self.open.pop_front().unwrap();
        self.count(1);
        if duplicate {
            self.ledger.duplicates.fetch_add(1, Ordering::Relaxed);
            // It says the topic's newest, and not its own.
            self.ledger.check_epoch(&self.ledger.topics[topic].name, epoch);
        } else {
            self.ledger.check_answer(topic, epoch, seq, self.index, n);
        }
    }

    /// All that is open was answered, like this.
    #[track_caller]
    fn all_answered(&mut self, answer: &Value) -> io::Result<()> {
        for rejected in answer["rejected"].as_array().unwrap() {
            self.refused(&rejected["code"], &rejected["message"])?;
        }
        assert_eq!(answer["accepted"], self.open.len(), "{answer}");
        self.count(self.open.len() as u64);
        self.ledger.duplicates.fetch_add(answer["duplicates"].as_u64().unwrap_or(0), Ordering::Relaxed);
        self.open.clear();
        Ok(())
    }

    fn pipelined(&mut self) -> io::Result<()> {
        let mut link = self.link()?;
        let message = |producer: &Self, job: Job| {
            let (topic, n) = job;
            format!("{{\"op\":\"publish\",\"id\":\"{topic}:{n}\",{}}}", producer.members(job))
        };
        let again: Vec<String> = self.open.iter().map(|job| message(self, *job)).collect();
        link.send(&again)?;
        while !self.is_done() {
            let mut new = Vec::new();
            while self.open.len() < WINDOW
                && let Some(job) = self.next()
            {
                new.push(message(self, job));
            }
            link.send(&new)?;
            let Some((topic, n)) = self.open.front().copied() else {
                pass(PAUSE);
                continue;
            };
            let Some(answer) = link.next()? else { continue };
            match answer.op() {
                "published" => {
                    assert_eq!(answer["id"], json!(format!("{topic}:{n}")), "an answer out of order");
                    self.answered(&answer.str("epoch"), answer.num("seq"), answer["duplicate"] == true);
                }
                "error" => self.refused(&answer["code"], &answer["message"])?,
                "goaway" => return Err(io::ErrorKind::ConnectionAborted.into()),
                "stale" | "fresh" => {}
                _ => panic!("{answer:?}"),
            }
        }
        Ok(())
    }

    fn batches(&mut self) -> io::Result<()> {
        let mut link = self.link()?;
        while !self.is_done() {
            let jobs = self.fill(BATCH);
            // A message has at most 64 KiB, so large updates share fewer of them.
            let jobs: Vec<String> = jobs.into_iter().map(|job| format!("{{{}}}", self.members(job))).collect();
            let mut batches = vec![String::new()];
            for job in jobs {
                if batches.last().unwrap().len() + job.len() > 60_000 {
                    batches.push(String::new());
                }
                let batch = batches.last_mut().unwrap();
                if !batch.is_empty() {
                    batch.push(',');
                }
                batch.push_str(&job);
            }
            if batches[0].is_empty() {
                pass(PAUSE);
                continue;
            }
            let count = batches.len();
            let message = |batch: String| format!("{{\"op\":\"publish\",\"id\":1,\"batch\":[{batch}]}}");
            link.send(&batches.into_iter().map(message).collect::<Vec<_>>())?;
            let mut all = json!({ "accepted": 0, "duplicates": 0, "rejected": [] });
            for _ in 0..count {
                let answer = loop {
                    match link.next()? {
                        Some(told) if ["stale", "fresh"].contains(&told.op()) => {}
                        Some(answer) => break answer,
                        None => {}
                    }
                };
                match answer.op() {
                    "published" => {
                        for number in ["accepted", "duplicates"] {
                            let sum = all[number].as_u64().unwrap() + answer[number].as_u64().unwrap_or(0);
                            all[number] = sum.into();
                        }
                        let rejected = answer["rejected"].as_array().unwrap().clone();
                        all["rejected"].as_array_mut().unwrap().extend(rejected);
                    }
                    "error" => self.refused(&answer["code"], &answer["message"])?,
                    "goaway" => return Err(io::ErrorKind::ConnectionAborted.into()),
                    _ => panic!("{answer:?}"),
                }
            }
            self.all_answered(&all)?;
        }
        Ok(())
    }

    fn http(&mut self) -> io::Result<()> {
        let [job] = self.fill(1)[..] else {
            pass(PAUSE);
            return Ok(());
        };
        let (Update { kind, data, .. }, source) = (self.update(job), self.source());
        let (topic, n) = (&self.ledger.topics[job.0].name, job.1);
        let path = format!("/v1/topics/{topic}?kind={kind}&source={source}&source_seq={n}");
        let answer = post(self.address(), &path, "application/json", &data)?;
        let json = answer.json();
        if answer.status != 200 {
            return self.refused(&json["error"]["code"], &json["error"]["message"]);
        }
        self.answered(json["epoch"].as_str().unwrap(), json["seq"].as_u64().unwrap(), json["duplicate"] == true);
        Ok(())
    }

    fn lines(&mut self) -> io::Result<()> {
        let jobs = self.fill(BATCH);
        if jobs.is_empty() {
            pass(PAUSE);
            return Ok(());
        }
        let body: String = jobs.into_iter().map(|job| format!("{{{}}}\n", self.members(job))).collect();
        let answer = post(self.address(), "/v1/publish", "application/x-ndjson", &body)?;
        let json = answer.json();
        if answer.status != 200 {
            return self.refused(&json["error"]["code"], &json["error"]["message"]);
        }
        self.all_answered(&json)
    }

    /// The Rust client sends again by itself what was not answered.
    fn client(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let backoff = Backoff { first_ms: 1, max_ms: 20, jitter: 0.5 };
            let url = format!("ws://{}/v1/ws", self.address());
            let options = Options { backoff, answer_timeout_ms: 0, ..Options::new(url) };
            let client = Client::connect_with(options).await.unwrap();
            while !self.is_done() {
                let jobs = self.fill(BATCH);
                let updates: Vec<Publish> = jobs.iter().map(|job| self.of_client(*job)).collect();
                match &updates[..] {
                    [] => tokio::time::sleep(PAUSE).await,
                    // Now and then one alone, whose answer has its place.
                    [first, ..] if self.turn == 0 => match client.publish(first.clone()).await {
                        Ok(answer) => self.answered(&answer.epoch, answer.seq, answer.duplicate),
                        Err(error) => self.refused_client(&error),
                    },
                    _ => match client.publish_batch(updates).await {
                        Ok(answer) => {
                            for (_, code, message) in &answer.rejected {
                                let _ = self.refused(&code.as_str().into(), &message.as_str().into());
                            }
                            if answer.rejected.is_empty() {
                                let numbers = json!({ "accepted": answer.accepted, "duplicates": answer.duplicates });
                                let mut answer = numbers;
                                answer["rejected"] = json!([]);
                                self.all_answered(&answer).unwrap();
                            }
                        }
                        Err(error) => self.refused_client(&error),
                    },
                }
            }
            let counters = client.counters();
            assert_eq!(counters.violations, 0);
            self.ledger.reconnects.fetch_add(counters.reconnects, Ordering::Relaxed);
            client.close().await;
        });
    }

    fn of_client(&self, job: Job) -> Publish {
        let Update { kind, data, .. } = self.update(job);
        let topic = self.ledger.topics[job.0].name.clone();
        let update = match kind {
            "event" => Publish::event(topic, data),
            "state" => Publish::state(topic, data),
            _ => Publish::patch(topic, data),
        };
        update.source(self.source(), job.1)
    }

    fn refused_client(&self, error: &PublishError) {
        let PublishError::Refused { code, message, .. } = error else { panic!("{error:?}") };
        let _ = self.refused(&code.as_str().into(), &message.as_str().into());
    }

    /// An error that a broker may give only while it is stopped by a signal, or where its log may be out of reach: whatever it
    /// was about is sent again.
    #[track_caller]
    fn refused(&self, code: &Value, message: &Value) -> io::Result<()> {
        let text = message.as_str().unwrap_or_default();
        let stops = ["stopping", "going away"].iter().any(|why| text.contains(why));
        let is_expected = code == "unavailable" && (stops || self.ledger.brokers.log_may_be_away);
        assert!(is_expected, "a publish was refused: {code} {message}");
        self.ledger.unavailable.fetch_add(1, Ordering::Relaxed);
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

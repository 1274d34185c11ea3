//! Driving a log in NATS: what is gathered is sent; what comes back, and what comes of other brokers, is applied and
//! answered in the order of the log.
//!
//! One task does all of it, so commands are applied in one order. What it waits for is bounded in time, and nothing is
//! awaited between a record and its answers.

mod applying;
mod looking;
mod reading;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Subject, Subscriber};
use broker_engine::journal::Answers;
use broker_engine::{Applied, Engine};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::checkpointing::Checkpointing;
use super::error::NatsError;
use super::inbound::Programs;
use super::log::Log;
use super::peers::Peers;
use super::reader::{Read, Reader};
use super::recover::Recovered;
use super::writer::Writer;
use crate::status::set;

/// How long shards that do not keep up are waited for between two looks, in µs.
const ROOM_US: u64 = 1_000;
/// How often checkpoints and the state of the log are looked at, in µs.
const LOOK_US: u64 = 200_000;
/// Messages that are taken in until answers are given.
const MESSAGES_AT_ONCE: usize = 64;
/// How long a start waits for a session. A log that takes none can be served all the same.
const SESSION_TIME: Duration = Duration::from_secs(2);
/// How long after it was asked to stop it waits for what was published.
const STOP_TIME: Duration = Duration::from_secs(5);

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// What this broker has is of no use any more: it has to start again, and reads everything anew.
    Again(String),
}

/// The journal of a running broker.
pub struct Drive {
    log: Log,
    engine: Arc<Engine>,
    applied: Applied,
    programs: Programs,
    reader: Reader,
    read: Option<Read>,
    writer: Writer,
    /// That of this broker's records.
    subject: Subject,
    answers: Answers,
    acks: Subscriber,
    /// Acknowledgements come to subjects that begin so.
    acks_to: String,
    session: Session,
    peers: Peers,
    checkpointing: Checkpointing,
    /// How often a connection had been made when the consumer was.
    made: u64,
    read_again_us: u64,
    /// Since when the log looks like another one.
    other_since_us: Option<u64>,
    /// Why the log could not be read when that was tried last.
    trouble: String,
    /// A checkpoint was completed, by whichever broker, so the log was cut off in front.
    is_cut: bool,
    /// When something came from the log last, on both clocks.
    heard_us: (u64, u64),
    beat_us: u64,
    look_us: u64,
    /// How often a connection had been made when records were sent last.
    sent_for: u64,
    /// A record of this broker was seen behind one that is missing.
    is_missing: bool,
    end: Option<End>,
}

/// This broker's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    /// None is open, until this moment.
    Closed { until_us: u64 },
    /// The record that opens it is on its way.
    Opening(u64),
    /// Publishes are taken in.
    Open(u64),
}

impl Drive {
    /// Goes on with a log that was read.
    pub(super) async fn start(log: Log, engine: Arc<Engine>, recovered: Recovered) -> Result<Self, NatsError> {
        let Recovered { applied, programs, reader, read, bytes, checkpoints } = recovered;
        let acks_to = log.links.write.new_inbox();
        let acks = log.links.write.subscribe(format!("{acks_to}.*")).await;
        let acks = acks.map_err(|error| NatsError::api("waiting for acknowledgements", error))?;
        let now = (log.clock)();
        if let Some(newest) = checkpoints.first() {
            set(&log.status.checkpoint_bytes, newest.bytes);
        }
        let checkpointing = Checkpointing::new(&log, bytes);
        let writer = Writer::new(log.options.in_flight, log.options.ack_ms);
        let mut drive = Self {
            engine,
            applied,
            programs,
            reader,
            read,
            writer,
            subject: log.options.own_subject().into(),
            answers: Answers::default(),
            acks,
            acks_to,
            session: Session::Closed { until_us: 0 },
            peers: Peers::default(),
            checkpointing,
            made: 0,
            read_again_us: 0,
            other_since_us: None,
            trouble: String::new(),
            is_cut: false,
            heard_us: (now.mono_us, now.wall_us),
            beat_us: now.mono_us,
            look_us: 0,
            sent_for: log.links.made(),
            is_missing: false,
            end: None,
            log,
        };
        // Nobody looked yet whether the log is the one of the consumer that recovering has left.
        drive.reader.close();
        drive.until_begun().await?;
        drive.log.status.set_read();
        Ok(drive)
    }

    /// Clients are told of the settings, so there have to be some: a log that is new gets this broker's. And who publishes
    /// as soon as the broker serves should find a session, if the log takes one in time.
    async fn until_begun(&mut self) -> Result<(), NatsError> {
        let (_stop, mut never) = watch::channel(false);
        let engine = self.engine.clone();
        let (wake, end) = (Notify::new(), Instant::now() + SESSION_TIME);
        let is_waited_for = |drive: &Self| {
            !matches!(drive.session, Session::Open(_)) && drive.log.status.failed().is_none() && Instant::now() < end
        };
        let has_settings = || engine.journal().is_none_or(|journal| journal.settings().is_some());
        while self.end.is_none() && (!has_settings() || is_waited_for(self)) {
            self.round(&wake, &mut never).await?;
        }
        self.compare_settings();
        Ok(())
    }

    /// Runs until it is asked to stop. `wake` is notified when something is gathered.
    ///
    /// # Errors
    /// A record that stands in the log cannot be applied, or another broker has this one's name: nothing may go on.
    pub async fn run(mut self, wake: &Notify, stop: &mut watch::Receiver<bool>) -> Result<End, NatsError> {
        let mut stopping: Option<Instant> = None;
        loop {
            if let Some(end) = self.end.take() {
                self.refuse("this broker starts again");
                self.checkpointing.give_up();
                return Ok(end);
            }
            if *stop.borrow() {
                let since = *stopping.get_or_insert_with(Instant::now);
                let journal = self.engine.journal();
                let is_done = journal.is_none_or(|journal| journal.gathering().bytes() == 0);
                if is_done || since.elapsed() >= STOP_TIME {
                    break;
                }
            }
            self.round(wake, stop).await?;
        }
        self.refuse("the broker is stopping");
        self.checkpointing.give_up();
        Ok(End::Stopped)
    }

    /// Does what there is to do, and waits for what comes next.
    async fn round(&mut self, wake: &Notify, stop: &mut watch::Receiver<bool>) -> Result<(), NatsError> {
        self.pump().await?;
        let has_room = self.engine.feed().has_room();
        let due = self.due(has_room);
        let stopping = *stop.borrow();
        tokio::select! {
            heard = self.reader.next(), if has_room => self.take(heard)?,
            ack = self.acks.next() => self.take_ack(ack.as_ref()),
            () = wake.notified() => {}
            () = self.log.links.changed() => {}
            () = sleep_until(due) => {}
            _ = stop.changed(), if !stopping => {}
        }
        // What is there already, so that answers are given for many at once.
        for _ in 0..MESSAGES_AT_ONCE {
            if !self.engine.feed().has_room() || self.end.is_some() {
                break;
            }
            let Some(heard) = self.reader.next().now_or_never() else { break };
            self.take(heard)?;
        }
        while let Some(Some(ack)) = self.acks.next().now_or_never() {
            self.take_ack(Some(&ack));
        }
        if let Some(journal) = self.engine.journal() {
            self.answers.flush(journal, self.engine.feed());
        }
        Ok(())
    }

    /// When there is something to do if nothing comes. What only a connection allows is not waited for without one.
    fn due(&self, has_room: bool) -> Instant {
        let now_us = self.now_us();
        let room_us = (!has_room).then_some(now_us + ROOM_US);
        let stand = self.log.links.stand();
        let of_session = match self.session {
            Session::Closed { until_us } => Some(until_us),
            Session::Opening(_) => None,
            Session::Open(_) => Some(self.beat_us),
        };
        let to_send = [of_session, self.writer.due_us()].into_iter().flatten().filter(|_| stand).min();
        let due_us = [Some(self.look_us), to_send, room_us].into_iter().flatten().min().unwrap_or(self.look_us);
        Instant::now() + Duration::from_micros(due_us.saturating_sub(now_us))
    }

    async fn pump(&mut self) -> Result<(), NatsError> {
        let now_us = self.now_us();
        let stand = self.log.links.stand();
        self.log.nats.set_connected(stand);
        if stand {
            self.read_on(now_us).await?;
            self.send(now_us).await;
        }
        if now_us >= self.look_us {
            self.look_us = now_us + LOOK_US;
            self.look(now_us).await;
        }
        Ok(())
    }

    fn now_us(&self) -> u64 {
        (self.log.clock)().mono_us
    }
}

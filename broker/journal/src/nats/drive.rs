//! Driving a log in NATS: what is gathered is sent; what comes back, and what comes of other brokers, is applied and
//! answered in the order of the log.
//!
//! One task does all of it, so commands are applied in one order. What it waits for is bounded in time, and nothing is
//! awaited between a record and its answers.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Message, Subscriber};
use broker_engine::journal::{Answers, Journal, ReplyTo, Waiting};
use broker_engine::log::{Dropped, Entry, Seen};
use broker_engine::{Applied, Engine, Verdict};
use broker_protocol::codes::ErrorCode as RefusalCode;
use broker_protocol::request::Refusal;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::checkpointing::{Checkpointing, ToDo};
use super::connect::{Log, begin};
use super::error::NatsError;
use super::generation::Begins;
use super::peers::Peers;
use super::reader::{Heard, Logged, Reader};
use super::recover::Recovered;
use super::trust::{Verdict as Trust, look};
use super::writer::{ToSend, Writer};
use crate::status::{add, get, set};
use crate::store::Generation;

/// How often a broker says that it is alive, in µs.
const BEAT_US: u64 = 1_000_000;
/// The pause before something is tried again that failed, in µs.
const RETRY_US: u64 = 1_000_000;
/// The pause before a consumer is made that could not be, in µs.
const READ_AGAIN_US: u64 = 250_000;
/// How long a log has to look like another one until it counts as that: a leader that is new may not know its end yet, in µs.
const OTHER_US: u64 = 5_000_000;
/// How long shards that do not keep up are waited for between two looks, in µs.
const ROOM_US: u64 = 1_000;
/// How often checkpoints and the state of the log are looked at, in µs.
const LOOK_US: u64 = 200_000;
/// Messages that are taken in until answers are given.
const MESSAGES_AT_ONCE: usize = 64;
/// How long after it was asked to stop it waits for what was published.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Above the ids that other brokers may have given out, in µs.
const IDS_APART_US: u64 = 60_000_000;

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
    reader: Reader,
    read: Option<Seen>,
    writer: Writer,
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
        let Recovered { applied, reader, read, bytes, checkpoints } = recovered;
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
            reader,
            read,
            writer,
            answers: Answers::default(),
            acks,
            acks_to,
            session: Session::Closed { until_us: 0 },
            peers: Peers::default(),
            checkpointing,
            made: 0,
            read_again_us: 0,
            other_since_us: None,
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
        drive.until_it_takes_publishes().await?;
        drive.log.status.set_read();
        Ok(drive)
    }

    /// Clients are told of the settings, so there have to be some: a log that is new gets this broker's. And its session has
    /// to be open, or the first publishes would be refused; unless the log is full, and there is nothing to wait for.
    async fn until_it_takes_publishes(&mut self) -> Result<(), NatsError> {
        let (_, mut never) = watch::channel(false);
        let engine = self.engine.clone();
        let wake = Notify::new();
        let has_settings = || engine.journal().is_none_or(|journal| journal.settings().is_some());
        let is_refused = |drive: &Self| drive.log.status.failed().is_some();
        while self.end.is_none() && (!has_settings() || !matches!(self.session, Session::Open(_)) && !is_refused(self))
        {
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

    /// When there is something to do if nothing comes.
    fn due(&self, has_room: bool) -> Instant {
        let now_us = self.now_us();
        let room_us = (!has_room).then_some(now_us + ROOM_US);
        let dues = [Some(self.beat_us), Some(self.look_us), self.writer.due_us(), room_us];
        let due_us = dues.into_iter().flatten().min().unwrap_or(now_us + LOOK_US);
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

    /// Makes the consumer if there is none, or if a connection was made since: then it is looked whether the log is the same.
    async fn read_on(&mut self, now_us: u64) -> Result<(), NatsError> {
        let made = self.log.links.made();
        if self.reader.is_open() && self.made == made || now_us < self.read_again_us {
            return Ok(());
        }
        self.read_again_us = now_us + READ_AGAIN_US;
        if let Err(error) = self.reader.open().await {
            tracing::debug!(%error, "the log cannot be read at present");
            return Ok(());
        }
        self.made = made;
        // After the consumer was made: whatever it brings is from a log that is at least as new as the one that is looked at.
        match look(&self.log.stream, self.read).await {
            Ok(Trust::Same { last }) => {
                self.other_since_us = None;
                set(&self.log.nats.log_end, last);
                return Ok(());
            }
            Ok(Trust::CutBeyond) => {
                let why = "the log was cut off behind what this broker has read: it was away for long, or is slow";
                self.end = Some(End::Again(why.into()));
            }
            Ok(Trust::WentBack(why)) => {
                let since_us = *self.other_since_us.get_or_insert(now_us);
                tracing::warn!(why, "the log looks as if it had gone back");
                if now_us >= since_us + OTHER_US {
                    self.begin_generation(&why).await?;
                }
            }
            Err(error) => tracing::debug!(%error, "the log cannot be looked at"),
        }
        self.reader.close();
        Ok(())
    }

    /// The log has lost what was read: all epochs have to be new.
    async fn begin_generation(&mut self, why: &str) -> Result<(), NatsError> {
        let generation = self.log.generation;
        // No id may be given out twice.
        let given_us = generation.start_us + self.engine.feed().ordinal() + IDS_APART_US;
        let nonce = generation.nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.log.clock)().wall_us;
        let begins = Begins::new(nonce, (self.log.clock)().wall_us.max(given_us), why);
        match begin(&self.log.links.js, &self.log.stream, &self.log.options, &begins).await {
            Ok(_) => {
                tracing::error!("the log went back ({why}): all epochs are new, and clients are told to begin anew");
                self.end = Some(End::Again(format!("the log went back: {why}")));
            }
            Err(error) => tracing::warn!(%error, "the log went back, and a new generation cannot be begun yet"),
        }
        Ok(())
    }

    /// Sends what is gathered, and again what has not come back.
    async fn send(&mut self, now_us: u64) {
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return };
        let made = self.log.links.made();
        let is_missing = std::mem::take(&mut self.is_missing) || self.sent_for != made;
        self.sent_for = made;
        let mut to_send = if is_missing { self.writer.missing(now_us) } else { self.writer.late(now_us) };
        add(&self.log.nats.resent, to_send.len() as u64);
        match self.session {
            Session::Closed { until_us } if until_us <= now_us => to_send.extend(self.open_session(journal, now_us)),
            Session::Closed { .. } | Session::Opening(_) => {}
            Session::Open(_) => {
                if now_us >= self.beat_us {
                    self.beat_us = now_us + BEAT_US;
                    let position = self.read.map_or(0, |read| read.position);
                    let node = &self.log.options.node;
                    let beat = Entry::Beat { node, position, digest: self.applied.digest() };
                    // Refused while the log takes nothing: then there is nothing to be said.
                    let _ = journal.gathering().submit(&beat, ReplyTo::Nobody);
                }
                while self.writer.has_room()
                    && let Some(gathered) = journal.gathering().take()
                {
                    add(&self.log.status.records, 1);
                    add(&self.log.status.written_bytes, gathered.bytes.len() as u64);
                    to_send.push(self.writer.push(gathered, now_us));
                }
            }
        }
        for ToSend { number, bytes } in to_send {
            let (subject, reply) = (self.log.options.own_subject(), format!("{}.{number}", self.acks_to));
            if let Err(error) = self.log.links.write.publish_with_reply(subject, reply, bytes).await {
                tracing::warn!(%error, "a record could not be sent, and is sent again");
            }
        }
    }

    /// Begins a session: above those before, and another one than a broker of the same name would begin at the same time.
    fn open_session(&mut self, journal: &Journal, now_us: u64) -> Option<ToSend> {
        let newest = self.applied.sessions().newest(&self.log.options.node).unwrap_or(0);
        let now = (self.log.clock)();
        let session = now.wall_us.max(newest + 1 + now.mono_us % 1000);
        for waiting in self.writer.begin() {
            self.answers.push(journal, waiting, Err(unavailable("its session is over")));
        }
        match journal.gathering().open(&self.log.options.node, session) {
            Ok(opening) => {
                self.session = Session::Opening(session);
                Some(self.writer.push(opening, now_us))
            }
            Err(error) => {
                tracing::error!(%error, "no session can be begun");
                self.session = Session::Closed { until_us: now_us + RETRY_US };
                None
            }
        }
    }

    fn take(&mut self, heard: Heard) -> Result<(), NatsError> {
        match heard {
            Heard::Logged(message) => self.apply(message),
            Heard::Alive => Ok(()),
            Heard::Lost(why) => {
                tracing::debug!(why, "the log's consumer is made anew");
                self.reader.close();
                self.read_again_us = 0;
                Ok(())
            }
        }
    }

    fn apply(&mut self, message: Logged) -> Result<(), NatsError> {
        let engine = self.engine.clone();
        let (Some(journal), now) = (engine.journal(), (self.log.clock)()) else { return Ok(()) };
        let read = message.seen();
        self.heard_us = (now.mono_us, now.wall_us);
        self.read = Some(read);
        set(&self.log.status.position, message.position);
        self.log.nats.log_end.fetch_max(message.position, std::sync::atomic::Ordering::Relaxed);
        add(&self.log.status.log_bytes, message.bytes.len() as u64);
        let Some(node) = self.log.options.node_of(&message.subject) else {
            if self.log.generation_of(&message)?.1 {
                self.end = Some(End::Again("another generation of the log has begun".into()));
            }
            return Ok(());
        };
        let is_own = node == self.log.options.node;
        let own = match self.session {
            Session::Opening(session) | Session::Open(session) => Some(session),
            Session::Closed { .. } => None,
        };
        // The bytes of a record have its session and its number, so equal ones are the same record.
        let mine = if is_own { self.writer.seen(&message.bytes) } else { None };
        let is_mine = mine.is_some();
        let mut waiting = mine.into_iter().flatten();
        let (answers, differing) = (&mut self.answers, self.applied.differing());
        let mut control = None;
        let logged =
            broker_engine::Logged { node, position: message.position, ts_us: read.ts_us, bytes: &message.bytes };
        let verdict = self.applied.apply(&engine, now.mono_us, logged, |entry, result| {
            control = Control::of(entry).or(control.take());
            match (waiting.next(), result) {
                (Some(waiting), Some(result)) => answers.push(journal, waiting, result),
                (Some(waiting), None) => answers.settle(journal, &waiting),
                (None, _) => {}
            }
        });
        set(&self.log.status.commands, self.applied.commands());
        self.checkpointing.applied(message.bytes.len() as u64);
        match verdict {
            Err(error) => {
                return Err(NatsError::Record { position: message.position, node: node.into(), error });
            }
            Ok(Verdict::Dropped(dropped)) => {
                self.log.note_dropped(dropped);
                if is_mine {
                    return Err(self.superseded());
                }
                if is_own && dropped == Dropped::Ahead {
                    self.is_missing = true;
                }
                return Ok(());
            }
            Ok(Verdict::Counted(_)) => {}
        }
        if is_own && let Some(session) = own {
            let newest = self.applied.sessions().newest(node);
            let by_another = newest == Some(session) && !is_mine;
            if by_another || newest.is_some_and(|newest| newest > session) {
                return Err(self.superseded());
            }
            if self.session == Session::Opening(session) && newest == Some(session) {
                self.opened(journal, session);
            }
        }
        match control {
            Some(Control::Beat) if !is_own => {
                let differs = self.applied.differing() > differing;
                self.compared(node.to_owned(), read.ts_us, differs);
            }
            Some(Control::CheckpointBegins) => {
                self.checkpointing.begins(&self.log, &engine, &self.applied, read, node);
            }
            Some(Control::Checkpoint) => self.checkpointing.completed(&self.log),
            Some(Control::Opens) => self.checkpointing.opens(node),
            Some(Control::Settings) => self.compare_settings(),
            _ => {}
        }
        Ok(())
    }

    /// The session is open: publishes are taken in.
    fn opened(&mut self, journal: &Journal, session: u64) {
        self.session = Session::Open(session);
        self.beat_us = 0;
        self.checkpointing.forget_asking();
        if self.log.status.failed().is_some() {
            tracing::info!("the log takes records again");
            self.log.status.set_failed(None);
        }
        journal.gathering().begin(session);
        if journal.settings().is_none()
            && let Err(refusal) = self.engine.submit_settings(journal)
        {
            tracing::error!("the log does not take the settings: {}", refusal.message);
        }
    }

    fn superseded(&self) -> NatsError {
        NatsError::Superseded { node: self.log.options.node.clone() }
    }

    fn compared(&mut self, node: String, ts_us: u64, differs: bool) {
        self.peers.compared(&node, ts_us, differs);
        if differs {
            add(&self.log.nats.differing, 1);
            tracing::error!(
                node,
                "another broker has come to something else with the same log: one of them has a fault"
            );
        }
        self.log.nats.set_in_doubt(self.peers.is_in_doubt());
    }

    /// The settings of the log count, whatever this broker's are.
    fn compare_settings(&self) {
        let Some(settings) = self.engine.journal().and_then(Journal::settings) else { return };
        let differ = settings != self.engine.own_settings();
        if differ && !self.log.nats.settings_differ() {
            tracing::warn!(
                "image_bytes, message_bytes, topics_max, images_bytes_max or the kinds of [[topics]] differ from those of \
                 the log, which count on all of its brokers: `tickcast journal settings` shows both"
            );
        }
        self.log.nats.set_settings_differ(differ);
    }

    fn take_ack(&mut self, ack: Option<&Message>) {
        let Some(ack) = ack else { return };
        let number = ack.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        let Some(number) = number else { return };
        // Without a payload nobody was there to take it: it is sent again.
        match serde_json::from_slice::<Response<PublishAck>>(&ack.payload) {
            Ok(Response::Ok(_)) => self.writer.acknowledged(number),
            Ok(Response::Err { error }) if is_full(error.error_code()) => self.fail(&error.to_string()),
            Ok(Response::Err { error }) => tracing::debug!(%error, number, "a record was refused, and is sent again"),
            Err(_) => {}
        }
    }

    /// The log is full: what waits is answered, and nothing is taken in until there is room.
    fn fail(&mut self, why: &str) {
        if matches!(self.session, Session::Closed { .. }) {
            return;
        }
        add(&self.log.status.failures, 1);
        if self.log.status.failed().is_none() {
            tracing::error!("the log takes nothing, and publishes are refused: {why}. It goes on when there is room");
        }
        self.log.status.set_failed(Some(why));
        self.refuse(why);
        self.session = Session::Closed { until_us: self.now_us() + RETRY_US };
        // A checkpoint makes room, and needs none in the log.
        self.checkpointing.begin_unasked(&self.log, &self.engine, &self.applied, self.read);
    }

    /// Answers all that waits.
    fn refuse(&mut self, why: &str) {
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return };
        let mut waiting: Vec<Waiting> = self.writer.begin();
        waiting.extend(journal.gathering().refuse(why));
        add(&self.log.status.unavailable, waiting.len() as u64);
        for waiting in waiting {
            self.answers.push(journal, waiting, Err(unavailable(why)));
        }
        self.answers.flush(journal, engine.feed());
    }

    /// Carries on with checkpoints, and tells how long nothing has come.
    async fn look(&mut self, now_us: u64) {
        let silent_us = now_us.saturating_sub(self.heard_us.0);
        set(&self.log.nats.silent_ms, silent_us / 1000);
        let is_stale = silent_us >= self.log.options.stale_ms * 1000;
        if is_stale != self.log.nats.is_stale() {
            match is_stale {
                true => tracing::warn!(silent_ms = silent_us / 1000, "nothing comes from the log: clients are told so"),
                false => tracing::info!("the log goes on"),
            }
            self.log.nats.set_stale(is_stale.then_some(self.heard_us.1 / 1000));
        }
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return };
        let was_failing = get(&self.log.status.checkpoints);
        let to_do = self.checkpointing.step(&self.log, &engine, &self.applied, self.read).await;
        let node = &self.log.options.node;
        let said = match &to_do {
            ToDo::Nothing => Ok(()),
            ToDo::Ask => journal.gathering().submit(&Entry::CheckpointBegins { node }, ReplyTo::Nobody),
            ToDo::Say(object) => {
                let entry = Entry::Checkpoint { position: object.begin.position, object: &object.name };
                journal.gathering().submit(&entry, ReplyTo::Nobody)
            }
        };
        if said.is_err() {
            self.checkpointing.forget_asking();
        }
        if get(&self.log.status.checkpoints) > was_failing
            && let Ok(found) = super::stream::info(&self.log.stream).await
        {
            set(&self.log.status.log_bytes, found.state.bytes);
        }
    }

    fn now_us(&self) -> u64 {
        (self.log.clock)().mono_us
    }
}

/// What a control entry says, as far as it matters here.
#[derive(Debug, Clone, Copy)]
enum Control {
    Opens,
    Beat,
    CheckpointBegins,
    Checkpoint,
    Settings,
}

impl Control {
    fn of(entry: &Entry<'_>) -> Option<Self> {
        match entry {
            Entry::Open { .. } => Some(Control::Opens),
            Entry::Beat { digest: Some(_), .. } => Some(Control::Beat),
            Entry::CheckpointBegins { .. } => Some(Control::CheckpointBegins),
            Entry::Checkpoint { .. } => Some(Control::Checkpoint),
            Entry::Settings(_) => Some(Control::Settings),
            _ => None,
        }
    }
}

impl Log {
    /// The generation that a message begins which is no broker's record, and whether it is later than this broker's.
    pub(super) fn generation_of(&self, message: &Logged) -> Result<(Generation, bool), NatsError> {
        if message.subject != self.options.generations() {
            let (position, subject) = (message.position, message.subject.clone());
            return Err(NatsError::Subject { position, subject });
        }
        let generation = Begins::decode(&message.bytes)?;
        let is_later = message.position > self.generation_position && generation.nonce != self.generation.nonce;
        Ok((generation, is_later))
    }

    pub(super) fn note_dropped(&self, dropped: Dropped) {
        let counters = Dropped::ALL.iter().zip(&self.nats.dropped);
        counters.filter(|(reason, _)| **reason == dropped).for_each(|(_, counter)| add(counter, 1));
    }
}

fn unavailable(why: &str) -> Refusal {
    let message = format!(
        "the journal cannot be written: {why}. It is unknown whether this is taken: publish it again with the same source \
         and source_seq"
    );
    Refusal { code: RefusalCode::Unavailable, message }
}

/// Whether a stream, or the account that it is in, has no room.
fn is_full(code: ErrorCode) -> bool {
    [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
    ]
    .contains(&code)
}

//! Sending what is gathered, and again what has not come back; sessions; and what to do when the log is full.

use async_nats::Message;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use broker_engine::journal::{Journal, ReplyTo, Waiting};
use broker_engine::log::Entry;
use broker_protocol::codes::ErrorCode as RefusalCode;
use broker_protocol::request::Refusal;

use super::{Drive, Session};
use crate::nats::reader::Read;
use crate::nats::writer::ToSend;
use crate::status::add;

/// How often a broker says that it is alive, in µs.
const BEAT_US: u64 = 1_000_000;
/// The pause before something is tried again that failed, in µs.
const RETRY_US: u64 = 1_000_000;

impl Drive {
    /// Sends what is gathered, and again what has not come back.
    pub(super) async fn send(&mut self, now_us: u64) {
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
                    let position = self.read.as_ref().map_or(0, Read::position);
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
            let (subject, reply) = (self.subject.clone(), format!("{}.{number}", self.acks_to));
            if let Err(error) = self.log.links.write.publish_with_reply(subject, reply, bytes).await {
                tracing::warn!(%error, "a record could not be sent, and is sent again");
            }
        }
    }

    /// Begins a session: above those before, and another one than a broker of the same name would begin at the same time.
    pub(super) fn open_session(&mut self, journal: &Journal, now_us: u64) -> Option<ToSend> {
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

    pub(super) fn take_ack(&mut self, ack: Option<&Message>) {
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
    pub(super) fn fail(&mut self, why: &str) {
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
        self.checkpointing.begin_unasked(&self.log, &self.engine, &self.applied, self.read.as_ref());
    }

    /// Answers all that waits.
    pub(super) fn refuse(&mut self, why: &str) {
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
        // The server's own limit (max_file_store).
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
    ]
    .contains(&code)
}

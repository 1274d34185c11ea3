//! Reading the log: its messages in order and without holes.
//!
//! The consumer is one that pushes, is acknowledged by nobody, and says every half second that it is alive. If it is
//! silent, or a message is missing, it is made anew from where reading has come to. (The client's own ordered consumer is
//! not used: when its server is restarted before the first message it begins at the stream's beginning, and it notices
//! a lost consumer only after some 10 s.)

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use broker_engine::log::Seen;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::NatsError;
use super::stream::micros;

/// How often the consumer says that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long it may be silent.
const SILENCE_MAX: Duration = Duration::from_millis(1500);
/// How long it may take to be made.
const MAKE_TIME: Duration = Duration::from_secs(2);
/// How long servers keep a consumer to whom nobody listens any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// A message of the log.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) position: u64,
    /// When the log took it in, in µs since the UNIX epoch.
    pub(super) ts_us: u64,
    pub(super) subject: Subject,
    pub(super) headers: Option<HeaderMap>,
    pub(super) bytes: Bytes,
    /// Messages that the log had behind it when it was sent here.
    pub(super) pending: u64,
}

impl Logged {
    /// Notes that it is read.
    pub(super) fn read(&self) -> Read {
        Read::Message { position: self.position, ts_us: self.ts_us, bytes: self.bytes.clone() }
    }
}

/// The last message that was read.
#[derive(Debug, Clone)]
pub(super) enum Read {
    /// What a checkpoint says of it.
    Known(Seen),
    /// The message itself. What it is known again by takes a pass over its bytes, byte by byte, which costs about as much as
    /// applying it: only few are worth that.
    Message { position: u64, ts_us: u64, bytes: Bytes },
}

impl Read {
    pub(super) fn position(&self) -> u64 {
        match self {
            Read::Known(Seen { position, .. }) | Read::Message { position, .. } => *position,
        }
    }

    /// When the log took it in, in µs since the UNIX epoch.
    pub(super) fn ts_us(&self) -> u64 {
        match self {
            Read::Known(Seen { ts_us, .. }) | Read::Message { ts_us, .. } => *ts_us,
        }
    }

    /// By what it is known again.
    pub(super) fn seen(&self) -> Seen {
        match self {
            Read::Known(seen) => *seen,
            Read::Message { position, ts_us, bytes } => {
                Seen::of(&broker_engine::Logged { node: "", position: *position, ts_us: *ts_us, bytes })
            }
        }
    }
}

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    /// The next message of the log.
    Logged(Logged),
    /// Nothing of importance.
    Alive,
    /// The consumer is lost, and has to be made anew.
    Lost(&'static str),
}

/// Reads the log.
pub(super) struct Reader {
    client: Client,
    js: Context,
    stream: String,
    /// The position that is read next.
    next: u64,
    messages: Option<Subscriber>,
    heard: Instant,
}

impl Reader {
    /// Will read from this position on.
    pub(super) fn new(client: Client, js: Context, stream: String, next: u64) -> Self {
        Self { client, js, stream, next, messages: None, heard: Instant::now() }
    }

    /// Whether there is a consumer.
    pub(super) fn is_open(&self) -> bool {
        self.messages.is_some()
    }

    pub(super) fn close(&mut self) {
        self.messages = None;
    }

    /// Makes the consumer, anew if there was one.
    ///
    /// # Errors
    /// The servers do not answer, or refuse.
    pub(super) async fn open(&mut self) -> Result<(), NatsError> {
        self.messages = None;
        let inbox = self.client.new_inbox();
        let failed = |why: &dyn std::fmt::Display| NatsError::api("reading the log", why);
        let messages = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            ack_policy: AckPolicy::None,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            description: Some("A Tickcast broker reads the log".into()),
            ..push::Config::default()
        };
        let made = timeout(MAKE_TIME, self.js.create_consumer_on_stream(config, self.stream.as_str())).await;
        made.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        (self.messages, self.heard) = (Some(messages), Instant::now());
        Ok(())
    }

    /// Waits for what comes next. Without a consumer it waits for ever. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Heard {
        let Some(messages) = &mut self.messages else { return std::future::pending().await };
        let message = match timeout_at(self.heard + SILENCE_MAX, messages.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Heard::Lost("its subscription has ended"),
            Err(_) => return Heard::Lost("it is silent"),
        };
        self.heard = Instant::now();
        match message.status {
            None => self.logged(message),
            Some(StatusCode::IDLE_HEARTBEAT) => self.control(message).await,
            Some(_) => Heard::Lost("it was deleted, or its server stops"),
        }
    }

    fn logged(&mut self, message: Message) -> Heard {
        let message = jetstream::Message { message, context: self.js.clone() };
        let Ok(info) = message.info() else { return Heard::Alive };
        let (position, ts_us, pending) =
            (info.stream_sequence, micros(info.published.unix_timestamp_nanos()), info.pending);
        if position < self.next {
            return Heard::Alive;
        }
        if position > self.next {
            return Heard::Lost("messages are missing");
        }
        self.next += 1;
        let Message { subject, headers, payload, .. } = message.message;
        Heard::Logged(Logged { position, ts_us, subject, headers, bytes: payload, pending })
    }

    /// A sign of life, or the question whether more can be sent.
    async fn control(&mut self, message: Message) -> Heard {
        let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name));
        let answer_to = message.reply.clone().map(|reply| reply.to_string());
        let answer_to = answer_to.or_else(|| header("Nats-Consumer-Stalled").map(ToString::to_string));
        if let Some(subject) = answer_to {
            // If the connection is lost, the consumer is as well.
            let _ = self.client.publish(subject, Bytes::new()).await;
        }
        // Messages come in order, so all that were sent before this are here.
        let last = header("Nats-Last-Stream").and_then(|last| last.as_str().parse::<u64>().ok());
        if last.is_some_and(|last| last >= self.next) { Heard::Lost("messages are missing") } else { Heard::Alive }
    }
}

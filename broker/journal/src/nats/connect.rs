//! The start: connections, the stream, and the generation that the log is in.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use broker_engine::Engine;

use super::checkpoints::{self, Object};
use super::drive::Drive;
use super::error::NatsError;
use super::generation::Begins;
use super::links::Links;
use super::options::Options;
use super::recover::recover;
use super::status::NatsStatus;
use super::stream;
use crate::checkpoint::CheckpointReader;
use crate::status::{Status, set};
use crate::store::Generation;
use crate::{Clock, Order};

/// How often it is tried to find or to begin a generation beside other brokers.
const TRIES: u32 = 10;

/// What everything about a log needs.
pub(super) struct Log {
    pub(super) options: Options,
    pub(super) links: Links,
    pub(super) stream: Stream,
    pub(super) bucket: ObjectStore,
    pub(super) generation: Generation,
    /// Where it stands in the log; 0 if it was purged.
    pub(super) generation_position: u64,
    pub(super) clock: Clock,
    pub(super) status: Arc<Status>,
    pub(super) nats: Arc<NatsStatus>,
}

/// A log that is there and not read yet.
pub struct Connected(Log);

impl Connected {
    /// Connects, as soon as servers can be reached, makes what is missing, and finds the generation. `nonce` is a random
    /// number, for a log that is new.
    ///
    /// # Errors
    /// The settings are wrong, the servers refuse, or what is there is no log that can be used.
    pub async fn connect(options: Options, nonce: u64, clock: Clock) -> Result<Self, NatsError> {
        let links = Links::connect(&options).await?;
        links.check(&options)?;
        let (stream, is_made) = stream::open(&links.js, &options).await?;
        let bucket = stream::bucket(&links.js, &options).await?;
        let mut checkpoints = checkpoints::list(&bucket).await?;
        if let Some(newest) = checkpoints.first().filter(|_| is_made) {
            if !options.recreate {
                let why = format!("there is a checkpoint at {}, and there was no stream", newest.begin.position);
                return Err(NatsError::Incomplete { stream: options.stream(), why });
            }
            tracing::warn!("the log begins anew (journal_recreate): what the checkpoints have is deleted");
            for object in std::mem::take(&mut checkpoints) {
                checkpoints::delete(&bucket, &object.name).await?;
            }
        }
        let begins = Begins::new(nonce, clock().wall_us, "the log is new");
        let (generation, generation_position) = match generation(&stream, &bucket, &checkpoints, &options).await? {
            Some(generation) => generation,
            None => begin(&links.js, &stream, &options, &begins).await?,
        };
        let status = Arc::<Status>::default();
        set(&status.log_bytes_max, u64::try_from(stream.cached_info().config.max_bytes).unwrap_or(u64::MAX));
        let nats = Arc::new(NatsStatus::new(&options.node, options.unready_ms));
        nats.set_connected(true);
        Ok(Self(Log { options, links, stream, bucket, generation, generation_position, clock, status, nats }))
    }

    /// What the epochs of its topics are made from.
    pub fn nonce(&self) -> u64 {
        self.0.generation.nonce
    }

    /// How ids begin.
    pub fn order(&self) -> Order {
        Order::of(self.0.generation)
    }

    /// What it tells of itself, as every journal does.
    pub fn status(&self) -> &Arc<Status> {
        &self.0.status
    }

    /// What it tells of itself besides.
    pub fn nats_status(&self) -> &Arc<NatsStatus> {
        &self.0.nats
    }

    /// Reads the log into an engine that was made for it, up to the end that it has now.
    ///
    /// # Errors
    /// No checkpoint fits, or a record cannot be applied.
    pub async fn read(self, engine: Arc<Engine>) -> Result<Drive, NatsError> {
        let recovered = recover(&self.0, &engine).await?;
        Drive::start(self.0, engine, recovered).await
    }
}

/// The generation that the log is in; `None` if it is in none yet.
async fn generation(
    stream: &Stream,
    bucket: &ObjectStore,
    checkpoints: &[Object],
    options: &Options,
) -> Result<Option<(Generation, u64)>, NatsError> {
    if let Some(newest) = newest(stream, options).await? {
        return Ok(Some(newest));
    }
    // It was purged, so there is a checkpoint that is newer. What was purged lies before the older of two, so they are of the
    // same generation.
    for object in checkpoints {
        match generation_of(bucket, object, options).await {
            Ok(generation) => return Ok(Some((generation, 0))),
            Err(error) => tracing::error!(name = object.name, %error, "a checkpoint cannot be read, and is not used"),
        }
    }
    let first = stream::info(stream).await?.state.first_sequence;
    if checkpoints.is_empty() && first <= 1 {
        return Ok(None);
    }
    // Another generation would end the one in which other brokers are.
    let why = format!("it begins with {first}, and none of {} checkpoints can be read", checkpoints.len());
    Err(NatsError::Incomplete { stream: options.stream(), why })
}

/// The generation that a checkpoint is of.
async fn generation_of(bucket: &ObjectStore, object: &Object, options: &Options) -> Result<Generation, NatsError> {
    let path = checkpoints::fetch(bucket, object, &options.scratch).await?;
    Ok(CheckpointReader::open(&path)?.head().generation)
}

/// The newest generation that stands in the log, and its position.
pub(super) async fn newest(stream: &Stream, options: &Options) -> Result<Option<(Generation, u64)>, NatsError> {
    match stream.get_last_raw_message_by_subject(&options.generations()).await {
        Ok(message) => Ok(Some((Begins::decode(&message.payload)?, message.sequence))),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::JetStream(found) if found.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            kind => Err(NatsError::api("reading the log's generation", kind)),
        },
    }
}

/// Begins a generation, unless another broker is faster: then that one's counts.
pub(super) async fn begin(
    js: &Context,
    stream: &Stream,
    options: &Options,
    begins: &Begins,
) -> Result<(Generation, u64), NatsError> {
    let before = newest(stream, options).await?.map_or(0, |(_, position)| position);
    let failed = |why: &dyn std::fmt::Display| NatsError::api("beginning a generation", why);
    let mut last = None;
    for _ in 0..TRIES {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, before.to_string());
        let sent = js.publish_with_headers(options.generations(), headers, begins.encode()?.into()).await;
        let acknowledged = sent.map_err(|error| failed(&error))?.await;
        match acknowledged {
            Ok(_) => {}
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
            // It may have been taken all the same.
            Err(error) => last = Some(error),
        }
        if let Some((generation, position)) = newest(stream, options).await?
            && position > before
        {
            return Ok((generation, position));
        }
    }
    Err(failed(&last.map_or_else(|| "it was not taken".into(), |error| error.to_string())))
}

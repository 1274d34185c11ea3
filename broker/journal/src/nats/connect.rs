//! The start: connections, the stream, and the generation that the log is in.

use std::sync::Arc;

use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::Stream;
use broker_engine::Engine;

use super::checkpoints::{self, Object};
use super::drive::Drive;
use super::error::NatsError;
use super::generation::{Begins, begin, newest};
use super::links::Links;
use super::log::Log;
use super::options::Options;
use super::recover::recover;
use super::status::NatsStatus;
use super::stream;
use crate::checkpoint::CheckpointReader;
use crate::status::{Status, set};
use crate::store::Generation;
use crate::{Clock, Order};

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
        let bucket = stream::bucket(&links.js, &options).await?;
        let mut checkpoints = stream::patiently(async || checkpoints::list(&bucket).await).await?;
        let incomplete = |newest: &Object| {
            let why = format!("there is a checkpoint at {}, and nothing in the stream", newest.begin.position);
            NatsError::Incomplete { stream: options.stream(), why }
        };
        let lost = checkpoints.first().filter(|_| !options.recreate);
        // Not made before that is known: the next start would find it, and other brokers would take it for their log.
        let Some(stream) = stream::open(&links.js, &options, lost.is_none()).await? else {
            return Err(lost.map_or_else(|| NatsError::api("the log's stream", "it is gone"), incomplete));
        };
        if let Some(newest) = checkpoints.first().filter(|_| stream.cached_info().state.last_sequence == 0) {
            if !options.recreate {
                return Err(incomplete(newest));
            }
            tracing::warn!("the log begins anew (journal_recreate): what the checkpoints have is deleted");
            for object in std::mem::take(&mut checkpoints) {
                checkpoints::delete(&bucket, &object.name).await?;
            }
        }
        let begins = Begins::new(nonce, clock().wall_us, "the log is new");
        let (generation, generation_position) = match generation(&stream, &bucket, &checkpoints, &options).await? {
            Some(generation) => generation,
            // Another broker that starts at the same time may be faster: then that one's counts.
            None => stream::patiently(async || begin(&links.js, &stream, &options, 0, &begins).await).await?,
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
    if let Some(newest) = stream::patiently(async || newest(stream, options).await).await? {
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
    let first = stream::patiently(async || stream::info(stream).await).await?.state.first_sequence;
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

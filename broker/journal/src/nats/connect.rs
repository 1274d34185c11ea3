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
            // Another broker that starts at the same time may be faster: then that one's counts.
            None => begin(&links.js, &stream, &options, 0, &begins).await?,
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
    // It was purged, so there is a checkpoint that is newer.
    for object in checkpoints {
        let path = checkpoints::fetch(bucket, object, &options.scratch).await?;
        match CheckpointReader::open(&path) {
            Ok(reader) => return Ok(Some((reader.head().generation, 0))),
            Err(error) => tracing::error!(name = object.name, %error, "a checkpoint cannot be read, and is not used"),
        }
    }
    Ok(None)
}

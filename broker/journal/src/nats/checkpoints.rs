//! Checkpoints in the object store: which there are, fetching and storing them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::object_store::{ObjectInfo, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::Stream;
use broker_engine::log::{Extent, Seen, continues};
use futures_util::StreamExt as _;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::error::NatsError;
use super::stream::at;

/// Bytes of a message of an object.
const CHUNK_BYTES: usize = 256 << 10;
/// How long the next part of an object may take to come. Longer than an election.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How long the next entry of the list may take to come. It is asked for again then.
const LIST_SILENCE_MAX: Duration = Duration::from_secs(3);

/// A checkpoint in the store.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// The record up to which its topics have at least come: the log is read from behind it.
    pub(super) begin: Seen,
    /// The record with which all of it is complete.
    pub(super) end: Seen,
}

/// The name of a broker's checkpoint.
pub(super) fn name_of(position: u64, node: &str) -> String {
    format!("checkpoint.{position:020}.{node}")
}

/// Lists the checkpoints, the newest first. What is no checkpoint is left out.
///
/// # Errors
/// The servers do not answer.
pub(super) async fn list(store: &ObjectStore) -> Result<Vec<Object>, NatsError> {
    let failed = |why: &dyn std::fmt::Display| NatsError::api("listing checkpoints", why);
    let mut infos = store.list().await.map_err(|error| failed(&error))?;
    let mut objects = Vec::new();
    loop {
        // The client waits for ever for what another broker has deleted since it asked how much there is.
        let next = timeout(LIST_SILENCE_MAX, infos.next()).await;
        let Some(info) = next.map_err(|_| failed(&"nothing comes, and there should be more"))? else { break };
        match object(&info.map_err(|error| failed(&error))?) {
            Ok(object) => objects.push(object),
            Err(name) => tracing::warn!(name, "an object of the store of checkpoints is no checkpoint"),
        }
    }
    objects.sort_by_key(|object| std::cmp::Reverse(object.begin.position));
    Ok(objects)
}

fn object(info: &ObjectInfo) -> Result<Object, String> {
    let known = |which: &str| {
        let number = |what: &str| info.metadata.get(&format!("{which}_{what}")).and_then(|text| text.parse().ok());
        Some(Seen { position: number("position")?, ts_us: number("ts_us")?, check: number("check")? })
    };
    match (known("begin"), known("end")) {
        (Some(begin), Some(end)) => Ok(Object { name: info.name.clone(), bytes: info.size as u64, begin, end }),
        _ => Err(info.name.clone()),
    }
}

/// Fetches a checkpoint into a directory. Returns the file.
///
/// # Errors
/// The servers do not answer, the system refuses, or it is not what was stored.
pub(super) async fn fetch(store: &ObjectStore, object: &Object, dir: &Path) -> Result<PathBuf, NatsError> {
    let path = dir.join("fetched.checkpoint");
    let failed = |why: &dyn std::fmt::Display| NatsError::api("fetching a checkpoint", why);
    let mut from = store.get(&object.name).await.map_err(|error| failed(&error))?;
    let io = |error| NatsError::File { path: path.clone(), error };
    let mut to = File::create(&path).await.map_err(io)?;
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        // The client waits for ever for a part that is not in the store.
        let read = timeout(SILENCE_MAX, from.read(&mut bytes)).await;
        let read = read.map_err(|_| failed(&"a part of it does not come"))?.map_err(|error| failed(&error))?;
        if read == 0 {
            break;
        }
        to.write_all(&bytes[..read]).await.map_err(io)?;
    }
    to.sync_all().await.map_err(io)?;
    Ok(path)
}

/// Stores a checkpoint.
///
/// # Errors
/// The servers do not answer, or have no room.
pub(super) async fn store(store: &ObjectStore, object: &Object, path: &Path) -> Result<(), NatsError> {
    let mut file = File::open(path).await.map_err(|error| NatsError::File { path: path.into(), error })?;
    let mut metadata = HashMap::new();
    for (which, known) in [("begin", object.begin), ("end", object.end)] {
        for (what, number) in [("position", known.position), ("ts_us", known.ts_us), ("check", known.check)] {
            metadata.insert(format!("{which}_{what}"), number.to_string());
        }
    }
    let (name, chunk_size) = (object.name.clone(), Some(CHUNK_BYTES));
    let meta = ObjectMetadata { name, chunk_size, metadata, ..ObjectMetadata::default() };
    store.put(meta, &mut file).await.map_err(|error| NatsError::api("storing a checkpoint", error))?;
    Ok(())
}

/// Deletes a checkpoint.
///
/// # Errors
/// The servers do not answer.
pub(super) async fn delete(store: &ObjectStore, name: &str) -> Result<(), NatsError> {
    store.delete(name).await.map_err(|error| NatsError::api("deleting a checkpoint", error))
}

/// Whether the log goes on where a checkpoint ends.
///
/// # Errors
/// The servers do not answer.
pub(super) async fn fits(stream: &Stream, object: &Object, extent: Extent) -> Result<bool, NatsError> {
    let mut found = [None, None];
    for (known, found) in [object.begin, object.end].into_iter().zip(&mut found) {
        if (extent.first..extent.next).contains(&known.position) {
            *found = at(stream, known.position).await?;
        }
    }
    Ok(continues(object.begin, object.end, extent, found))
}

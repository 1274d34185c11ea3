//! The stream that is the log, and the store of its checkpoints: made if they are missing, and checked.
//!
//! It has one subject for each broker, and none for each topic, but for what programs publish to it themselves. It only ever grows at its end and is cut off at its
//! front, so that its positions have no holes, and it never drops what no checkpoint holds.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::object_store::{Config as StoreConfig, ObjectStore};
use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, Info, RawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use broker_engine::Logged;
use broker_engine::log::{Extent, Seen};
use tokio::time::sleep;

use super::error::NatsError;
use super::options::Options;

/// How often what has no leader yet is asked for.
const TRIES: u32 = 60;
/// The pause in between.
const PAUSE: Duration = Duration::from_millis(500);
/// JetStream numbers messages anyway; this is the shortest time for which it looks for equal ids, of which there are none.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// Opens the stream, or makes it if that is allowed; otherwise `None` if there is none.
///
/// # Errors
/// There is no JetStream, or the stream cannot be a log.
pub(super) async fn open(js: &Context, options: &Options, may_make: bool) -> Result<Option<Stream>, NatsError> {
    let name = options.stream();
    for _ in 0..TRIES {
        match js.get_stream(&name).await {
            Ok(stream) => {
                check(&name, &stream.cached_info().config, options)?;
                return Ok(Some(stream));
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                kind => {
                    wait("the log's stream", &kind).await?;
                    continue;
                }
            },
        }
        if !may_make {
            return Ok(None);
        }
        match js.create_stream(wanted(options)).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) => match error.kind() {
                // Another broker was faster, and wanted something else.
                CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {}
                CreateStreamErrorKind::JetStream(error) if !is_passing(error.error_code(), error.code()) => {
                    return Err(NatsError::api("making the log's stream", error));
                }
                kind => wait("making the log's stream", &kind).await?,
            },
        }
    }
    Err(NatsError::api("the log's stream", "it has no leader: are most of the NATS servers running?"))
}

/// Opens the store of checkpoints, or makes it.
///
/// # Errors
/// The servers refuse.
pub(super) async fn bucket(js: &Context, options: &Options) -> Result<ObjectStore, NatsError> {
    let name = options.bucket();
    let mut error = None;
    for _ in 0..TRIES {
        if let Ok(store) = js.get_object_store(&name).await {
            return Ok(store);
        }
        let config = StoreConfig {
            bucket: name.clone(),
            description: Some("Checkpoints of a Tickcast log".into()),
            num_replicas: options.replicas,
            ..StoreConfig::default()
        };
        match js.create_object_store(config).await {
            Ok(store) => return Ok(store),
            Err(found) => error = Some(found),
        }
        sleep(PAUSE).await;
    }
    Err(NatsError::api("the store of checkpoints", error.map_or_else(String::new, |error| error.to_string())))
}

/// Without compression: with S2, nats-server 2.11.11 now and then never ends reading a block of the stream (`indexCacheBuf`
/// in its stacks), and from then on answers no request to the stream.
fn wanted(options: &Options) -> Config {
    Config {
        name: options.stream(),
        description: Some("The log of Tickcast brokers: only they may write to it, but for programs under .in.".into()),
        subjects: options.subjects(),
        max_bytes: i64::try_from(options.bytes_max).unwrap_or(i64::MAX),
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        allow_direct: false,
        ..Config::default()
    }
}

/// Checks a stream that is there.
fn check(name: &str, found: &Config, options: &Options) -> Result<(), NatsError> {
    let mut flaws = Vec::new();
    let mut expect = |is_so: bool, flaw: &str| {
        if !is_so {
            flaws.push(flaw.to_owned());
        }
    };
    for subject in options.subjects() {
        expect(found.subjects.contains(&subject), &format!("it lacks the subject {subject}: add it"));
    }
    expect(found.discard == DiscardPolicy::New, "it drops old messages when it is full: set its discard policy to new");
    expect(found.retention == RetentionPolicy::Limits, "it drops messages that were read: set its retention to limits");
    expect(found.max_age.is_zero(), "it drops messages by their age: set max_age to 0");
    expect(found.max_messages <= 0, "it has a maximum of messages: set max_msgs to -1");
    expect(found.max_messages_per_subject <= 0, "it keeps some messages per subject: set max_msgs_per_subject to -1");
    expect(found.mirror.is_none() && found.sources.is_none(), "it copies other streams: have it copy none");
    expect(!found.sealed && !found.deny_purge, "nothing may be purged from it: allow it");
    expect(
        found.max_message_size <= 0 || found.max_message_size as u64 >= options.record_bytes_max,
        &format!("its messages may be too short: set max_msg_size to -1, or to {}", options.record_bytes_max),
    );
    if !flaws.is_empty() {
        return Err(NatsError::Stream { stream: name.into(), flaws });
    }
    let inbound = options.inbound_subjects();
    if !options.inbound && found.subjects.contains(&inbound) {
        tracing::warn!(
            "the stream {name} has the subject {inbound}, so programs may publish to it, and journal_in says no: this broker \
             applies what they publish, as all others do. Take the subject out of the stream if it is not meant"
        );
    }
    if found.compression.as_ref().is_some_and(|compression| *compression != Compression::None) {
        tracing::warn!(
            "the stream {name} is compressed: nats-server 2.11 may come to a standstill with it. Set its compression to none, which \
             counts for what is written from then on"
        );
    }
    if found.num_replicas != options.replicas {
        let (has, wanted) = (found.num_replicas, options.replicas);
        tracing::warn!("the stream {name} has {has} replicas, and journal_replicas says {wanted}: it keeps its own");
    }
    if found.max_bytes != i64::try_from(options.bytes_max).unwrap_or(i64::MAX) {
        let (has, wanted) = (found.max_bytes, options.bytes_max);
        tracing::warn!("the stream {name} takes {has} bytes, and journal_bytes_max says {wanted}: it keeps its own");
    }
    Ok(())
}

async fn wait(what: &'static str, why: &impl std::fmt::Display) -> Result<(), NatsError> {
    tracing::debug!("{what}: {why}");
    sleep(PAUSE).await;
    Ok(())
}

/// Whether an error goes by itself: the servers are starting, or have no leader.
fn is_passing(code: ErrorCode, status: usize) -> bool {
    code == ErrorCode::INSUFFICIENT_RESOURCES || (status == 503 && code != ErrorCode::JETSTREAM_NOT_ENABLED)
}

/// Asks again for a while what servers do not answer: they are busy, or have no leader yet.
///
/// # Errors
/// They do not answer for half a minute, or the answer is another error.
pub(super) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, NatsError>) -> Result<T, NatsError> {
    for _ in 1..TRIES {
        match ask().await {
            Err(NatsError::Api { what, why }) => wait(what, &why).await?,
            answered => return answered,
        }
    }
    ask().await
}

/// How far the stream goes, by its leader.
///
/// # Errors
/// Nobody answers.
pub(super) async fn info(stream: &Stream) -> Result<Info, NatsError> {
    stream.get_info().await.map_err(|error| NatsError::api("looking at the log", error))
}

/// What the log has at this position, if it has anything there.
///
/// # Errors
/// Nobody answers.
pub(super) async fn at(stream: &Stream, position: u64) -> Result<Option<Seen>, NatsError> {
    match stream.get_raw_message(position).await {
        Ok(message) => {
            let ts_us = micros(message.time.unix_timestamp_nanos());
            Ok(Some(Seen::of(&Logged { node: "", position, ts_us, bytes: &message.payload })))
        }
        Err(error) => match error.kind() {
            RawMessageErrorKind::JetStream(found) if found.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
            _ => Err(NatsError::api("reading a record", &error)),
        },
    }
}

/// The records that the log has.
pub(super) fn extent(info: &Info) -> Extent {
    Extent { first: info.state.first_sequence, next: info.state.last_sequence + 1 }
}

/// µs since the UNIX epoch; the log has no times before that.
pub(super) fn micros(ns: i128) -> u64 {
    u64::try_from(ns / 1000).unwrap_or_default()
}

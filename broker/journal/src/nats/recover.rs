//! Reading the log at the start: the newest checkpoint that fits it, then the records after it, up to the end that it has
//! then.

use std::time::Duration;

use broker_engine::{Applied, Engine, Logged, Verdict};
use tokio::time::{Instant, sleep};

use super::checkpoints::{self, Object};
use super::error::NatsError;
use super::inbound::Programs;
use super::log::Log;
use super::reader::{self, Heard, Read, Reader};
use super::stream::{extent, info, patiently};
use super::trust::{Verdict as Trust, look};
use crate::checkpoint;
use crate::mono_at;
use crate::status::{add, set};

/// The pause before a consumer is made that could not be.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a log has to look like another one until it counts as that, as while it is driven.
const OTHER_TIME: Duration = Duration::from_secs(5);
/// How many records are applied until others have a turn: progress is told, and the connection is read.
const RECORDS_PER_TURN: u64 = 64;

/// What a broker has read.
pub(super) struct Recovered {
    pub(super) applied: Applied,
    pub(super) programs: Programs,
    pub(super) reader: Reader,
    /// The last message that was read.
    pub(super) read: Option<Read>,
    /// Bytes of the log since the newest checkpoint.
    pub(super) bytes: u64,
    /// The checkpoints that there are, the newest first.
    pub(super) checkpoints: Vec<Object>,
}

/// Restores the topics and applies the log.
pub(super) async fn recover(log: &Log, engine: &Engine) -> Result<Recovered, NatsError> {
    // Before the log is looked at: what they have is in it then.
    let checkpoints = patiently(async || checkpoints::list(&log.bucket).await).await?;
    let found = patiently(async || info(&log.stream).await).await?;
    let (first, last) = (found.state.first_sequence, found.state.last_sequence);
    set(&log.status.read_end, last);
    set(&log.status.log_bytes, found.state.bytes);
    set(&log.nats.log_end, last);
    let mut recovered = (Applied::default(), None);
    for object in &checkpoints {
        if !patiently(async || checkpoints::fits(&log.stream, object, extent(&found)).await).await? {
            tracing::warn!(name = object.name, "a checkpoint does not fit the log, and is not used");
            continue;
        }
        match fetch(log, object).await {
            Ok(path) => {
                let now = (log.clock)();
                let restored = || add(&log.status.topics_restored, 1);
                let (mut applied, head) = checkpoint::restore(engine, &path, log.generation.nonce, now, restored)?;
                applied.written_under(head.generation.nonce);
                set(&log.status.checkpoint_us, head.saved_us);
                set(&log.status.checkpoint_bytes, object.bytes);
                drop(std::fs::remove_file(path));
                recovered = (applied, Some(Read::Known(object.begin)));
                break;
            }
            Err(error) => tracing::error!(name = object.name, %error, "a checkpoint is damaged, and is not used"),
        }
    }
    let (mut applied, mut read) = recovered;
    let from = read.as_ref().map_or(0, Read::position);
    // A generation that is only in the checkpoints goes on with them, or not at all: its epochs would be given anew.
    let is_lost = read.is_none() && log.generation_position == 0;
    if first > from + 1 && last > 0 || is_lost {
        let why = format!("it begins with {first}, and {} checkpoints do not reach that far", checkpoints.len());
        return Err(NatsError::Incomplete { stream: log.options.stream(), why });
    }
    set(&log.status.read_from, from);
    set(&log.status.read_to, from);
    let links = &log.links;
    let mut reader = Reader::new(links.read.clone(), links.js.clone(), log.options.stream(), from + 1);
    let (mut bytes, mut turn, mut programs) = (0, 0, Programs::default());
    let mut other_since = None;
    // The checkpoint may be complete only behind the end that was found.
    while read.as_ref().map_or(0, Read::position) < last || !applied.is_complete() {
        if !reader.is_open() && !read_on(log, &mut reader, read.as_ref(), &mut other_since).await? {
            sleep(PAUSE).await;
            continue;
        }
        let message = match reader.next().await {
            Heard::Logged(message) => message,
            Heard::Alive => continue,
            Heard::Lost(why) => {
                tracing::debug!(why, "the log's consumer is made anew");
                reader.close();
                continue;
            }
        };
        bytes += message.bytes.len() as u64;
        apply(log, engine, &mut applied, &mut programs, &message)?;
        read = Some(message.read());
        set(&log.status.read_to, message.position);
        turn += 1;
        if turn % RECORDS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    set(&log.status.position, read.as_ref().map_or(0, Read::position));
    set(&log.status.commands, applied.commands());
    Ok(Recovered { applied, programs, reader, read, bytes, checkpoints })
}

/// Makes the consumer. Returns whether there is one. `other_since` is since when the log looks like another one.
///
/// # Errors
/// What is read next is not in the log any more: other brokers have cut it off meanwhile, or the log is another one. No
/// consumer would ever bring it.
async fn read_on(
    log: &Log,
    reader: &mut Reader,
    read: Option<&Read>,
    other_since: &mut Option<Instant>,
) -> Result<bool, NatsError> {
    if let Err(error) = reader.open().await {
        tracing::debug!(%error, "the log cannot be read at present");
        return Ok(false);
    }
    match look(&log.stream, read).await {
        Ok(Trust::Same { .. }) => {
            *other_since = None;
            return Ok(true);
        }
        Ok(Trust::CutBeyond) => {
            let why = "it was cut off behind what this broker has read so far: start again, from a newer checkpoint";
            return Err(NatsError::api("reading the log", why));
        }
        // A leader that is new may not know its end yet.
        Ok(Trust::WentBack(why)) => {
            tracing::warn!(why, "the log looks as if it had gone back");
            if other_since.get_or_insert_with(Instant::now).elapsed() >= OTHER_TIME {
                return Err(NatsError::api("reading the log", format!("it went back meanwhile ({why}): start again")));
            }
        }
        Err(error) => tracing::debug!(%error, "the log cannot be looked at"),
    }
    reader.close();
    Ok(false)
}

/// Applies a message of the past.
fn apply(
    log: &Log,
    engine: &Engine,
    applied: &mut Applied,
    programs: &mut Programs,
    message: &reader::Logged,
) -> Result<(), NatsError> {
    let (ts_us, mono_us) = (message.ts_us, mono_at((log.clock)(), message.ts_us));
    if let Some(topic) = log.options.topic_of(&message.subject) {
        programs.apply(engine, applied, &log.nats, mono_us, topic, message);
        return Ok(());
    }
    let Some(node) = log.options.node_of(&message.subject) else {
        let (generation, is_later) = log.generation_of(message)?;
        if is_later {
            return Err(NatsError::api("reading the log", "another generation has begun meanwhile: start again"));
        }
        applied.written_under(generation.nonce);
        return Ok(());
    };
    let logged = Logged { node, position: message.position, ts_us, bytes: &message.bytes };
    let verdict = applied.apply(engine, mono_us, logged, |_, _| {});
    match verdict {
        Ok(Verdict::Counted(_)) => Ok(()),
        Ok(Verdict::Dropped(dropped)) => {
            log.note_dropped(dropped);
            Ok(())
        }
        Err(error) => Err(NatsError::Record { position: message.position, node: node.into(), error }),
    }
}

/// Fetches a checkpoint, and reads all of it.
async fn fetch(log: &Log, object: &Object) -> Result<std::path::PathBuf, NatsError> {
    let path = checkpoints::fetch(&log.bucket, object, &log.options.scratch).await?;
    checkpoint::verify(&path)?;
    Ok(path)
}

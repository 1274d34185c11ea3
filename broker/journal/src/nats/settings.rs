//! The settings of a log, which count on all of its brokers: reading them, and writing others, while brokers run.

use async_nats::jetstream::context::Context;
use broker_engine::Now;
use broker_engine::log::{Entry, Record, RecordWriter, Sessions, Settings};

use super::checkpoints;
use super::error::NatsError;
use super::links::Links;
use super::options::Options;
use super::reader::{Heard, Reader};
use super::stream::info;
use crate::checkpoint::CheckpointReader;

/// The name under which settings are written. It is no broker's: it begins a session for each time.
const NODE: &str = "journal_settings";
/// How often the log is tried to be read again.
const TRIES: u32 = 20;

/// A log whose settings are looked at.
pub struct OfLog {
    options: Options,
    links: Links,
}

impl OfLog {
    /// Connects to a log that is there.
    ///
    /// # Errors
    /// As a broker's start.
    pub async fn connect(options: Options) -> Result<Self, NatsError> {
        let links = Links::connect(&options).await?;
        links.check(&options)?;
        Ok(Self { options, links })
    }

    /// The settings that the log has now; `None` if it has none yet.
    ///
    /// # Errors
    /// There is no log, or it cannot be read.
    pub async fn settings(&self) -> Result<Option<Settings>, NatsError> {
        let failed = |why: &dyn std::fmt::Display| NatsError::api("reading the settings of the log", why);
        let js = &self.links.js;
        let stream = js.get_stream(self.options.stream()).await.map_err(|error| failed(&error))?;
        let last = info(&stream).await?.state.last_sequence;
        let (mut settings, mut sessions, mut position) = (None, Sessions::default(), 0);
        if let Ok(bucket) = js.get_object_store(&self.options.bucket()).await
            && let Some(newest) = checkpoints::list(&bucket).await?.first()
        {
            let path = checkpoints::fetch(&bucket, newest, &self.options.scratch).await?;
            let head = CheckpointReader::open(&path)?.head().clone();
            drop(std::fs::remove_file(path));
            settings = head.settings;
            sessions = Sessions::restore(head.sessions).map_err(|error| failed(&error))?;
            position = head.position;
        }
        let mut reader = Reader::new(self.links.read.clone(), js.clone(), self.options.stream(), position + 1);
        let mut tries = 0;
        while position < last {
            if !reader.is_open() {
                tries += 1;
                match reader.open().await {
                    Err(error) if tries >= TRIES => return Err(error),
                    _ => {}
                }
            }
            match reader.next().await {
                Heard::Logged(message) => {
                    position = message.position;
                    let Some(node) = self.options.node_of(&message.subject) else { continue };
                    let record = Record::decode(&message.bytes).map_err(|error| NatsError::Record {
                        position,
                        node: node.into(),
                        error,
                    })?;
                    if sessions.counts(node, position, &record).is_err() {
                        continue;
                    }
                    for entry in record.commands {
                        if let Entry::Settings(found) = entry {
                            settings = Some(found);
                        }
                    }
                }
                Heard::Alive => {}
                Heard::Lost(why) if tries >= TRIES => return Err(failed(&why)),
                Heard::Lost(_) => reader.close(),
            }
        }
        Ok(settings)
    }

    /// Writes settings into the log: they count on all of its brokers from there on.
    ///
    /// # Errors
    /// The servers refuse, or there are more rules than a record may have.
    pub async fn apply(&self, settings: Settings, now: Now) -> Result<(), NatsError> {
        let session = now.wall_us;
        let subject = format!("{}.log.{NODE}", self.options.name);
        let entries = [Entry::Open { node: NODE, session }, Entry::Settings(settings)];
        for (number, entry) in (0..).zip(entries) {
            let mut writer = RecordWriter::new(session, number);
            writer.add(&entry)?;
            publish(&self.links.js, subject.clone(), writer.finish()).await?;
        }
        Ok(())
    }
}

/// Has a record stored, and waits until it is.
async fn publish(js: &Context, subject: String, record: Vec<u8>) -> Result<(), NatsError> {
    let failed = |why: &dyn std::fmt::Display| NatsError::api("writing the settings into the log", why);
    let stored = js.publish(subject, record.into()).await.map_err(|error| failed(&error))?;
    stored.await.map_err(|error| failed(&error))?;
    Ok(())
}

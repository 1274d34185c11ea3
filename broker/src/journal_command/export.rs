//! `tickcast journal export`: what was published, as the lines that `feed-sim replay ndjson` reads.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use broker::config::Config;
use broker_engine::SavedTopic;
use broker_journal::local::{ExportError, Exported, Update};
use broker_protocol::write::{push_number, push_string};
use broker_protocol::{Kind, Pattern};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::open;
use super::outlook::counted;
use crate::say;

/// Bytes of lines that are written at once.
const BUFFER_BYTES: usize = 256 * 1_024;

pub(super) fn run(dir: &Path, config: &Config, topics: &[Pattern], from: Option<u64>) -> anyhow::Result<ExitCode> {
    let reading = open(dir)?;
    let mut lines = Lines {
        out: BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()),
        topics,
        line: Vec::new(),
        first_us: None,
        ends: 0,
        unreadable: 0,
    };
    let exported = reading.export(&config.engine_limits(), from, |exported| lines.take(&exported));
    let flushed = lines.out.flush();
    lines.complain();
    match (exported, flushed) {
        (Err(ExportError::Taker(error)), _) | (Ok(()), Err(error)) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        (Err(ExportError::Taker(error)), _) | (Ok(()), Err(error)) => {
            Err(anyhow::Error::from(error).context("standard output cannot be written"))
        }
        (Err(ExportError::Journal(error)), _) => Err(anyhow::Error::from(error).context("the export is not complete")),
        (Ok(()), Ok(())) => Ok(ExitCode::SUCCESS),
    }
}

/// The lines, and what cannot be one.
struct Lines<'a, W> {
    out: W,
    /// Of which topics; of all if it is empty.
    topics: &'a [Pattern],
    line: Vec<u8>,
    /// When the first update of the log was published, in µs since the UNIX epoch.
    first_us: Option<u64>,
    ends: u64,
    unreadable: u64,
}

/// The fields of a retained update that its line has. It is the message that subscribers got.
#[derive(Deserialize)]
struct Retained<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    source_ts: Option<u64>,
}

impl<W: Write> Lines<'_, W> {
    fn take(&mut self, exported: &Exported<'_>) -> io::Result<()> {
        match exported {
            Exported::Topic(topic) if self.wants(&topic.name) => self.topic(topic),
            Exported::Update(update) if self.wants(update.topic) => self.update(update),
            Exported::End { topic } if self.wants(topic) => {
                self.ends += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn wants(&self, topic: &str) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|pattern| pattern.matches(topic))
    }

    /// A topic of the checkpoint: all of it goes out at the beginning.
    fn topic(&mut self, topic: &SavedTopic) -> io::Result<()> {
        if let Some(image) = &topic.image {
            return self.line(&topic.name, Kind::State, None, topic.last_source_ts, 0, |line| line.extend(image));
        }
        for update in &topic.updates {
            match serde_json::from_slice::<Retained<'_>>(&update.message) {
                Ok(Retained { data, source_ts }) => {
                    let data = data.get().as_bytes();
                    self.line(&topic.name, topic.kind, None, source_ts, 0, |line| line.extend_from_slice(data))?;
                }
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }

    fn update(&mut self, update: &Update<'_>) -> io::Result<()> {
        let first_us = *self.first_us.get_or_insert(update.ts_us);
        let Update { ts_us, topic, kind, source, source_ts, data } = update;
        self.line(topic, *kind, *source, *source_ts, ts_us.saturating_sub(first_us), |line| data.append_compact(line))
    }

    fn line(
        &mut self,
        topic: &str,
        kind: Kind,
        source: Option<(&str, u64)>,
        source_ts: Option<u64>,
        due_us: u64,
        data: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"topic\":");
        push_string(line, topic);
        line.extend_from_slice(b",\"kind\":");
        push_string(line, kind.as_str());
        line.extend_from_slice(b",\"data\":");
        data(line);
        if let Some((source, source_seq)) = source {
            line.extend_from_slice(b",\"source\":");
            push_string(line, source);
            line.extend_from_slice(b",\"source_seq\":");
            push_number(line, source_seq);
        }
        if let Some(source_ts) = source_ts {
            line.extend_from_slice(b",\"source_ts\":");
            push_number(line, source_ts);
        }
        line.extend_from_slice(b",\"due_us\":");
        push_number(line, due_us);
        line.extend_from_slice(b"}\n");
        self.out.write_all(line)
    }

    /// Says what is not in the export.
    fn complain(&self) {
        if self.ends > 0 {
            say::complaint(&format!(
                "there is no line for the end of a topic: {} left out, and who plays the export keeps these topics",
                if self.ends == 1 { "1 is".into() } else { format!("{} are", self.ends) }
            ));
        }
        if self.unreadable > 0 {
            say::complaint(&format!(
                "{} of a checkpoint could not be read",
                counted(self.unreadable, "retained update")
            ));
        }
    }
}

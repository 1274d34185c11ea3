//! The metrics of the journal.

use broker_engine::Engine;
use broker_journal::{Status, get};
use prometheus::proto::MetricFamily;

use super::family::{counter, gauge, seconds_counter};
use crate::journal::Journal;

/// Returns all of them but the histogram, which the shards count.
pub(super) fn families(journal: &Journal, engine: &Engine) -> Vec<MetricFamily> {
    let status = journal.status();
    let mut families = reading(status);
    families.extend(log(status));
    families.extend(queue(status, engine));
    families.extend(checkpoints(status));
    #[cfg(feature = "nats")]
    families.extend(journal.nats_status().into_iter().flat_map(|nats| super::nats::families(status, nats)));
    families
}

/// The start.
fn reading(status: &Status) -> Vec<MetricFamily> {
    vec![
        flag("tickcast_journal_reading", "Whether the journal is being read: nobody is served yet.", !status.is_read()),
        gauge(
            "tickcast_journal_read_ratio",
            "How much of the log after the checkpoint has been read at the start, from 0 to 1.",
            status.read_ratio(),
        ),
        gauge(
            "tickcast_journal_restored_topics",
            "Topics that came from a checkpoint at the start.",
            get(&status.topics_restored) as f64,
        ),
    ]
}

fn log(status: &Status) -> Vec<MetricFamily> {
    vec![
        flag(
            "tickcast_journal_failed",
            "Whether the log cannot be written: publishes are refused.",
            status.failed().is_some(),
        ),
        gauge(
            "tickcast_journal_position",
            "The last record of the log that was applied.",
            get(&status.position) as f64,
        ),
        gauge("tickcast_journal_log_bytes", "Records that are on disk.", get(&status.log_bytes) as f64),
        gauge("tickcast_journal_log_bytes_max", "The most of them.", get(&status.log_bytes_max) as f64),
        counter("tickcast_journal_records_total", "Records that were written.", get(&status.records)),
        counter("tickcast_journal_written_bytes_total", "Bytes of these.", get(&status.written_bytes)),
        counter("tickcast_journal_syncs_total", "Syncs of the log.", get(&status.syncs)),
        seconds_counter(
            "tickcast_journal_sync_seconds_total",
            "Time that they took.",
            get(&status.sync_us) as f64 / 1e6,
        ),
        counter(
            "tickcast_journal_failures_total",
            "Times that writing, syncing or a checkpoint failed.",
            get(&status.failures),
        ),
    ]
}

fn queue(status: &Status, engine: &Engine) -> Vec<MetricFamily> {
    let (bytes, bytes_max) = engine.journal().map_or((0, 0), |journal| {
        let gathering = journal.gathering();
        (gathering.bytes(), gathering.bytes_max())
    });
    vec![
        gauge("tickcast_journal_queue_bytes", "Publishes that wait for the log.", bytes as f64),
        gauge("tickcast_journal_queue_bytes_max", "Publishers wait at this many of them.", bytes_max as f64),
        counter(
            "tickcast_journal_unavailable_total",
            "Commands that waited when the log could not be written, and were answered with unavailable.",
            get(&status.unavailable),
        ),
    ]
}

fn checkpoints(status: &Status) -> Vec<MetricFamily> {
    vec![
        flag(
            "tickcast_journal_checkpoint_failed",
            "Whether the last checkpoint could not be written: the log grows until one is.",
            status.checkpoint_failed(),
        ),
        gauge(
            "tickcast_journal_checkpoint_timestamp_seconds",
            "When the newest checkpoint was begun, since the UNIX epoch; 0 if there is none.",
            get(&status.checkpoint_us) as f64 / 1e6,
        ),
        gauge("tickcast_journal_checkpoint_bytes", "Its size.", get(&status.checkpoint_bytes) as f64),
        counter("tickcast_journal_checkpoints_total", "Checkpoints that were completed.", get(&status.checkpoints)),
    ]
}

pub(super) fn flag(name: &str, help: &str, is: bool) -> MetricFamily {
    gauge(name, help, f64::from(u8::from(is)))
}

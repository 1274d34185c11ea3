//! The metrics of the journal.

use broker_engine::Engine;
use broker_journal::{Status, get};
use prometheus::proto::MetricFamily;

use super::family::{counter, gauge, seconds_counter};

/// Returns all of them.
pub(super) fn families(status: &Status, engine: &Engine) -> Vec<MetricFamily> {
    let waiting = engine.journal().map_or(0, |journal| journal.gathering().bytes());
    let failed = f64::from(u8::from(status.failed().is_some()));
    vec![
        gauge("tickcast_journal_failed", "Whether the log cannot be written: publishes are refused.", failed),
        gauge(
            "tickcast_journal_position",
            "The last record of the log that was applied.",
            get(&status.position) as f64,
        ),
        gauge("tickcast_journal_queue_bytes", "Publishes that wait for the log.", waiting as f64),
        gauge("tickcast_journal_log_bytes", "Records that are on disk.", get(&status.log_bytes) as f64),
        gauge(
            "tickcast_journal_checkpoint_timestamp_seconds",
            "When the newest checkpoint was begun, since the UNIX epoch; 0 if there is none.",
            get(&status.checkpoint_us) as f64 / 1e6,
        ),
        gauge("tickcast_journal_checkpoint_bytes", "Its size.", get(&status.checkpoint_bytes) as f64),
        counter("tickcast_journal_records_total", "Records that were written.", get(&status.records)),
        counter("tickcast_journal_written_bytes_total", "Bytes of these.", get(&status.written_bytes)),
        counter("tickcast_journal_syncs_total", "Syncs of the log.", get(&status.syncs)),
        seconds_counter(
            "tickcast_journal_sync_seconds_total",
            "Time that they took.",
            get(&status.sync_us) as f64 / 1e6,
        ),
        counter("tickcast_journal_checkpoints_total", "Checkpoints that were completed.", get(&status.checkpoints)),
        counter(
            "tickcast_journal_failures_total",
            "Times that writing, syncing or a checkpoint failed.",
            get(&status.failures),
        ),
        counter(
            "tickcast_journal_unavailable_total",
            "Commands that were answered with unavailable because the log could not be written.",
            get(&status.unavailable),
        ),
    ]
}

//! The metrics of a journal in NATS.

use broker_engine::log::Dropped;
use broker_journal::nats::NatsStatus;
use broker_journal::{Status, get};
use broker_protocol::codes::ErrorCode;
use prometheus::proto::MetricFamily;

use super::family::{counter, gauge, labelled_counter};
use super::journal::flag;

/// Returns all of them.
pub(super) fn families(status: &Status, nats: &NatsStatus) -> Vec<MetricFamily> {
    let lag = get(&nats.log_end).saturating_sub(get(&status.position));
    let dropped = Dropped::ALL.iter().zip(&nats.dropped).map(|(reason, count)| (reason.as_str(), get(count) as f64));
    let refused = ErrorCode::ALL.iter().zip(&nats.inbound_refused).map(|(code, count)| (code.as_str(), get(count)));
    let taken = [("published", get(&nats.inbound_taken)), ("duplicate", get(&nats.inbound_duplicates))];
    // Those that have never come are many, and most of them never do.
    let inbound = taken.into_iter().chain(refused.filter(|(_, count)| *count > 0));
    let inbound = inbound.map(|(result, count)| (result, count as f64));
    vec![
        flag("tickcast_journal_connected", "Whether the connections to NATS stand.", nats.is_connected()),
        flag(
            "tickcast_journal_stale",
            "Whether nothing has come from the log for so long that clients are told.",
            nats.stale().borrow().is_some(),
        ),
        gauge(
            "tickcast_journal_silent_seconds",
            "How long nothing has come from the log.",
            get(&nats.silent_ms) as f64 / 1e3,
        ),
        gauge(
            "tickcast_journal_lag_records",
            "Records that the log is known to have and that are not applied.",
            lag as f64,
        ),
        flag(
            "tickcast_journal_settings_differ",
            "Whether this broker's settings differ from those of the log, which count.",
            nats.settings_differ(),
        ),
        flag(
            "tickcast_journal_in_doubt",
            "Whether this broker has come to something else than others, which are not fewer than those that agree with it.",
            nats.is_in_doubt(),
        ),
        counter(
            "tickcast_journal_differing_total",
            "Digests of other brokers that differ from this one's.",
            get(&nats.differing),
        ),
        labelled_counter(
            "tickcast_journal_in_total",
            "What programs have published to the log themselves, by what came of it.",
            "result",
            inbound,
        ),
        counter("tickcast_journal_resent_total", "Records that were sent to NATS again.", get(&nats.resent)),
        labelled_counter(
            "tickcast_journal_dropped_total",
            "Records of the log that do not count, on any broker: they were repeated, or came too late.",
            "reason",
            dropped,
        ),
    ]
}

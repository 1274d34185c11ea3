//! The metrics of TLS. A broker without it has none of them.

use prometheus::proto::MetricFamily;

use super::family::{counter_by, gauge, histogram, labelled_gauge};
use crate::tls::Tls;

/// Returns the metrics.
pub(super) fn families(tls: &Tls) -> [MetricFamily; 5] {
    let counters = tls.counters();
    let handshakes = counters.handshakes().map(|(done, count)| ([done.version, done.kind, done.result], count as f64));
    let (counts, sum) = counters.handshake_us.read();
    let expiries = tls.expiries();
    [
        counter_by(
            "tickcast_tls_handshakes_total",
            "TLS handshakes by how they ended.",
            ["version", "kind", "result"],
            handshakes,
        ),
        histogram(
            "tickcast_tls_handshake_seconds",
            "Duration of a TLS handshake that succeeded, from its turn on.",
            1e6,
            &counts,
            sum,
        ),
        labelled_gauge(
            "tickcast_tls_certificate_expires_timestamp_seconds",
            "When a certificate in force expires, since the UNIX epoch.",
            "name",
            expiries.iter().map(|(name, expires)| (name.as_str(), *expires)),
        ),
        gauge(
            "tickcast_tls_reload_failed",
            "1 if the certificate files have changed, and cannot be used as they are now.",
            f64::from(u8::from(counters.reload_failed())),
        ),
        gauge(
            "tickcast_tls_held_bytes",
            "Ciphertext that is held: incomplete records, and what sockets did not take.",
            counters.held_bytes() as f64,
        ),
    ]
}

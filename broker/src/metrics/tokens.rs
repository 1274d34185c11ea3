//! The metrics of tokens.

use prometheus::proto::MetricFamily;

use super::family::{counter, gauge, labelled_counter, labelled_gauge};
use crate::tokens::Tokens;

/// Returns all of them.
pub(super) fn families(tokens: &Tokens) -> [MetricFamily; 7] {
    let (counts, state) = (tokens.counts(), tokens.state());
    let failed = |failed: bool| f64::from(u8::from(failed));
    [
        counter("tickcast_tokens_taken_total", "Tokens that were taken.", counts.taken()),
        labelled_counter(
            "tickcast_tokens_refused_total",
            "Tokens that were refused, by reason.",
            "reason",
            counts.refused().map(|(reason, count)| (reason, count as f64)),
        ),
        counter(
            "tickcast_token_roles_unknown_total",
            "Roles that tokens named and that do not exist.",
            counts.unknown_roles(),
        ),
        gauge("tickcast_token_keys", "Keys that verify tokens.", state.keys as f64),
        gauge("tickcast_token_revocations", "Entries of token_revoked_file that count.", state.revoked as f64),
        labelled_gauge(
            "tickcast_token_source_failed",
            "Whether the last look at a source of keys or revocations failed: what it said before counts.",
            "source",
            [
                ("jwks_url", failed(state.fetch_failed)),
                ("key_file", failed(state.keys_failed)),
                ("revoked_file", failed(state.revoked_failed)),
            ],
        ),
        labelled_counter(
            "tickcast_jwks_fetches_total",
            "Fetches of token_jwks_url, by result.",
            "result",
            counts.fetches().map(|(result, count)| (result, count as f64)),
        ),
    ]
}

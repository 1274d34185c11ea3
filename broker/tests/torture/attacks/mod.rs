//! The attacks, one file for each family.

mod backlog;
mod batch_publishers;
mod bodies;
mod churn;
mod deleted_topics;
mod exhaustion;
mod ghost_topics;
mod half_written;
mod handshakes;
mod leaving;
mod listings;
mod names;
mod patterns;
mod resting_streams;
mod slow_history;
mod slow_readers;
mod sources;
mod stalled_wildcards;
mod tls;
mod tokens;
mod unread;
mod worst_mix;

use crate::attack::Attack;

/// All attacks, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Attack> {
    let families = [
        patterns::ATTACKS,
        listings::ATTACKS,
        stalled_wildcards::ATTACKS,
        half_written::ATTACKS,
        deleted_topics::ATTACKS,
        bodies::ATTACKS,
        batch_publishers::ATTACKS,
        backlog::ATTACKS,
        churn::ATTACKS,
        exhaustion::ATTACKS,
        handshakes::ATTACKS,
        ghost_topics::ATTACKS,
        slow_history::ATTACKS,
        leaving::ATTACKS,
        names::ATTACKS,
        sources::ATTACKS,
        unread::ATTACKS,
        resting_streams::ATTACKS,
        slow_readers::ATTACKS,
        tokens::ATTACKS,
        tls::ATTACKS,
        worst_mix::ATTACKS,
    ];
    families.into_iter().flatten()
}

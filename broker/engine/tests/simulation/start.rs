//! How a subscription begins: the word in the answer, and what must follow it. PROTOCOL §3 and §4.

use super::model::Epoch;
use super::stream::Expect;
use super::subscriptions::From;

/// How a subscription that does not resume begins, at `seq` of an incarnation: the word, and what must follow.
pub fn start(epoch: &Epoch, seq: u64, oldest: u64, from: From, conflate_ms: u64) -> (&'static str, Expect) {
    match from {
        _ if conflate_ms > 0 && epoch.has_image() => ("image", Expect::Image(seq)),
        From::Image if epoch.has_image() => ("image", Expect::Image(seq)),
        From::Image | From::Live => ("live", Expect::Next(seq + 1)),
        From::Last(_) if epoch.has_patches(seq) => ("image", Expect::Image(seq)),
        From::Last(updates) => match oldest.max((seq + 1).saturating_sub(updates)) {
            first if first > seq => ("live", Expect::Next(seq + 1)),
            first => ("history", Expect::Next(first)),
        },
    }
}

/// How an entry that resumes after `has` in the given epoch begins, at `seq` of an incarnation.
pub fn resume(
    held: &Epoch,
    seq: u64,
    oldest: u64,
    (epoch, has): (&str, u64),
    conflate_ms: u64,
) -> (&'static str, Expect) {
    let image = held.has_image();
    let reset = |first| ("reset", if image { Expect::Image(seq) } else { Expect::Next(first) });
    match has {
        _ if epoch != held.name => reset(1),
        _ if conflate_ms > 0 && image => ("image", Expect::Image(seq)),
        _ if has > seq => reset(1),
        _ if has < seq && has + 1 < oldest => reset(has + 1),
        _ => ("resumed", Expect::Next(has + 1)),
    }
}

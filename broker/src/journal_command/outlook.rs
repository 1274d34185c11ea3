//! How the last run ended, and what the next start makes of it.

use broker_journal::LastEnd;
use broker_journal::local::{Checked, Served};

/// The name of an end, for programs.
pub(super) fn name(end: LastEnd) -> &'static str {
    match end {
        LastEnd::New => "new",
        LastEnd::Clean => "clean",
        LastEnd::Killed => "killed",
        LastEnd::PowerLost => "power_lost",
        LastEnd::Damaged => "damaged",
    }
}

/// How the last run ended.
pub(super) fn last_run(end: LastEnd) -> &'static str {
    match end {
        LastEnd::New => "there was none",
        LastEnd::Clean => "it was stopped: everything that was published is there",
        LastEnd::Killed => "it was killed: everything that it answered or delivered is there",
        LastEnd::PowerLost => {
            "the machine stopped before the log was synced: updates that clients have seen last may be missing"
        }
        LastEnd::Damaged => "records at the end are missing or damaged, and no crash explains that",
    }
}

/// Whether the next start begins a new generation.
pub(super) fn begins_generation(end: LastEnd) -> bool {
    matches!(end, LastEnd::PowerLost | LastEnd::Damaged)
}

/// The checkpoint that the next start uses.
pub(super) fn used(checkpoints: &[Checked]) -> Option<&Checked> {
    checkpoints.iter().find(|checkpoint| checkpoint.summary.is_ok() && checkpoint.fits)
}

/// How much is served.
pub(super) fn served(served: Served) -> String {
    format!("{} with {}", counted(served.topics, "topic"), counted(served.updates, "retained update"))
}

/// A number of things.
pub(super) fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

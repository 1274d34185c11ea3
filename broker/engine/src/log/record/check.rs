//! What a command must keep to, whether it is read or written: a command that only its writer accepts would stop every
//! broker that reads it.

use broker_protocol::request::ID_BYTES_MAX;
use broker_protocol::topic::check_topic;

use super::entry::{Entry, Settings};
use super::error::Flaw;
use super::{EPOCH_BYTES_MAX, EXACT_MAX, NAME_BYTES_MAX, RULES_MAX};

/// Checks a command of record `number` of a session, except for its `data`, which is checked by its type.
pub(super) fn entry(entry: &Entry<'_>, session: u64, number: u64) -> Result<(), Flaw> {
    match entry {
        Entry::Publish { topic, source, source_ts, .. } => publish(topic, *source, *source_ts),
        Entry::End { topic, only } => {
            check_topic(topic).map_err(Flaw::Topic)?;
            let Some((epoch, seq)) = only else { return Ok(()) };
            name("the epoch", epoch, EPOCH_BYTES_MAX)?;
            exact("seq", *seq)
        }
        Entry::Open { node, session: opened } => {
            if *opened != session || number != 0 {
                return Err(Flaw::MisplacedOpen { opened: *opened, session, number });
            }
            check_node(node)
        }
        Entry::Beat { node, .. } | Entry::CheckpointBegins { node } => check_node(node),
        Entry::Checkpoint { object, .. } => name("the checkpoint's object", object, NAME_BYTES_MAX),
        Entry::Generation { .. } | Entry::Barrier => Ok(()),
        Entry::Settings(settings) => rules(settings),
    }
}

/// Checks an update, except for its `data`.
pub(super) fn publish(topic: &str, source: Option<(&str, u64)>, source_ts: Option<u64>) -> Result<(), Flaw> {
    check_topic(topic).map_err(Flaw::Topic)?;
    if let Some((source, source_seq)) = source {
        if source.len() > ID_BYTES_MAX {
            return Err(Flaw::Source { bytes: source.len() });
        }
        exact("source_seq", source_seq)?;
    }
    source_ts.map_or(Ok(()), |source_ts| exact("source_ts", source_ts))
}

/// Checks the name of a broker.
pub(in crate::log) fn check_node(node: &str) -> Result<(), Flaw> {
    name("the broker's name", node, NAME_BYTES_MAX)
}

/// Checks a number that has to fit into JSON exactly.
pub(super) fn exact(field: &'static str, value: u64) -> Result<(), Flaw> {
    if value > EXACT_MAX { Err(Flaw::TooLarge { field, value }) } else { Ok(()) }
}

fn rules(settings: &Settings) -> Result<(), Flaw> {
    let count = settings.rules.len();
    if count > RULES_MAX { Err(too_many_rules(count as u64)) } else { Ok(()) }
}

pub(super) fn too_many_rules(count: u64) -> Flaw {
    Flaw::TooMany { what: "rules", count, max: RULES_MAX }
}

/// Checks a name that may become that of a file, a subject or a metric's label.
fn name(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Flaw> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let valid = !text.is_empty() && text.len() <= bytes_max && !text.starts_with('.') && text.bytes().all(allowed);
    if valid { Ok(()) } else { Err(Flaw::Name { field, bytes_max }) }
}

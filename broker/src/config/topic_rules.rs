//! `[[topics]]`: settings for the topics that a pattern matches.

use broker_protocol::{kind::Kind, pattern::Pattern};

use super::problem::Problem;
use super::raw::Raw;
use super::settings::SETTINGS;
use super::table::{self, Reader};

/// Settings for some topics. `None` means as for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// A pattern, or the full name of one topic.
    pub pattern: Pattern,
    /// The kind of these topics, whatever their first publish says.
    pub kind: Option<Kind>,
    /// Updates kept of each topic.
    pub retain_updates: Option<u64>,
    /// Bytes of updates kept of each topic.
    pub retain_bytes: Option<u64>,
    /// Age at which a kept update is dropped, in milliseconds; 0 is never.
    pub retain_ms: Option<u64>,
}

/// Reads the rules, in the file's order. Returns `None` if one was wrong.
pub(super) fn read(raw: &Raw, problems: &mut Vec<Problem>) -> Option<Vec<TopicRule>> {
    table::read("topics", &raw.topics, problems, rule)
}

fn rule(reader: &mut Reader<'_>) -> Option<TopicRule> {
    reader.known(&["pattern", "kind", "retain_updates", "retain_bytes", "retain_ms"]);
    // All are read before giving up, so that every problem is reported.
    let pattern = pattern(reader);
    let kind = kind(reader);
    let [retain_updates, retain_bytes, retain_ms] =
        ["retain_updates", "retain_bytes", "retain_ms"].map(|name| number(reader, name));
    Some(TopicRule {
        pattern: pattern?,
        kind: kind?,
        retain_updates: retain_updates?,
        retain_bytes: retain_bytes?,
        retain_ms: retain_ms?,
    })
}

fn pattern(reader: &mut Reader<'_>) -> Option<Pattern> {
    match Pattern::parse(reader.text("pattern")) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader.bad("pattern", format!("a topic or a pattern ({error})"));
            None
        }
    }
}

fn kind(reader: &mut Reader<'_>) -> Option<Option<Kind>> {
    if !reader.has("kind") {
        return Some(None);
    }
    let kind = Kind::parse(reader.text("kind"));
    if kind.is_none() {
        reader.bad("kind", "event, state or patch".into());
    }
    kind.map(Some)
}

/// Reads a number within the bounds of the setting of the same name.
fn number(reader: &mut Reader<'_>, name: &str) -> Option<Option<u64>> {
    let allowed = SETTINGS.iter().find(|setting| setting.name == name)?.allowed;
    reader.number(name, allowed)
}

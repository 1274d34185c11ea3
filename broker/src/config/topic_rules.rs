//! `[[topics]]`: settings for the topics that a pattern matches.

use broker_protocol::{kind::Kind, pattern::Pattern};

use super::problem::Problem;
use super::raw::{Raw, Source};
use super::settings::SETTINGS;
use super::value::Value;

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
    let Some((path, value)) = &raw.topics else { return Some(Vec::new()) };
    let tables: Option<Vec<&toml::Table>> =
        value.as_array().and_then(|items| items.iter().map(toml::Value::as_table).collect());
    let Some(tables) = tables else {
        problems.push(Problem::Sentence(format!("topics (from file {}): expected [[topics]] tables", path.display())));
        return None;
    };
    let mut rules = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let mut reader = Reader { table, index, source: Source::File(path.clone()), problems };
        rules.push(reader.rule());
    }
    rules.into_iter().collect()
}

struct Reader<'a> {
    table: &'a toml::Table,
    index: usize,
    source: Source,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn rule(&mut self) -> Option<TopicRule> {
        let known = ["pattern", "kind", "retain_updates", "retain_bytes", "retain_ms"];
        for key in self.table.keys().filter(|key| !known.contains(&key.as_str())) {
            let key = format!("topics[{}].{key}", self.index);
            self.problems.push(Problem::UnknownKey { key, source: self.source.clone() });
        }
        // All are read before giving up, so that every problem is reported.
        let pattern = self.pattern();
        let kind = self.kind();
        let [retain_updates, retain_bytes, retain_ms] =
            ["retain_updates", "retain_bytes", "retain_ms"].map(|name| self.number(name));
        Some(TopicRule {
            pattern: pattern?,
            kind: kind?,
            retain_updates: retain_updates?,
            retain_bytes: retain_bytes?,
            retain_ms: retain_ms?,
        })
    }

    fn pattern(&mut self) -> Option<Pattern> {
        let text = self.table.get("pattern").and_then(toml::Value::as_str).unwrap_or_default();
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.bad("pattern", format!("a topic or a pattern ({error})"));
                None
            }
        }
    }

    fn kind(&mut self) -> Option<Option<Kind>> {
        let Some(value) = self.table.get("kind") else { return Some(None) };
        let kind = value.as_str().and_then(Kind::parse);
        if kind.is_none() {
            self.bad("kind", "event, state or patch".into());
        }
        kind.map(Some)
    }

    /// Reads a number within the bounds of the setting of the same name.
    fn number(&mut self, name: &str) -> Option<Option<u64>> {
        let Some(value) = self.table.get(name) else { return Some(None) };
        let allowed = SETTINGS.iter().find(|setting| setting.name == name)?.allowed;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let number = u64::parse(&text, allowed);
        if number.is_none() {
            self.bad(name, u64::expected(allowed));
        }
        number.map(Some)
    }

    fn bad(&mut self, name: &str, expected: String) {
        let value = match self.table.get(name) {
            None => String::new(),
            Some(toml::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let setting = format!("topics[{}].{name}", self.index);
        self.problems.push(Problem::BadValue { setting, value, source: self.source.clone(), expected });
    }
}

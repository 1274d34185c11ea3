//! The tables of the file that may be given several times: `[[topics]]`, `[[roles]]`, `[[tokens]]`.

use std::path::PathBuf;

use super::problem::Problem;
use super::raw::Source;
use super::value::{Allowed, Value};

/// All tables of one name, and the file that they are from.
pub(super) type Tables = Option<(PathBuf, toml::Value)>;

/// Reads tables, in the file's order, by a function for one of them. Returns `None` if something was wrong.
pub(super) fn read<T>(
    name: &'static str,
    tables: &Tables,
    problems: &mut Vec<Problem>,
    one: impl Fn(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some((path, value)) = tables else { return Some(Vec::new()) };
    let found: Option<Vec<&toml::Table>> =
        value.as_array().and_then(|items| items.iter().map(toml::Value::as_table).collect());
    let Some(found) = found else {
        let sentence = format!("{name} (from file {}): expected [[{name}]] tables", path.display());
        problems.push(Problem::Sentence(sentence));
        return None;
    };
    let before = problems.len();
    let mut all = Vec::new();
    for (index, table) in found.into_iter().enumerate() {
        all.push(one(&mut Reader { name, table, index, source: Source::File(path.clone()), problems }));
    }
    // An unknown key leaves the table readable.
    if problems.len() > before { None } else { all.into_iter().collect() }
}

/// One table.
pub(super) struct Reader<'a> {
    name: &'static str,
    table: &'a toml::Table,
    index: usize,
    source: Source,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Reports the keys that are none of these.
    pub(super) fn known(&mut self, known: &[&str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.as_str())) {
            let key = self.key(key);
            self.problems.push(Problem::UnknownKey { key, source: self.source.clone() });
        }
    }

    /// Whether a key is given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A string; empty if it is absent or something else.
    pub(super) fn text(&self, key: &str) -> &str {
        self.table.get(key).and_then(toml::Value::as_str).unwrap_or_default()
    }

    /// A string that has to be there.
    pub(super) fn needed(&mut self, key: &str) -> Option<String> {
        let text = self.text(key).to_owned();
        if text.is_empty() {
            self.bad(key, "a string".into());
        }
        (!text.is_empty()).then_some(text)
    }

    /// A number within bounds, or none.
    pub(super) fn number(&mut self, key: &str, allowed: Allowed) -> Option<Option<u64>> {
        let Some(value) = self.table.get(key) else { return Some(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let number = u64::parse(&text, allowed);
        if number.is_none() {
            self.bad(key, u64::expected(allowed));
        }
        number.map(Some)
    }

    /// `true` or `false`, which it is if it is absent.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let flag = self.table.get(key).map_or(Some(false), toml::Value::as_bool);
        if flag.is_none() {
            self.bad(key, "true or false".into());
        }
        flag
    }

    /// A list of strings, each of which is converted, or else what is expected. The list is empty if it is absent.
    pub(super) fn list<T>(&mut self, key: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let Some(value) = self.table.get(key) else { return Some(Vec::new()) };
        let texts: Option<Vec<&str>> =
            value.as_array().and_then(|items| items.iter().map(toml::Value::as_str).collect());
        let Some(texts) = texts else {
            self.bad(key, "a list of strings".into());
            return None;
        };
        let mut all = Vec::new();
        for text in texts {
            match convert(text) {
                Ok(one) => all.push(one),
                Err(expected) => self.bad_value(key, text.to_owned(), expected),
            }
        }
        Some(all)
    }

    /// Reports a value.
    pub(super) fn bad(&mut self, key: &str, expected: String) {
        let value = match self.table.get(key) {
            None => String::new(),
            Some(toml::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        self.bad_value(key, value, expected);
    }

    /// Reports a value that may be a secret, which no message may repeat.
    pub(super) fn bad_secret(&mut self, key: &str, expected: String) {
        let value = if self.has(key) { "(not shown)" } else { "" };
        self.bad_value(key, value.into(), expected);
    }

    fn bad_value(&mut self, key: &str, value: String, expected: String) {
        let setting = self.key(key);
        self.problems.push(Problem::BadValue { setting, value, source: self.source.clone(), expected });
    }

    /// A key with its table: `roles["trader"].sub` or, as long as that has no name, `roles[0].sub`.
    fn key(&self, key: &str) -> String {
        match self.text("name") {
            "" => format!("{}[{}].{key}", self.name, self.index),
            name => format!("{}[{name:?}].{key}", self.name),
        }
    }
}

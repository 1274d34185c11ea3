//! A table of a mapping file that is read key by key, so that every error names the key and what is allowed there.

use toml::{Table, Value};

/// A table, and its path for errors.
pub(super) struct Section<'a> {
    table: &'a Table,
    /// The path, such as `time.`; empty at the top.
    prefix: String,
}

impl<'a> Section<'a> {
    pub(super) fn top(table: &'a Table) -> Self {
        Section { table, prefix: String::new() }
    }

    /// Checks that there are no other keys: a misspelt key would be ignored without an error.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), String> {
        match self.table.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(format!("there is no key {}{key}; the keys are {}", self.prefix, allowed.join(", "))),
            None => Ok(()),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.table.keys().map(String::as_str)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key)
    }

    pub(super) fn is_table(&self, key: &str) -> bool {
        self.value(key).is_some_and(Value::is_table)
    }

    pub(super) fn section(&self, key: &str) -> Result<Option<Section<'a>>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(Section { table, prefix: format!("{}{key}.", self.prefix) })),
            Some(other) => Err(format!("{}{key} must be a table, not {}", self.prefix, with_article(other))),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{}{key} must be a string, not {}", self.prefix, with_article(other))),
        }
    }

    /// Returns the text of a key; `what` describes it in the error if it is missing.
    pub(super) fn required_text(&self, key: &str, what: &str) -> Result<&'a str, String> {
        self.text(key)?.ok_or_else(|| format!("{}{key} is missing: {what}", self.prefix))
    }

    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => Err(format!("{}{key}: {text:?} is not one of {}", self.prefix, names(choices))),
        }
    }

    pub(super) fn required_choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, String> {
        self.choice(key, choices)?.ok_or_else(|| format!("{}{key} is missing: one of {}", self.prefix, names(choices)))
    }
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn with_article(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

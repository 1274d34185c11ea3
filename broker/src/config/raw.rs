//! What the operator typed: texts, each with where it came from, nothing checked but the names.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::settings::SETTINGS;
use super::value::{Allowed, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The TOML file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "from file {}", path.display()),
            Source::Environment(variable) => write!(f, "from environment {variable}"),
            Source::Flag(flag) => write!(f, "from flag --{flag}"),
        }
    }
}

struct Given {
    text: String,
    source: Source,
}

/// Everything that was typed. Per setting the texts stand from the weakest source to the strongest.
#[derive(Default)]
pub struct Raw {
    given: BTreeMap<&'static str, Vec<Given>>,
    /// The file and its `[[topics]]` tables.
    pub(super) topics: Option<(PathBuf, toml::Value)>,
}

impl Raw {
    /// Takes in a TOML file; call it first, files are the weakest.
    pub(super) fn add_file(&mut self, path: &Path, text: &str, problems: &mut Vec<Problem>) {
        let source = Source::File(path.to_owned());
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                return problems.push(Problem::Sentence(format!("{} is not TOML: {error}", path.display())));
            }
        };
        for (key, value) in table {
            if key == "topics" {
                self.topics = Some((path.to_owned(), value));
            } else if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == key) {
                match plain_text(&value, setting.list) {
                    Some(text) => self.push(setting.name, text, source.clone()),
                    None => problems.push(Problem::BadValue {
                        setting: key,
                        value: value.to_string(),
                        source: source.clone(),
                        expected: if setting.list { "a list of strings" } else { "a single value" }.into(),
                    }),
                }
            } else {
                problems.push(Problem::UnknownKey { key, source: source.clone() });
            }
        }
    }

    /// Takes in the environment. An empty variable counts as absent. Comes back with the names under `TICKCAST_` that say
    /// nothing to us: a warning and not an error, because Kubernetes sets such variables for every service of that name.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Vec<Problem>,
    ) -> Vec<String> {
        let mut strange = Vec::new();
        for (variable, value) in variables {
            let Some(name) = variable.to_str().and_then(|variable| variable.strip_prefix("TICKCAST_")) else {
                continue;
            };
            let source = Source::Environment(format!("TICKCAST_{name}"));
            match SETTINGS.iter().find(|setting| setting.name.to_ascii_uppercase() == name) {
                Some(_) if value.is_empty() => {}
                Some(setting) => self.push_os(setting.name, &value, source, problems),
                None if name == "CONFIG" || name.starts_with("SERVICE_") || name.starts_with("PORT") => {}
                None => strange.push(format!("TICKCAST_{name}")),
            }
        }
        strange
    }

    /// Takes in a flag; call it last, flags are the strongest.
    pub(super) fn add_flag(&mut self, name: &'static str, value: &OsStr, problems: &mut Vec<Problem>) {
        self.push_os(name, value, Source::Flag(name.replace('_', "-")), problems);
    }

    /// Who has the last word on a setting.
    pub fn source(&self, name: &str) -> Source {
        self.given.get(name).and_then(|given| given.last()).map_or(Source::Default, |given| given.source.clone())
    }

    /// The value of one setting. Overruled texts are checked as well: who removes the stronger one is not surprised.
    pub(super) fn read<T: Value>(
        &self,
        name: &'static str,
        default: &'static str,
        allowed: Allowed,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let mut value = T::parse(default, allowed);
        for given in self.given.get(name).into_iter().flatten() {
            value = T::parse(given.text.trim(), allowed);
            if value.is_none() {
                let hint = T::hint(given.text.trim()).map(|hint| format!("; {hint}")).unwrap_or_default();
                problems.push(Problem::BadValue {
                    setting: name.into(),
                    value: given.text.clone(),
                    source: given.source.clone(),
                    expected: T::expected(allowed) + &hint,
                });
            }
        }
        value
    }

    fn push(&mut self, name: &'static str, text: String, source: Source) {
        self.given.entry(name).or_default().push(Given { text, source });
    }

    fn push_os(&mut self, name: &'static str, value: &OsStr, source: Source, problems: &mut Vec<Problem>) {
        match value.to_str() {
            Some(text) => self.push(name, text.to_owned(), source),
            None => problems.push(Problem::BadValue {
                setting: name.into(),
                value: value.to_string_lossy().into_owned(),
                source,
                expected: "UTF-8".into(),
            }),
        }
    }
}

/// A TOML value as one would type it after a flag.
fn plain_text(value: &toml::Value, list: bool) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Array(items) if list => {
            items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        _ => None,
    }
}

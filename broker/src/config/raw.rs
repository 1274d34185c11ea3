//! The operator's input: texts, each with its source. Only the names are checked.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::settings::SETTINGS;
use super::table::Tables;
use super::value::{Allowed, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was not given.
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

/// All values that were given. The texts of a setting are in order from the weakest source to the strongest.
#[derive(Default)]
pub struct Raw {
    given: BTreeMap<&'static str, Vec<Given>>,
    /// The file's `[[topics]]` tables.
    pub(super) topics: Tables,
    /// Its `[[roles]]` tables.
    pub(super) roles: Tables,
    /// Its `[[tokens]]` tables.
    pub(super) tokens: Tables,
}

impl Raw {
    /// Adds the values of a TOML file. Call it first: the file is the weakest source.
    pub(super) fn add_file(&mut self, path: &Path, text: &str, problems: &mut Vec<Problem>) {
        let source = Source::File(path.to_owned());
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                return problems.push(Problem::Sentence(format!("{} is not TOML: {error}", path.display())));
            }
        };
        for (key, value) in table {
            let tables = match key.as_str() {
                "topics" => Some(&mut self.topics),
                "roles" => Some(&mut self.roles),
                "tokens" => Some(&mut self.tokens),
                _ => None,
            };
            if let Some(tables) = tables {
                *tables = Some((path.to_owned(), value));
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

    /// Adds the values of the environment. An empty variable counts as absent. Returns the unknown names that begin
    /// with `TICKCAST_`: they are a warning and not an error, because Kubernetes sets such variables for every service
    /// called `tickcast`.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Vec<Problem>,
    ) -> Vec<String> {
        let mut unknown = Vec::new();
        for (variable, value) in variables {
            let Some(name) = variable.to_str().and_then(|variable| variable.strip_prefix("TICKCAST_")) else {
                continue;
            };
            let source = Source::Environment(format!("TICKCAST_{name}"));
            match SETTINGS.iter().find(|setting| setting.name.to_ascii_uppercase() == name) {
                Some(_) if value.is_empty() => {}
                Some(setting) => self.push_os(setting.name, &value, source, problems),
                None if name == "CONFIG" || name.starts_with("SERVICE_") || name.starts_with("PORT") => {}
                None => unknown.push(format!("TICKCAST_{name}")),
            }
        }
        unknown
    }

    /// Adds a flag. Call it last: flags are the strongest source.
    pub(super) fn add_flag(&mut self, name: &'static str, value: &OsStr, problems: &mut Vec<Problem>) {
        self.push_os(name, value, Source::Flag(name.replace('_', "-")), problems);
    }

    /// The source of the value of a setting that counts.
    pub fn source(&self, name: &str) -> Source {
        self.given.get(name).and_then(|given| given.last()).map_or(Source::Default, |given| given.source.clone())
    }

    /// Reads the value of one setting. Overridden texts are checked as well, so that removing the stronger one brings
    /// no surprise.
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
                    value: if T::SECRET { "(not shown)".into() } else { given.text.clone() },
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

/// A TOML value as an operator would type it after a flag.
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

//! Configuration errors. Every problem names the setting, the value, its source and what is allowed.

use std::fmt;

use super::raw::Source;

/// One error in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A value that cannot be read, or is outside its range.
    BadValue {
        /// The setting's name.
        setting: String,
        /// The value, as it was typed.
        value: String,
        /// Where it was given.
        source: Source,
        /// What would be valid, with its range and unit.
        expected: String,
    },
    /// A key in the file that is not a setting.
    UnknownKey {
        /// The key as it is in the file.
        key: String,
        /// The file.
        source: Source,
    },
    /// Values that are valid alone and contradict each other, or a file that cannot be read: a sentence.
    Sentence(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::BadValue { setting, value, source, expected } => {
                write!(f, "{setting} = {value:?} ({source}): expected {expected}")
            }
            Problem::UnknownKey { key, source } => {
                write!(f, "{key} ({source}): there is no such setting; `tickcast config` prints them all")
            }
            Problem::Sentence(sentence) => f.write_str(sentence),
        }
    }
}

/// All errors in a configuration, so that an operator can mend them in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

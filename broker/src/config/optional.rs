//! Settings that may be absent, and settings that are paths. An empty text is an absent value.

use std::path::PathBuf;

use super::value::{Allowed, Value, list, parts};

impl<T: Value> Value for Option<T> {
    fn parse(text: &str, allowed: Allowed) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text, allowed).map(Some) }
    }

    fn expected(allowed: Allowed) -> String {
        T::expected(allowed)
    }

    fn hint(text: &str) -> Option<String> {
        T::hint(text)
    }

    fn toml(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".into(), T::toml)
    }
}

impl Value for PathBuf {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn expected(_: Allowed) -> String {
        "the path of a file".into()
    }

    fn toml(&self) -> String {
        toml::Value::String(self.display().to_string()).to_string()
    }
}

impl Value for Vec<PathBuf> {
    const LIST: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        Some(parts(text).map(PathBuf::from).collect())
    }

    fn expected(_: Allowed) -> String {
        "paths of files".into()
    }

    fn toml(&self) -> String {
        list(&self.iter().map(|path| path.display()).collect::<Vec<_>>())
    }
}

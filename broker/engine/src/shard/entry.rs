//! The entries of a subscribe request, checked one by one: an invalid one is answered with an error and does not affect
//! the others.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::SubscribeEntry;
use broker_protocol::topic::{check_topic, is_pattern};

use super::denied::Denied;
use super::permit::Readable;

/// What a text takes besides its bytes: the head of its allocation, and what that is rounded up to.
const TEXT_BYTES: usize = 24;
/// A name from a client is echoed up to this length: long enough to identify a name that is merely too long.
const ECHO_CHARS_MAX: usize = 1024;

/// One entry, checked.
#[derive(Debug)]
pub(super) enum CheckedEntry {
    Topic { name: Arc<str>, resume: Option<(Box<str>, u64)> },
    Pattern { pattern: Pattern, denied: Denied, matched: u64 },
    Bad { entry: Box<str>, code: ErrorCode, message: String },
}

impl CheckedEntry {
    /// Checks the form of an entry.
    pub(super) fn check(entry: &SubscribeEntry<'_>) -> CheckedEntry {
        match entry {
            SubscribeEntry::Bad { entry, refusal } => {
                CheckedEntry::Bad { entry: entry.as_str().into(), code: refusal.code, message: refusal.message.clone() }
            }
            SubscribeEntry::Plain(name) if is_pattern(name) => match Pattern::parse(name) {
                Ok(pattern) => CheckedEntry::Pattern { pattern, denied: Denied::default(), matched: 0 },
                Err(error) => bad(name, ErrorCode::BadPattern, &error),
            },
            SubscribeEntry::Plain(name) => match check_topic(name) {
                Ok(()) => CheckedEntry::Topic { name: name.as_ref().into(), resume: None },
                Err(error) => bad(name, ErrorCode::BadTopic, &error),
            },
            SubscribeEntry::Resume { topic, epoch, seq } => match check_topic(topic) {
                Ok(()) => {
                    CheckedEntry::Topic { name: topic.as_ref().into(), resume: Some((epoch.as_ref().into(), *seq)) }
                }
                Err(error) => bad(topic, ErrorCode::BadTopic, &error),
            },
        }
    }

    /// The bytes of its texts, each in an allocation of its own.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            CheckedEntry::Topic { name, resume } => {
                TEXT_BYTES + name.len() + resume.as_ref().map_or(0, |(epoch, _)| TEXT_BYTES + epoch.len())
            }
            CheckedEntry::Pattern { pattern, .. } => 2 * TEXT_BYTES + 2 * pattern.as_str().len(),
            CheckedEntry::Bad { entry, message, .. } => 2 * TEXT_BYTES + entry.len() + message.len(),
        }
    }

    /// Refuses the entry if the connection may not subscribe to it, and notes which topics of a pattern it is denied.
    pub(super) fn permit(&mut self, readable: &Readable) {
        let refusal = match self {
            CheckedEntry::Topic { name, .. } => readable.refuses_topic(name),
            CheckedEntry::Pattern { pattern, denied, .. } => {
                *denied = readable.denied(pattern);
                readable.refuses_pattern(pattern)
            }
            CheckedEntry::Bad { .. } => None,
        };
        if let (Some(refusal), Some(name)) = (refusal, self.name()) {
            *self = bad(name, ErrorCode::Forbidden, &refusal);
        }
    }

    /// The entry as it is answered: an invalid one may be shortened.
    pub(super) fn text(&self) -> &str {
        match self {
            CheckedEntry::Bad { entry, .. } => entry,
            CheckedEntry::Topic { name, .. } => name,
            CheckedEntry::Pattern { pattern, .. } => pattern.as_str(),
        }
    }

    /// The name or pattern; `None` if the entry is invalid.
    fn name(&self) -> Option<&str> {
        if matches!(self, CheckedEntry::Bad { .. }) { None } else { Some(self.text()) }
    }
}

fn bad(name: &str, code: ErrorCode, error: &dyn std::fmt::Display) -> CheckedEntry {
    let echo: String = name.chars().take(ECHO_CHARS_MAX).collect();
    CheckedEntry::Bad { entry: echo.into(), code, message: error.to_string() }
}

/// Keeps each name once, at its first position and with its last content: the last one counts in the end. A message
/// that repeats a short name ten thousand times would otherwise be counted and answered as often.
pub(super) fn once(entries: Vec<CheckedEntry>) -> Vec<CheckedEntry> {
    let mut indices: HashMap<Box<str>, usize> = HashMap::new();
    let mut kept: Vec<CheckedEntry> = Vec::new();
    for entry in entries {
        if let Some(name) = entry.name() {
            match indices.entry(name.into()) {
                hash_map::Entry::Occupied(slot) => {
                    kept[*slot.get()] = entry;
                    continue;
                }
                hash_map::Entry::Vacant(slot) => {
                    slot.insert(kept.len());
                }
            }
        }
        kept.push(entry);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_is_echoed_whole_unless_it_is_absurd() {
        for (len, echoed) in [(256, 256), (1000, 1000), (60_000, ECHO_CHARS_MAX)] {
            let name = "x".repeat(len);
            let plain = SubscribeEntry::Plain(name.into());
            let CheckedEntry::Bad { entry, code, .. } = CheckedEntry::check(&plain) else {
                panic!("{len} bytes were taken");
            };
            assert_eq!((entry.len(), code), (echoed, ErrorCode::BadTopic));
        }
    }

    #[test]
    fn each_name_once() {
        let topic = |name: &str, seq| CheckedEntry::Topic { name: name.into(), resume: Some(("e".into(), seq)) };
        let wrong = || bad("a..b", ErrorCode::BadTopic, &"empty");
        let pattern =
            || CheckedEntry::Pattern { pattern: Pattern::parse("a.*").unwrap(), denied: Denied::default(), matched: 0 };
        let entries = vec![topic("a", 1), wrong(), pattern(), topic("b", 2), topic("a", 3), wrong(), pattern()];
        let kept = once(entries);
        let shown: Vec<String> = kept
            .iter()
            .map(|entry| match entry {
                CheckedEntry::Topic { name, resume } => format!("{name} {}", resume.as_ref().unwrap().1),
                CheckedEntry::Pattern { pattern, .. } => pattern.as_str().into(),
                CheckedEntry::Bad { entry, .. } => format!("bad {entry}"),
            })
            .collect();
        assert_eq!(shown, ["a 3", "bad a..b", "a.*", "b 2", "bad a..b"]);
    }
}

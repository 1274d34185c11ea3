//! One pattern of a role, in which `{sub}` and `{tenant}` may stand for whole segments.

use std::fmt;

use broker_protocol::Pattern;
use broker_protocol::topic::{check_topic, is_reserved};

use super::Who;

/// A pattern, or one that is completed for each client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The same for all clients.
    Fixed(Pattern),
    /// A text with placeholders.
    Filled(String),
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// A sentence: what is wrong with the pattern.
    pub fn parse(text: &str) -> Result<Line, String> {
        let mut placeholders = false;
        let segments = text.split('.').map(|segment| match segment {
            "{sub}" | "{tenant}" => {
                placeholders = true;
                // The shortest that it can stand for.
                "x"
            }
            other => other,
        });
        let filled = segments.collect::<Vec<_>>().join(".");
        match Pattern::parse(&filled) {
            Ok(pattern) if !placeholders => Ok(Line::Fixed(pattern)),
            Ok(_) => Ok(Line::Filled(text.to_owned())),
            Err(_) if text.contains(['{', '}']) => {
                Err("{sub} and {tenant} stand for whole segments, as in users.{sub}.>".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the pattern for one client; `None` if a value that it needs is not there, or is no single segment.
    pub(super) fn fill(&self, who: Who<'_>) -> Option<Pattern> {
        let text = match self {
            Line::Fixed(pattern) => return Some(pattern.clone()),
            Line::Filled(text) => text,
        };
        let segments = text.split('.').map(|segment| match segment {
            "{sub}" => who.sub.filter(|value| is_segment(value)),
            "{tenant}" => who.tenant.filter(|value| is_segment(value)),
            other => Some(other),
        });
        let filled = segments.collect::<Option<Vec<_>>>()?.join(".");
        // It may have become too long.
        Pattern::parse(&filled).ok()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Fixed(pattern) => pattern.fmt(formatter),
            Line::Filled(text) => formatter.write_str(text),
        }
    }
}

/// Whether a value is one segment of a topic: no dot, no wildcard, no blank, nothing that a name may not contain.
fn is_segment(value: &str) -> bool {
    check_topic(value).is_ok() && !value.contains('.') && !is_reserved(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str, sub: &str) -> Option<String> {
        let line = Line::parse(line).expect("a line");
        line.fill(Who { sub: Some(sub), tenant: Some("acme") }).map(|pattern| pattern.as_str().to_owned())
    }

    #[test]
    fn placeholders_are_whole_segments() {
        assert_eq!(filled("users.{sub}.>", "user-42").as_deref(), Some("users.user-42.>"));
        assert_eq!(filled("{tenant}.{sub}.{sub}", "a").as_deref(), Some("acme.a.a"));
        assert_eq!(filled("stocks.>", "*").as_deref(), Some("stocks.>"));
        for line in ["users.x{sub}", "users.{sub}x.>", "{sub", "{}", "a.{name}", "a.{sub}..b", "a.>.{sub}", ""] {
            assert!(Line::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_value_that_is_no_single_segment_voids_the_line() {
        let long = "x".repeat(1024);
        let values = ["*", ">", "a.b", "$SYS", "", "a b", "{sub}", "{tenant}", "auth0|5", "a\n", "é", ".", "a.", &long];
        for value in values {
            assert_eq!(filled("users.{sub}.>", value), None, "{value}");
        }
        // Valid, and too long as a whole.
        assert_eq!(filled("users.{sub}.>", &"x".repeat(250)), None);
        let nobody = Who { sub: None, tenant: None };
        assert_eq!(Line::parse("users.{sub}").expect("a line").fill(nobody), None);
        assert_eq!(Line::parse("{tenant}.>").expect("a line").fill(nobody), None);
    }
}

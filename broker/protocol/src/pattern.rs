//! Patterns: `*` matches exactly one segment, `>` as the last one matches one or more (the NATS rules).
//!
//! The broker's own topics (first character `$`) are only matched by a pattern that names their first segment.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::topic::{NameError, SEGMENTS_MAX, check, is_reserved};

/// A checked pattern. A plain name is a pattern too (it matches itself): listings accept either.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    /// One bit per segment, the first segment in the highest bit: set if it is literal.
    literals: u16,
}

/// One segment of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Exactly this segment.
    Literal(&'a str),
    /// `*`: any one segment.
    One,
    /// `>`: one segment or more, to the end.
    Rest,
}

/// How specific a pattern is: if several patterns match a topic, the options of the most specific one win. Patterns
/// that differ only in `*` and `>` are equal; between them the later subscription wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity {
    /// More literal segments win…
    literal_segments: u32,
    /// …then the leftmost literal: of two masks with the same number of bits, the greater one has a bit further left at
    /// their first difference.
    literals: u16,
}

impl Pattern {
    /// Checks and stores a pattern. An error means `bad_pattern`.
    pub fn parse(text: &str) -> Result<Pattern, NameError> {
        let shape = check(text, true)?;
        Ok(Pattern { text: text.into(), literals: shape.literals })
    }

    /// The text as it was subscribed to.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches this (valid) topic.
    pub fn matches(&self, topic: &str) -> bool {
        if self.excludes_reserved() && is_reserved(topic) {
            return false;
        }
        let mut names = topic.split('.');
        for segment in self.segments() {
            let name = names.next();
            match segment {
                Segment::Rest => return name.is_some(),
                Segment::One if name.is_some() => {}
                Segment::Literal(literal) if name == Some(literal) => {}
                Segment::One | Segment::Literal(_) => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether it matches no topic of the broker's own, because it begins with a wildcard.
    pub(crate) fn excludes_reserved(&self) -> bool {
        self.literals & (1 << (SEGMENTS_MAX - 1)) == 0
    }

    /// The segments from left to right.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.text.split('.').map(|segment| match segment {
            "*" => Segment::One,
            ">" => Segment::Rest,
            literal => Segment::Literal(literal),
        })
    }

    /// How specific this pattern is.
    pub fn specificity(&self) -> Specificity {
        Specificity { literal_segments: self.literals.count_ones(), literals: self.literals }
    }

    /// The common beginning of all matching topics: the text before the first wildcard, including the `.` before it;
    /// the whole text if there is no wildcard.
    pub fn literal_prefix(&self) -> &str {
        let end = self.text.find(['*', '>']).unwrap_or(self.text.len());
        &self.text[..end]
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// In the order of the texts.
impl Ord for Pattern {
    fn cmp(&self, other: &Pattern) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Pattern) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

// Same `Eq` and `Hash` as the text, so that maps keyed by pattern can be queried with a `&str`.
impl Borrow<str> for Pattern {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

//! The three kinds of updates.

use std::fmt;

/// The meaning of an update, which determines how it may be delivered to a slow or conflated subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something that happened: a trade, a goal. Never skipped silently.
    Event,
    /// The whole new state: a quote, a scoreboard. A newer one replaces it.
    State,
    /// An RFC 7396 merge patch onto the topic's state. The image replaces what was skipped.
    Patch,
}

impl Kind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::State => "state",
            Kind::Patch => "patch",
        }
    }

    /// Returns the kind of a topic that carries such updates: patches change states.
    pub fn of_topic(self) -> Kind {
        match self {
            Kind::Event => Kind::Event,
            Kind::State | Kind::Patch => Kind::State,
        }
    }

    /// Parses the word on the wire.
    pub fn parse(text: &str) -> Option<Kind> {
        match text {
            "event" => Some(Kind::Event),
            "state" => Some(Kind::State),
            "patch" => Some(Kind::Patch),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

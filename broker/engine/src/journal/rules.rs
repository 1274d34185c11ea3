//! The settings on which it depends what comes of a command. With a journal they are those that stand in its log, so that
//! a restart, or another broker, comes to the same.

use std::sync::{Arc, RwLock};

use broker_protocol::kind::Kind;

use crate::log::Settings;
use crate::sync::unpoisoned;

/// The settings of the log that are in force.
#[derive(Default)]
pub(crate) struct Rules(RwLock<Option<Arc<Settings>>>);

impl Rules {
    pub(crate) fn adopt(&self, settings: &Settings) {
        *unpoisoned(self.0.write()) = Some(Arc::new(settings.clone()));
    }

    pub(crate) fn settings(&self) -> Option<Settings> {
        unpoisoned(self.0.read()).as_deref().cloned()
    }

    /// What bounds programs that publish to the log themselves: the bytes of a message, the number of topics, and the bytes
    /// of all images. `None` while the log has no settings.
    pub(crate) fn bounds(&self) -> Option<[u64; 3]> {
        let settings = unpoisoned(self.0.read());
        settings.as_ref().map(|settings| [settings.message_bytes, settings.topics_max, settings.images_bytes_max])
    }

    /// The kind that a topic's updates must have, if one is fixed; a topic that grows by patches has that of states.
    pub(crate) fn kind_of(&self, topic: &str) -> Option<Kind> {
        let settings = unpoisoned(self.0.read()).clone()?;
        let rule = settings.rules.iter().find(|rule| rule.pattern.matches(topic))?;
        rule.kind.map(Kind::of_topic)
    }

    /// The maximum bytes of one topic's image; without settings, there is none.
    pub(crate) fn image_bytes(&self) -> u64 {
        unpoisoned(self.0.read()).as_ref().map_or(u64::MAX, |settings| settings.image_bytes)
    }
}
